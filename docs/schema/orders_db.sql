-- orders_db as the migrations leave it. Made by `make schema`; do not edit.

CREATE TYPE attempt_outcome AS ENUM (
    'CONFIRMED',
    'VOIDED'
);

CREATE TYPE dispute_ending AS ENUM (
    'WITHDRAWN',
    'REJECTED',
    'UNDONE'
);

CREATE TYPE offer_outcome AS ENUM (
    'MADE',
    'REFUSED'
);

CREATE TYPE order_status AS ENUM (
    'PENDING',
    'CONFIRMED',
    'FAILED',
    'REFUNDED'
);

CREATE TYPE transfer_status AS ENUM (
    'INITIATED',
    'PENDING_OTP',
    'COMPLETED',
    'DISPUTED',
    'REVERSED',
    'FAILED'
);

CREATE FUNCTION order_attempts_guard() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF NEW.attempt_id <> OLD.attempt_id OR NEW.order_id <> OLD.order_id OR NEW.outcome <> 'VOIDED' THEN
        RAISE EXCEPTION 'the mark of attempt % cannot be taken back', OLD.attempt_id USING ERRCODE = 'check_violation', CONSTRAINT = 'order_attempts_stay';
    END IF;
    RETURN NEW;
END
$$;

CREATE FUNCTION orders_guard() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION refuse_delete() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are never deleted', TG_TABLE_NAME USING ERRCODE = 'check_violation', CONSTRAINT = TG_TABLE_NAME || '_never_deleted';
END
$$;

CREATE FUNCTION transfer_operations_guard() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF (OLD.operation_id, OLD.transfer_id, coalesce(OLD.raised_by, NEW.raised_by), coalesce(OLD.raised_at, NEW.raised_at),
        coalesce(OLD.voided_at, NEW.voided_at), coalesce(OLD.ending, NEW.ending))
        IS DISTINCT FROM (NEW.operation_id, NEW.transfer_id, NEW.raised_by, NEW.raised_at, NEW.voided_at, NEW.ending) THEN
        RAISE EXCEPTION 'the facts of operation % cannot change', OLD.operation_id USING ERRCODE = 'check_violation', CONSTRAINT = 'transfer_operations_immutable';
    END IF;
    RETURN NEW;
END
$$;

CREATE FUNCTION transfers_guard() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

CREATE TABLE offers (
    offer_id uuid NOT NULL,
    user_id uuid NOT NULL,
    outcome offer_outcome,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE order_attempts (
    attempt_id uuid NOT NULL,
    order_id uuid NOT NULL,
    outcome attempt_outcome NOT NULL,
    marked_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE orders (
    order_id uuid NOT NULL,
    user_id uuid NOT NULL,
    seat_id uuid NOT NULL,
    event_id uuid NOT NULL,
    status order_status NOT NULL,
    price numeric(10,2) NOT NULL,
    credits_charged numeric(10,2) DEFAULT 0 NOT NULL,
    held_until timestamp with time zone NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    confirmed_at timestamp with time zone,
    failure_reason text,
    attempt_id uuid,
    CONSTRAINT orders_amounts_not_negative CHECK (((price >= (0)::numeric) AND (credits_charged >= (0)::numeric))),
    CONSTRAINT orders_paid_or_not CHECK (
CASE
    WHEN (status = ANY (ARRAY['CONFIRMED'::order_status, 'REFUNDED'::order_status])) THEN ((attempt_id IS NOT NULL) AND (confirmed_at IS NOT NULL))
    ELSE ((attempt_id IS NULL) AND (confirmed_at IS NULL) AND (credits_charged = (0)::numeric))
END),
    CONSTRAINT orders_reason_if_ended CHECK (((status = ANY (ARRAY['FAILED'::order_status, 'REFUNDED'::order_status])) = (failure_reason IS NOT NULL))),
    CONSTRAINT orders_reason_length CHECK ((length(failure_reason) <= 500))
);

CREATE TABLE transfer_operations (
    operation_id uuid NOT NULL,
    transfer_id uuid NOT NULL,
    raised_by uuid,
    raised_at timestamp with time zone,
    voided_at timestamp with time zone,
    ending dispute_ending,
    CONSTRAINT transfer_operations_ending CHECK (((ending IS NULL) OR (voided_at IS NOT NULL))),
    CONSTRAINT transfer_operations_raised CHECK (((raised_by IS NULL) = (raised_at IS NULL)))
);

CREATE TABLE transfers (
    transfer_id uuid NOT NULL,
    seat_id uuid NOT NULL,
    event_id uuid NOT NULL,
    seller_user_id uuid NOT NULL,
    buyer_user_id uuid NOT NULL,
    initiated_by uuid NOT NULL,
    status transfer_status NOT NULL,
    seller_otp_verified boolean DEFAULT false NOT NULL,
    buyer_otp_verified boolean DEFAULT false NOT NULL,
    credits_amount numeric(10,2) NOT NULL,
    dispute_id uuid,
    disputed_by uuid,
    dispute_reason text,
    failure_reason text,
    swapping boolean DEFAULT false NOT NULL,
    reversal_id uuid,
    expires_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    completed_at timestamp with time zone,
    cancelled_by uuid,
    voided uuid[] DEFAULT '{}'::uuid[] NOT NULL,
    refused boolean DEFAULT false NOT NULL,
    CONSTRAINT transfers_amount_not_negative CHECK ((credits_amount >= (0)::numeric)),
    CONSTRAINT transfers_completed_at_known CHECK (((status = ANY (ARRAY['COMPLETED'::transfer_status, 'DISPUTED'::transfer_status, 'REVERSED'::transfer_status])) = (completed_at IS NOT NULL))),
    CONSTRAINT transfers_dispute_whole CHECK (((num_nonnulls(dispute_id, disputed_by, dispute_reason) =
CASE
    WHEN (dispute_id IS NULL) THEN 0
    ELSE 3
END) AND ((status <> ALL (ARRAY['DISPUTED'::transfer_status, 'REVERSED'::transfer_status])) OR (dispute_id IS NOT NULL)))),
    CONSTRAINT transfers_disputed_by_party CHECK (((disputed_by = seller_user_id) OR (disputed_by = buyer_user_id))),
    CONSTRAINT transfers_initiated_by_party CHECK (((initiated_by = seller_user_id) OR (initiated_by = buyer_user_id))),
    CONSTRAINT transfers_reason_if_failed CHECK (((status = 'FAILED'::transfer_status) = (failure_reason IS NOT NULL))),
    CONSTRAINT transfers_reason_length CHECK (((length(failure_reason) <= 500) AND (length(dispute_reason) <= 1000))),
    CONSTRAINT transfers_reversal_of_dispute CHECK (
CASE status
    WHEN 'REVERSED'::transfer_status THEN (reversal_id IS NOT NULL)
    WHEN 'DISPUTED'::transfer_status THEN true
    ELSE (reversal_id IS NULL)
END),
    CONSTRAINT transfers_swapping_while_pending CHECK (((NOT swapping) OR (status = 'PENDING_OTP'::transfer_status))),
    CONSTRAINT transfers_two_parties CHECK ((seller_user_id <> buyer_user_id)),
    CONSTRAINT transfers_verified_before_swap CHECK ((((NOT swapping) AND (completed_at IS NULL)) OR (seller_otp_verified AND buyer_otp_verified)))
);

ALTER TABLE ONLY offers
    ADD CONSTRAINT offers_pkey PRIMARY KEY (offer_id);

ALTER TABLE ONLY order_attempts
    ADD CONSTRAINT order_attempts_pkey PRIMARY KEY (attempt_id);

ALTER TABLE ONLY orders
    ADD CONSTRAINT orders_pkey PRIMARY KEY (order_id);

ALTER TABLE ONLY transfer_operations
    ADD CONSTRAINT transfer_operations_pkey PRIMARY KEY (transfer_id, operation_id);

ALTER TABLE ONLY transfers
    ADD CONSTRAINT transfers_pkey PRIMARY KEY (transfer_id);

CREATE INDEX offers_of_user ON offers USING btree (user_id, created_at);

CREATE UNIQUE INDEX order_attempts_one_confirms ON order_attempts USING btree (order_id) WHERE (outcome = 'CONFIRMED'::attempt_outcome);

CREATE INDEX orders_by_event ON orders USING btree (event_id, created_at);

CREATE INDEX orders_by_seat ON orders USING btree (seat_id, created_at);

CREATE INDEX orders_by_user ON orders USING btree (user_id, created_at);

CREATE UNIQUE INDEX orders_one_owner_per_seat ON orders USING btree (seat_id) WHERE (status = 'CONFIRMED'::order_status);

CREATE INDEX orders_unpaid ON orders USING btree (held_until) WHERE (status = 'PENDING'::order_status);

CREATE INDEX transfers_by_buyer ON transfers USING btree (buyer_user_id, created_at);

CREATE INDEX transfers_by_seat ON transfers USING btree (seat_id, created_at);

CREATE INDEX transfers_by_seller ON transfers USING btree (seller_user_id, created_at);

CREATE INDEX transfers_cancelled_by ON transfers USING btree (cancelled_by) WHERE (cancelled_by IS NOT NULL);

CREATE UNIQUE INDEX transfers_one_live_per_seat ON transfers USING btree (seat_id) WHERE (status = ANY (ARRAY['INITIATED'::transfer_status, 'PENDING_OTP'::transfer_status, 'DISPUTED'::transfer_status]));

CREATE INDEX transfers_unconfirmed ON transfers USING btree (expires_at) WHERE ((status = ANY (ARRAY['INITIATED'::transfer_status, 'PENDING_OTP'::transfer_status])) AND (NOT swapping));

CREATE TRIGGER order_attempts_guard BEFORE UPDATE ON order_attempts FOR EACH ROW EXECUTE FUNCTION order_attempts_guard();

CREATE TRIGGER order_attempts_never_deleted BEFORE DELETE OR TRUNCATE ON order_attempts FOR EACH STATEMENT EXECUTE FUNCTION refuse_delete();

CREATE TRIGGER orders_guard BEFORE INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION orders_guard();

CREATE TRIGGER orders_never_deleted BEFORE DELETE OR TRUNCATE ON orders FOR EACH STATEMENT EXECUTE FUNCTION refuse_delete();

CREATE TRIGGER transfer_operations_guard BEFORE UPDATE ON transfer_operations FOR EACH ROW EXECUTE FUNCTION transfer_operations_guard();

CREATE TRIGGER transfer_operations_never_deleted BEFORE DELETE OR TRUNCATE ON transfer_operations FOR EACH STATEMENT EXECUTE FUNCTION refuse_delete();

CREATE TRIGGER transfers_guard BEFORE INSERT OR UPDATE ON transfers FOR EACH ROW EXECUTE FUNCTION transfers_guard();

CREATE TRIGGER transfers_never_deleted BEFORE DELETE OR TRUNCATE ON transfers FOR EACH STATEMENT EXECUTE FUNCTION refuse_delete();

ALTER TABLE ONLY transfer_operations
    ADD CONSTRAINT transfer_operations_transfer_fkey FOREIGN KEY (transfer_id) REFERENCES transfers(transfer_id);
