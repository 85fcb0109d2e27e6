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

CREATE TYPE listing_status AS ENUM (
    'ACTIVE',
    'PENDING_TRANSFER',
    'COMPLETED',
    'CANCELLED'
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

CREATE TYPE refund_kind AS ENUM (
    'WHOLE',
    'PART'
);

CREATE TYPE transfer_status AS ENUM (
    'INITIATED',
    'PENDING_OTP',
    'COMPLETED',
    'DISPUTED',
    'REVERSED',
    'FAILED'
);

CREATE FUNCTION listing_follows_transfer() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF OLD.status = NEW.status THEN RETURN NULL; END IF;
    IF NEW.listing_id IS NOT NULL AND NEW.status = 'COMPLETED' AND OLD.status = 'PENDING_OTP' THEN
        UPDATE listings SET status = 'COMPLETED', updated_at = now() WHERE transfer_id = NEW.transfer_id AND status = 'PENDING_TRANSFER';
    ELSIF NEW.listing_id IS NOT NULL AND NEW.status = 'FAILED' AND (NEW.refused OR NEW.failure_reason IN ('WITHDRAWN', 'INSUFFICIENT_CREDITS')) THEN
        UPDATE listings SET status = 'ACTIVE', updated_at = now() WHERE transfer_id = NEW.transfer_id AND status = 'PENDING_TRANSFER';
    ELSIF NEW.listing_id IS NOT NULL AND NEW.status = 'FAILED' THEN
        UPDATE listings SET status = 'CANCELLED', end_reason = NEW.failure_reason, updated_at = now() WHERE transfer_id = NEW.transfer_id AND status = 'PENDING_TRANSFER';
    END IF;
    IF NEW.status IN ('COMPLETED', 'DISPUTED', 'REVERSED') THEN
        UPDATE listings SET status = 'CANCELLED', end_reason = 'TICKET_' || NEW.status, updated_at = now() WHERE seat_id = NEW.seat_id AND status = 'ACTIVE';
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION listings_guard() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF OLD.status <> NEW.status AND (OLD.status, NEW.status) NOT IN (
        ('ACTIVE', 'PENDING_TRANSFER'), ('ACTIVE', 'CANCELLED'), ('PENDING_TRANSFER', 'ACTIVE'),
        ('PENDING_TRANSFER', 'COMPLETED'), ('PENDING_TRANSFER', 'CANCELLED')) THEN
        RAISE EXCEPTION 'listing % cannot go from % to %', OLD.listing_id, OLD.status, NEW.status USING ERRCODE = 'check_violation', CONSTRAINT = 'listings_transition';
    END IF;
    IF (OLD.listing_id, OLD.seat_id, OLD.event_id, OLD.seller_user_id, OLD.asking_price, OLD.created_at)
        IS DISTINCT FROM (NEW.listing_id, NEW.seat_id, NEW.event_id, NEW.seller_user_id, NEW.asking_price, NEW.created_at) THEN
        RAISE EXCEPTION 'the facts of listing % cannot change', OLD.listing_id USING ERRCODE = 'check_violation', CONSTRAINT = 'listings_immutable';
    END IF;
    RETURN NEW;
END
$$;

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

CREATE FUNCTION order_refunds_guard() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    paid  numeric;
    back  numeric;
    whole boolean;
BEGIN
    SELECT credits_charged INTO paid FROM orders WHERE order_id = NEW.order_id FOR UPDATE;
    SELECT coalesce(sum(amount), 0), coalesce(bool_or(kind = 'WHOLE'), false) INTO back, whole FROM order_refunds WHERE order_id = NEW.order_id;
    IF whole OR back + NEW.amount > paid THEN
        RAISE EXCEPTION 'order % cannot be refunded by that', NEW.order_id USING ERRCODE = 'check_violation', CONSTRAINT = 'order_refunds_within_price';
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
    IF (OLD.status, NEW.status) = ('PENDING', 'PENDING') AND NEW.held_until > OLD.held_until AND NEW.held_until <= OLD.held_until + interval '1 hour' THEN
        OLD.held_until := NEW.held_until; -- the one fact that may change
    ELSIF (OLD.status, NEW.status) NOT IN (('PENDING', 'CONFIRMED'), ('PENDING', 'FAILED'), ('CONFIRMED', 'REFUNDED')) THEN
        RAISE EXCEPTION 'order % cannot go from % to %', OLD.order_id, OLD.status, NEW.status USING ERRCODE = 'check_violation', CONSTRAINT = 'orders_transition';
    END IF;
    IF (OLD.order_id, OLD.user_id, OLD.seat_id, OLD.event_id, OLD.price, OLD.held_until, OLD.created_at, OLD.booking_id)
        IS DISTINCT FROM (NEW.order_id, NEW.user_id, NEW.seat_id, NEW.event_id, NEW.price, NEW.held_until, NEW.created_at, NEW.booking_id)
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

CREATE FUNCTION saga_fence_check(p_saga uuid, p_epoch bigint) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(7001, hashtext(p_saga::text));
    IF EXISTS (SELECT FROM saga_fences WHERE saga_id = p_saga AND epoch > p_epoch) THEN
        RAISE EXCEPTION 'saga % has a later driver', p_saga USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'saga_fence';
    END IF;
END $$;

CREATE FUNCTION saga_fence_raise(p_saga uuid, p_epoch bigint) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(7001, hashtext(p_saga::text));
    INSERT INTO saga_fences AS f (saga_id, epoch) VALUES (p_saga, p_epoch)
        ON CONFLICT (saga_id) DO UPDATE SET epoch = excluded.epoch, raised_at = now() WHERE f.epoch < excluded.epoch;
END $$;

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

CREATE TABLE listings (
    listing_id uuid NOT NULL,
    seat_id uuid NOT NULL,
    event_id uuid NOT NULL,
    seller_user_id uuid NOT NULL,
    asking_price numeric(10,2) NOT NULL,
    status listing_status DEFAULT 'ACTIVE'::listing_status NOT NULL,
    end_reason text,
    transfer_id uuid,
    check_from timestamp with time zone NOT NULL,
    checked_at timestamp with time zone DEFAULT now() NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT listings_price_positive CHECK ((asking_price > (0)::numeric)),
    CONSTRAINT listings_reason_if_cancelled CHECK (((status = 'CANCELLED'::listing_status) = (end_reason IS NOT NULL))),
    CONSTRAINT listings_reason_length CHECK ((length(end_reason) <= 500)),
    CONSTRAINT listings_transfer_if_bought CHECK (((status = ANY (ARRAY['ACTIVE'::listing_status, 'CANCELLED'::listing_status])) OR (transfer_id IS NOT NULL)))
)
WITH (fillfactor='80');

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

CREATE TABLE order_refunds (
    refund_id uuid NOT NULL,
    order_id uuid NOT NULL,
    kind refund_kind NOT NULL,
    amount numeric(10,2) NOT NULL,
    to_user_id uuid NOT NULL,
    refunded_by uuid,
    reason character varying(500) NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT order_refunds_amount_not_negative CHECK ((amount >= (0)::numeric)),
    CONSTRAINT order_refunds_part_is_something CHECK (((kind = 'WHOLE'::refund_kind) OR (amount > (0)::numeric))),
    CONSTRAINT order_refunds_reason_given CHECK (((reason)::text <> ''::text))
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
    person_id uuid,
    includes jsonb,
    booking_id uuid,
    CONSTRAINT orders_amounts_not_negative CHECK (((price >= (0)::numeric) AND (credits_charged >= (0)::numeric))),
    CONSTRAINT orders_paid_or_not CHECK (
CASE
    WHEN (status = ANY (ARRAY['CONFIRMED'::order_status, 'REFUNDED'::order_status])) THEN ((attempt_id IS NOT NULL) AND (confirmed_at IS NOT NULL))
    ELSE ((attempt_id IS NULL) AND (confirmed_at IS NULL) AND (credits_charged = (0)::numeric))
END),
    CONSTRAINT orders_reason_if_ended CHECK (((status = ANY (ARRAY['FAILED'::order_status, 'REFUNDED'::order_status])) = (failure_reason IS NOT NULL))),
    CONSTRAINT orders_reason_length CHECK ((length(failure_reason) <= 500))
);

CREATE TABLE saga_fences (
    saga_id uuid NOT NULL,
    epoch bigint NOT NULL,
    raised_at timestamp with time zone DEFAULT now() NOT NULL
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
    listing_id uuid,
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

ALTER TABLE ONLY listings
    ADD CONSTRAINT listings_pkey PRIMARY KEY (listing_id);

ALTER TABLE ONLY offers
    ADD CONSTRAINT offers_pkey PRIMARY KEY (offer_id);

ALTER TABLE ONLY order_attempts
    ADD CONSTRAINT order_attempts_pkey PRIMARY KEY (attempt_id);

ALTER TABLE ONLY order_refunds
    ADD CONSTRAINT order_refunds_pkey PRIMARY KEY (refund_id);

ALTER TABLE ONLY orders
    ADD CONSTRAINT orders_pkey PRIMARY KEY (order_id);

ALTER TABLE ONLY saga_fences
    ADD CONSTRAINT saga_fences_pkey PRIMARY KEY (saga_id);

ALTER TABLE ONLY transfer_operations
    ADD CONSTRAINT transfer_operations_pkey PRIMARY KEY (transfer_id, operation_id);

ALTER TABLE ONLY transfers
    ADD CONSTRAINT transfers_pkey PRIMARY KEY (transfer_id);

CREATE INDEX listings_by_event ON listings USING btree (event_id, status, created_at DESC, listing_id DESC);

CREATE INDEX listings_by_seller ON listings USING btree (seller_user_id, created_at DESC, listing_id DESC);

CREATE INDEX listings_by_status ON listings USING btree (status, created_at DESC, listing_id DESC);

CREATE INDEX listings_of_transfer ON listings USING btree (transfer_id) WHERE (transfer_id IS NOT NULL);

CREATE UNIQUE INDEX listings_one_live_per_seat ON listings USING btree (seat_id) WHERE (status = ANY (ARRAY['ACTIVE'::listing_status, 'PENDING_TRANSFER'::listing_status]));

CREATE INDEX listings_to_check ON listings USING btree (checked_at) WHERE (status = 'ACTIVE'::listing_status);

CREATE INDEX offers_of_user ON offers USING btree (user_id, created_at);

CREATE UNIQUE INDEX order_attempts_one_confirms ON order_attempts USING btree (order_id) WHERE (outcome = 'CONFIRMED'::attempt_outcome);

CREATE INDEX order_refunds_of_order ON order_refunds USING btree (order_id, created_at);

CREATE UNIQUE INDEX order_refunds_one_whole ON order_refunds USING btree (order_id) WHERE (kind = 'WHOLE'::refund_kind);

CREATE INDEX orders_by_event ON orders USING btree (event_id, created_at);

CREATE INDEX orders_by_seat ON orders USING btree (seat_id, created_at);

CREATE INDEX orders_by_user ON orders USING btree (user_id, created_at);

CREATE INDEX orders_of_booking ON orders USING btree (booking_id) WHERE (booking_id IS NOT NULL);

CREATE INDEX orders_of_person ON orders USING btree (event_id, person_id) WHERE ((person_id IS NOT NULL) AND (status = ANY (ARRAY['PENDING'::order_status, 'CONFIRMED'::order_status])));

CREATE UNIQUE INDEX orders_one_owner_per_seat ON orders USING btree (seat_id) WHERE (status = 'CONFIRMED'::order_status);

CREATE INDEX orders_unpaid ON orders USING btree (held_until) WHERE (status = 'PENDING'::order_status);

CREATE INDEX transfers_by_buyer ON transfers USING btree (buyer_user_id, created_at);

CREATE INDEX transfers_by_seat ON transfers USING btree (seat_id, created_at);

CREATE INDEX transfers_by_seller ON transfers USING btree (seller_user_id, created_at);

CREATE INDEX transfers_cancelled_by ON transfers USING btree (cancelled_by) WHERE (cancelled_by IS NOT NULL);

CREATE UNIQUE INDEX transfers_one_live_per_seat ON transfers USING btree (seat_id) WHERE (status = ANY (ARRAY['INITIATED'::transfer_status, 'PENDING_OTP'::transfer_status, 'DISPUTED'::transfer_status]));

CREATE INDEX transfers_unconfirmed ON transfers USING btree (expires_at) WHERE ((status = ANY (ARRAY['INITIATED'::transfer_status, 'PENDING_OTP'::transfer_status])) AND (NOT swapping));

CREATE TRIGGER listing_follows_transfer AFTER UPDATE OF status ON transfers FOR EACH ROW EXECUTE FUNCTION listing_follows_transfer();

CREATE TRIGGER listings_guard BEFORE UPDATE ON listings FOR EACH ROW EXECUTE FUNCTION listings_guard();

CREATE TRIGGER listings_never_deleted BEFORE DELETE OR TRUNCATE ON listings FOR EACH STATEMENT EXECUTE FUNCTION refuse_delete();

CREATE TRIGGER order_attempts_guard BEFORE UPDATE ON order_attempts FOR EACH ROW EXECUTE FUNCTION order_attempts_guard();

CREATE TRIGGER order_attempts_never_deleted BEFORE DELETE OR TRUNCATE ON order_attempts FOR EACH STATEMENT EXECUTE FUNCTION refuse_delete();

CREATE TRIGGER order_refunds_guard BEFORE INSERT ON order_refunds FOR EACH ROW EXECUTE FUNCTION order_refunds_guard();

CREATE TRIGGER order_refunds_never_deleted BEFORE DELETE OR UPDATE OR TRUNCATE ON order_refunds FOR EACH STATEMENT EXECUTE FUNCTION refuse_delete();

CREATE TRIGGER orders_guard BEFORE INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION orders_guard();

CREATE TRIGGER orders_never_deleted BEFORE DELETE OR TRUNCATE ON orders FOR EACH STATEMENT EXECUTE FUNCTION refuse_delete();

CREATE TRIGGER transfer_operations_guard BEFORE UPDATE ON transfer_operations FOR EACH ROW EXECUTE FUNCTION transfer_operations_guard();

CREATE TRIGGER transfer_operations_never_deleted BEFORE DELETE OR TRUNCATE ON transfer_operations FOR EACH STATEMENT EXECUTE FUNCTION refuse_delete();

CREATE TRIGGER transfers_guard BEFORE INSERT OR UPDATE ON transfers FOR EACH ROW EXECUTE FUNCTION transfers_guard();

CREATE TRIGGER transfers_never_deleted BEFORE DELETE OR TRUNCATE ON transfers FOR EACH STATEMENT EXECUTE FUNCTION refuse_delete();

ALTER TABLE ONLY listings
    ADD CONSTRAINT listings_transfer_fkey FOREIGN KEY (transfer_id) REFERENCES transfers(transfer_id);

ALTER TABLE ONLY order_refunds
    ADD CONSTRAINT order_refunds_order_fkey FOREIGN KEY (order_id) REFERENCES orders(order_id);

ALTER TABLE ONLY transfer_operations
    ADD CONSTRAINT transfer_operations_transfer_fkey FOREIGN KEY (transfer_id) REFERENCES transfers(transfer_id);
