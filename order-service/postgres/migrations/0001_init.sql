-- +goose Up

CREATE TYPE order_status AS ENUM ('PENDING', 'CONFIRMED', 'FAILED', 'REFUNDED');

-- The reference's immutable ledger: an order's facts never change, its status only as orders_guard allows, and no
-- order is ever deleted.
CREATE TABLE orders (
    order_id        uuid          NOT NULL, -- also the hold's id
    user_id         uuid          NOT NULL,
    seat_id         uuid          NOT NULL,
    event_id        uuid          NOT NULL,
    status          order_status  NOT NULL,
    price           numeric(10,2) NOT NULL,
    credits_charged numeric(10,2) NOT NULL DEFAULT 0,
    held_until      timestamptz   NOT NULL,
    created_at      timestamptz   NOT NULL DEFAULT now(),
    confirmed_at    timestamptz,
    failure_reason  text,
    attempt_id      uuid, -- the attempt to pay that confirmed it
    CONSTRAINT orders_pkey PRIMARY KEY (order_id),
    CONSTRAINT orders_amounts_not_negative CHECK (price >= 0 AND credits_charged >= 0),
    -- What was paid has an attempt and a time; what was not has neither, nor a charge.
    CONSTRAINT orders_paid_or_not CHECK (
        CASE WHEN status IN ('CONFIRMED', 'REFUNDED') THEN attempt_id IS NOT NULL AND confirmed_at IS NOT NULL
             ELSE attempt_id IS NULL AND confirmed_at IS NULL AND credits_charged = 0 END),
    CONSTRAINT orders_reason_if_ended CHECK ((status IN ('FAILED', 'REFUNDED')) = (failure_reason IS NOT NULL)),
    CONSTRAINT orders_reason_length CHECK (length(failure_reason) <= 500)
);

-- A seat is sold once. Refunded, it may be sold again.
CREATE UNIQUE INDEX orders_one_owner_per_seat ON orders (seat_id) WHERE status = 'CONFIRMED';
CREATE INDEX orders_by_user ON orders (user_id, created_at);
CREATE INDEX orders_by_seat ON orders (seat_id, created_at);
CREATE INDEX orders_by_event ON orders (event_id, created_at);
CREATE INDEX orders_unpaid ON orders (held_until) WHERE status = 'PENDING';

CREATE TYPE attempt_outcome AS ENUM ('CONFIRMED', 'VOIDED');

-- The marks of the attempts to pay. One that was undone is VOIDED, and can then confirm no order, should its call come late.
-- The undo may come before the order, so this refers to none.
CREATE TABLE order_attempts (
    attempt_id uuid            NOT NULL,
    order_id   uuid            NOT NULL,
    outcome    attempt_outcome NOT NULL,
    marked_at  timestamptz     NOT NULL DEFAULT now(),
    CONSTRAINT order_attempts_pkey PRIMARY KEY (attempt_id)
);

CREATE UNIQUE INDEX order_attempts_one_confirms ON order_attempts (order_id) WHERE outcome = 'CONFIRMED';

-- +goose StatementBegin
CREATE FUNCTION orders_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.status NOT IN ('PENDING', 'CONFIRMED') THEN
            RAISE EXCEPTION 'an order cannot begin as %', NEW.status USING ERRCODE = 'check_violation', CONSTRAINT = 'orders_transition';
        END IF;
        RETURN NEW;
    END IF;
    IF (OLD.status, NEW.status) NOT IN (('PENDING', 'CONFIRMED'), ('PENDING', 'FAILED'), ('CONFIRMED', 'REFUNDED')) THEN
        RAISE EXCEPTION 'order % cannot go from % to %', OLD.order_id, OLD.status, NEW.status USING ERRCODE = 'check_violation', CONSTRAINT = 'orders_transition';
    END IF;
    IF (OLD.order_id, OLD.user_id, OLD.seat_id, OLD.event_id, OLD.price, OLD.held_until, OLD.created_at)
        IS DISTINCT FROM (NEW.order_id, NEW.user_id, NEW.seat_id, NEW.event_id, NEW.price, NEW.held_until, NEW.created_at)
        OR OLD.status = 'CONFIRMED' AND (OLD.credits_charged, OLD.attempt_id, OLD.confirmed_at)
        IS DISTINCT FROM (NEW.credits_charged, NEW.attempt_id, NEW.confirmed_at) THEN
        RAISE EXCEPTION 'the facts of order % cannot change', OLD.order_id USING ERRCODE = 'check_violation', CONSTRAINT = 'orders_immutable';
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION order_attempts_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.attempt_id <> OLD.attempt_id OR NEW.order_id <> OLD.order_id OR NEW.outcome <> 'VOIDED' THEN
        RAISE EXCEPTION 'the mark of attempt % cannot be taken back', OLD.attempt_id USING ERRCODE = 'check_violation', CONSTRAINT = 'order_attempts_stay';
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION refuse_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are never deleted', TG_TABLE_NAME USING ERRCODE = 'check_violation', CONSTRAINT = TG_TABLE_NAME || '_never_deleted';
END
$$;
-- +goose StatementEnd

CREATE TRIGGER orders_guard BEFORE INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION orders_guard();
CREATE TRIGGER orders_never_deleted BEFORE DELETE OR TRUNCATE ON orders FOR EACH STATEMENT EXECUTE FUNCTION refuse_delete();
CREATE TRIGGER order_attempts_guard BEFORE UPDATE ON order_attempts FOR EACH ROW EXECUTE FUNCTION order_attempts_guard();
CREATE TRIGGER order_attempts_never_deleted BEFORE DELETE OR TRUNCATE ON order_attempts FOR EACH STATEMENT EXECUTE FUNCTION refuse_delete();

CREATE TYPE transfer_status AS ENUM ('INITIATED', 'PENDING_OTP', 'COMPLETED', 'DISPUTED', 'REVERSED', 'FAILED');

CREATE TABLE transfers (
    transfer_id         uuid            NOT NULL,
    seat_id             uuid            NOT NULL,
    event_id            uuid            NOT NULL,
    seller_user_id      uuid            NOT NULL,
    buyer_user_id       uuid            NOT NULL,
    initiated_by        uuid            NOT NULL,
    status              transfer_status NOT NULL,
    seller_otp_verified boolean         NOT NULL DEFAULT false,
    buyer_otp_verified  boolean         NOT NULL DEFAULT false,
    credits_amount      numeric(10,2)   NOT NULL,
    dispute_id          uuid, -- of the latest dispute; stays when that has ended
    disputed_by         uuid,
    dispute_reason      text,
    failure_reason      text,
    swapping            boolean         NOT NULL DEFAULT false, -- credits and seat are changing hands
    reversal_id         uuid, -- of the reversal under way, or done
    expires_at          timestamptz     NOT NULL,
    created_at          timestamptz     NOT NULL DEFAULT now(),
    completed_at        timestamptz,
    cancelled_by        uuid, -- the dispute of an earlier transfer that ended this one
    -- Disputes and reversals that were undone: late calls under these ids are refused. They stand in the row, so that
    -- its lock guards them too.
    voided              uuid[]          NOT NULL DEFAULT '{}',
    CONSTRAINT transfers_pkey PRIMARY KEY (transfer_id),
    CONSTRAINT transfers_two_parties CHECK (seller_user_id <> buyer_user_id),
    CONSTRAINT transfers_initiated_by_party CHECK (initiated_by IN (seller_user_id, buyer_user_id)),
    CONSTRAINT transfers_disputed_by_party CHECK (disputed_by IN (seller_user_id, buyer_user_id)),
    CONSTRAINT transfers_amount_not_negative CHECK (credits_amount >= 0), -- 0 is a gift
    CONSTRAINT transfers_verified_before_swap CHECK (
        NOT swapping AND completed_at IS NULL OR seller_otp_verified AND buyer_otp_verified),
    CONSTRAINT transfers_swapping_while_pending CHECK (NOT swapping OR status = 'PENDING_OTP'),
    CONSTRAINT transfers_completed_at_known CHECK ((status IN ('COMPLETED', 'DISPUTED', 'REVERSED')) = (completed_at IS NOT NULL)),
    CONSTRAINT transfers_dispute_whole CHECK (
        num_nonnulls(dispute_id, disputed_by, dispute_reason) = CASE WHEN dispute_id IS NULL THEN 0 ELSE 3 END
        AND (status NOT IN ('DISPUTED', 'REVERSED') OR dispute_id IS NOT NULL)),
    CONSTRAINT transfers_reversal_of_dispute CHECK (
        CASE status WHEN 'REVERSED' THEN reversal_id IS NOT NULL WHEN 'DISPUTED' THEN true ELSE reversal_id IS NULL END),
    CONSTRAINT transfers_reason_if_failed CHECK ((status = 'FAILED') = (failure_reason IS NOT NULL)),
    CONSTRAINT transfers_reason_length CHECK (length(failure_reason) <= 500 AND length(dispute_reason) <= 1000)
);

-- A seat changes hands once at a time.
CREATE UNIQUE INDEX transfers_one_live_per_seat ON transfers (seat_id) WHERE status IN ('INITIATED', 'PENDING_OTP', 'DISPUTED');
CREATE INDEX transfers_by_seat ON transfers (seat_id, created_at);
CREATE INDEX transfers_by_seller ON transfers (seller_user_id, created_at);
CREATE INDEX transfers_by_buyer ON transfers (buyer_user_id, created_at);
CREATE INDEX transfers_unconfirmed ON transfers (expires_at) WHERE status IN ('INITIATED', 'PENDING_OTP') AND NOT swapping;
CREATE INDEX transfers_cancelled_by ON transfers (cancelled_by) WHERE cancelled_by IS NOT NULL;

-- +goose StatementBegin
CREATE FUNCTION transfers_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.status NOT IN ('INITIATED', 'FAILED') THEN
            RAISE EXCEPTION 'a transfer cannot begin as %', NEW.status USING ERRCODE = 'check_violation', CONSTRAINT = 'transfers_transition';
        END IF;
        RETURN NEW;
    END IF;
    IF OLD.status <> NEW.status AND (OLD.status, NEW.status) NOT IN (
        ('INITIATED', 'PENDING_OTP'), ('INITIATED', 'FAILED'), ('PENDING_OTP', 'COMPLETED'), ('PENDING_OTP', 'FAILED'),
        ('COMPLETED', 'DISPUTED'), ('DISPUTED', 'COMPLETED'), ('DISPUTED', 'REVERSED'))
        OR NEW.status = 'COMPLETED' AND OLD.status = 'PENDING_OTP' AND NOT OLD.swapping THEN
        RAISE EXCEPTION 'transfer % cannot go from % to %', OLD.transfer_id, OLD.status, NEW.status USING ERRCODE = 'check_violation', CONSTRAINT = 'transfers_transition';
    END IF;
    IF (OLD.transfer_id, OLD.seat_id, OLD.event_id, OLD.seller_user_id, OLD.buyer_user_id, OLD.initiated_by, OLD.credits_amount, OLD.expires_at, OLD.created_at)
        IS DISTINCT FROM (NEW.transfer_id, NEW.seat_id, NEW.event_id, NEW.seller_user_id, NEW.buyer_user_id, NEW.initiated_by, NEW.credits_amount, NEW.expires_at, NEW.created_at)
        OR OLD.completed_at IS NOT NULL AND NEW.completed_at IS DISTINCT FROM OLD.completed_at
        OR NOT NEW.voided @> OLD.voided THEN
        RAISE EXCEPTION 'the facts of transfer % cannot change', OLD.transfer_id USING ERRCODE = 'check_violation', CONSTRAINT = 'transfers_immutable';
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER transfers_guard BEFORE INSERT OR UPDATE ON transfers FOR EACH ROW EXECUTE FUNCTION transfers_guard();
CREATE TRIGGER transfers_never_deleted BEFORE DELETE OR TRUNCATE ON transfers FOR EACH STATEMENT EXECUTE FUNCTION refuse_delete();

-- +goose Down
DROP TABLE transfers, order_attempts, orders;
DROP FUNCTION transfers_guard, refuse_delete, order_attempts_guard, orders_guard;
DROP TYPE transfer_status, attempt_outcome, order_status;
