-- users_db as the migrations leave it. Made by `make schema`; do not edit.

CREATE TYPE account AS ENUM (
    'user',
    'escrow',
    'frozen',
    'platform',
    'stripe'
);

CREATE TYPE movement_kind AS ENUM (
    'topup',
    'grant',
    'purchase',
    'purchase_return',
    'escrow',
    'escrow_return',
    'escrow_release',
    'freeze',
    'unfreeze',
    'freeze_escrow',
    'cover',
    'freeze_escrow_return',
    'cover_return',
    'refund',
    'chargeback',
    'chargeback_return',
    'debt_fill'
);

CREATE TYPE operation_kind AS ENUM (
    'purchase',
    'escrow',
    'freeze'
);

CREATE TYPE operation_state AS ENUM (
    'DONE',
    'UNDONE',
    'VOID',
    'RELEASED',
    'TAKEN'
);

CREATE TYPE otp_answer AS ENUM (
    'OK',
    'INVALID',
    'MAX_RETRIES',
    'EXPIRED'
);

CREATE TYPE otp_method AS ENUM (
    'sms',
    'totp'
);

CREATE TYPE otp_purpose AS ENUM (
    'registration',
    'login',
    'password_reset',
    'totp',
    'profile',
    'purchase',
    'transfer'
);

CREATE TYPE otp_state AS ENUM (
    'SENDING',
    'PENDING',
    'VERIFIED',
    'FAILED',
    'EXPIRED',
    'VOID',
    'UNSENT'
);

CREATE TYPE user_role AS ENUM (
    'customer',
    'staff',
    'admin'
);

CREATE FUNCTION balance_of(p_user uuid) RETURNS numeric
    LANGUAGE sql
    AS $$SELECT credit_balance FROM users WHERE user_id = p_user$$;

CREATE FUNCTION credits_escrow_release(p_id uuid, p_to uuid) RETURNS numeric
    LANGUAGE plpgsql
    AS $$
DECLARE o operations;
BEGIN
    SELECT * INTO o FROM operations WHERE kind = 'escrow' AND operation_id = p_id FOR UPDATE;
    IF NOT FOUND THEN PERFORM refuse('escrow_not_found'); END IF;
    IF o.state IN ('VOID', 'UNDONE') THEN PERFORM refuse('operation_voided'); END IF;
    IF o.state = 'RELEASED' THEN
        IF o.released_to <> p_to THEN PERFORM refuse('operation_differs'); END IF;
        RETURN balance_of(p_to);
    END IF;
    UPDATE operations SET state = 'RELEASED', released_to = p_to WHERE kind = 'escrow' AND operation_id = p_id;
    INSERT INTO movements (kind, operation_id, source, source_id, target, target_id, amount, reference_id)
        VALUES ('escrow_release', p_id, 'escrow', p_id, 'user', p_to, o.amount, o.reference_id);
    RETURN balance_of(p_to);
END $$;

CREATE FUNCTION credits_escrow_return(p_id uuid) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
DECLARE
    o    operations;
    owed numeric;
BEGIN
    INSERT INTO operations AS t (kind, operation_id, state)
        VALUES ('escrow', p_id, 'VOID')
        ON CONFLICT (kind, operation_id) DO UPDATE SET state = 'UNDONE' WHERE t.state = 'DONE' RETURNING * INTO o;
    IF NOT FOUND THEN
        SELECT * INTO o FROM operations WHERE kind = 'escrow' AND operation_id = p_id;
        IF o.state = 'RELEASED' THEN PERFORM refuse('escrow_released'); END IF;
        RETURN o.state = 'UNDONE';
    END IF;
    IF o.state = 'VOID' THEN RETURN false; END IF;
    IF o.dispute_id IS NULL THEN
        INSERT INTO movements (kind, operation_id, source, source_id, target, target_id, amount, reference_id)
            VALUES ('escrow_return', p_id, 'escrow', p_id, 'user', o.user_id, o.amount, o.reference_id);
        RETURN true;
    END IF;
    UPDATE operations SET state = 'DONE' WHERE kind = 'freeze' AND operation_id = o.dispute_id;
    PERFORM FROM users WHERE user_id = o.user_id FOR UPDATE;
    UPDATE debts SET target = 'frozen' WHERE cause_id = o.dispute_id AND target = 'platform';
    SELECT coalesce(sum(remaining), 0) INTO owed FROM debts WHERE cause_id = o.dispute_id;
    INSERT INTO movements (kind, operation_id, source, source_id, target, target_id, amount, reference_id)
        VALUES ('freeze_escrow_return', p_id, 'escrow', p_id, 'frozen', o.dispute_id, o.amount - owed, o.dispute_id);
    IF owed > 0 THEN
        INSERT INTO movements (kind, operation_id, source, source_id, target, amount, reference_id)
            VALUES ('cover_return', p_id, 'escrow', p_id, 'platform', owed, o.dispute_id);
    END IF;
    RETURN true;
END $$;

CREATE FUNCTION credits_freeze(p_id uuid, p_user uuid, p_amount numeric, OUT frozen numeric, OUT short numeric) RETURNS record
    LANGUAGE plpgsql
    AS $$
DECLARE o operations;
BEGIN
    INSERT INTO operations (kind, operation_id, state, user_id, amount) VALUES ('freeze', p_id, 'DONE', p_user, p_amount) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        SELECT * INTO o FROM operations WHERE kind = 'freeze' AND operation_id = p_id;
        IF o.state IN ('VOID', 'UNDONE') THEN PERFORM refuse('operation_voided'); END IF;
        IF o.user_id <> p_user OR o.amount <> p_amount THEN PERFORM refuse('operation_differs'); END IF;
        SELECT coalesce(sum(remaining), 0) INTO short FROM debts WHERE cause_id = p_id;
        frozen := p_amount - short;
        RETURN;
    END IF;
    SELECT least(credit_balance, p_amount) INTO frozen FROM users WHERE user_id = p_user FOR UPDATE;
    IF NOT FOUND THEN PERFORM refuse('movements_user'); END IF;
    short := p_amount - frozen;
    INSERT INTO movements (kind, operation_id, source, source_id, target, target_id, amount, reference_id)
        VALUES ('freeze', p_id, 'user', p_user, 'frozen', p_id, frozen, p_id);
    IF short > 0 THEN
        INSERT INTO debts (user_id, target, cause_id, amount, remaining) VALUES (p_user, 'frozen', p_id, short, short);
    END IF;
END $$;

CREATE FUNCTION credits_freeze_escrow(p_id uuid, p_dispute uuid, p_cover boolean) RETURNS numeric
    LANGUAGE plpgsql
    AS $$
DECLARE
    o    operations;
    f    operations;
    owed numeric;
BEGIN
    INSERT INTO operations (kind, operation_id, state, user_id, amount, dispute_id)
        SELECT 'escrow', p_id, 'DONE', user_id, amount, p_dispute FROM operations
        WHERE kind = 'freeze' AND operation_id = p_dispute AND state <> 'VOID' ON CONFLICT DO NOTHING RETURNING * INTO o;
    IF NOT FOUND THEN
        SELECT * INTO o FROM operations WHERE kind = 'escrow' AND operation_id = p_id;
        IF NOT FOUND THEN PERFORM refuse('freeze_not_found'); END IF;
        IF o.state IN ('VOID', 'UNDONE') THEN PERFORM refuse('operation_voided'); END IF;
        IF o.dispute_id IS DISTINCT FROM p_dispute THEN PERFORM refuse('operation_differs'); END IF;
        RETURN o.amount;
    END IF;
    SELECT * INTO f FROM operations WHERE kind = 'freeze' AND operation_id = p_dispute FOR UPDATE;
    IF f.state = 'UNDONE' THEN PERFORM refuse('operation_voided'); END IF;
    IF f.state = 'TAKEN' THEN PERFORM refuse('frozen_taken'); END IF;
    PERFORM FROM users WHERE user_id = f.user_id FOR UPDATE;
    SELECT coalesce(sum(remaining), 0) INTO owed FROM debts WHERE cause_id = p_dispute;
    IF owed > 0 AND NOT p_cover THEN PERFORM refuse('frozen_short', owed::text); END IF;
    UPDATE operations SET state = 'TAKEN' WHERE kind = 'freeze' AND operation_id = p_dispute;
    INSERT INTO movements (kind, operation_id, source, source_id, target, target_id, amount, reference_id)
        VALUES ('freeze_escrow', p_id, 'frozen', p_dispute, 'escrow', p_id, f.amount - owed, p_dispute);
    IF owed > 0 THEN
        UPDATE debts SET target = 'platform' WHERE cause_id = p_dispute AND remaining > 0;
        INSERT INTO movements (kind, operation_id, source, target, target_id, amount, reference_id)
            VALUES ('cover', p_id, 'platform', 'escrow', p_id, owed, p_dispute);
    END IF;
    RETURN f.amount;
END $$;

CREATE FUNCTION credits_return(p_id uuid) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
DECLARE o operations;
BEGIN
    INSERT INTO operations AS t (kind, operation_id, state)
        VALUES ('purchase', p_id, 'VOID')
        ON CONFLICT (kind, operation_id) DO UPDATE SET state = 'UNDONE' WHERE t.state = 'DONE' RETURNING * INTO o;
    IF NOT FOUND THEN
        RETURN (SELECT state = 'UNDONE' FROM operations WHERE kind = 'purchase' AND operation_id = p_id);
    END IF;
    IF o.state = 'UNDONE' THEN
        INSERT INTO movements (kind, operation_id, source, target, target_id, amount, reference_id)
            VALUES ('purchase_return', p_id, 'platform', 'user', o.user_id, o.amount, o.reference_id);
    END IF;
    RETURN o.state = 'UNDONE';
END $$;

CREATE FUNCTION credits_take(p_kind operation_kind, p_id uuid, p_user uuid, p_amount numeric, p_reference uuid) RETURNS numeric
    LANGUAGE plpgsql
    AS $$
DECLARE
    o operations;
    b numeric;
BEGIN
    INSERT INTO operations (kind, operation_id, state, user_id, amount, reference_id)
        VALUES (p_kind, p_id, 'DONE', p_user, p_amount, p_reference) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        SELECT * INTO o FROM operations WHERE kind = p_kind AND operation_id = p_id;
        IF o.state IN ('VOID', 'UNDONE') THEN PERFORM refuse('operation_voided'); END IF;
        IF o.user_id <> p_user OR o.amount <> p_amount THEN PERFORM refuse('operation_differs'); END IF;
        SELECT balance_after INTO b FROM movements WHERE kind = p_kind::text::movement_kind AND operation_id = p_id;
        RETURN b;
    END IF;
    INSERT INTO movements (kind, operation_id, source, source_id, target, target_id, amount, reference_id)
        VALUES (p_kind::text::movement_kind, p_id, 'user', p_user,
                CASE p_kind WHEN 'escrow' THEN 'escrow' ELSE 'platform' END::account,
                CASE p_kind WHEN 'escrow' THEN p_id END, p_amount, p_reference)
        RETURNING balance_after INTO b;
    RETURN b;
END $$;

CREATE FUNCTION credits_unfreeze(p_id uuid) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
DECLARE
    o    operations;
    owed numeric;
BEGIN
    INSERT INTO operations AS t (kind, operation_id, state)
        VALUES ('freeze', p_id, 'VOID')
        ON CONFLICT (kind, operation_id) DO UPDATE SET state = 'UNDONE' WHERE t.state = 'DONE' RETURNING * INTO o;
    IF NOT FOUND THEN
        SELECT * INTO o FROM operations WHERE kind = 'freeze' AND operation_id = p_id;
        IF o.state = 'TAKEN' THEN PERFORM refuse('frozen_taken'); END IF;
        RETURN o.state = 'UNDONE';
    END IF;
    IF o.state = 'VOID' THEN RETURN false; END IF;
    PERFORM FROM users WHERE user_id = o.user_id FOR UPDATE;
    SELECT coalesce(sum(remaining), 0) INTO owed FROM debts WHERE cause_id = p_id;
    UPDATE debts SET cancelled = cancelled + remaining, remaining = 0 WHERE cause_id = p_id AND remaining > 0;
    INSERT INTO movements (kind, operation_id, source, source_id, target, target_id, amount, reference_id)
        VALUES ('unfreeze', p_id, 'frozen', p_id, 'user', o.user_id, o.amount - owed, p_id);
    RETURN true;
END $$;

CREATE FUNCTION movements_are_final() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is append-only' USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'movements_append_only';
END $$;

CREATE FUNCTION movements_balance() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    NEW.balance_after := NULL;
    IF NEW.source = 'user' OR NEW.target = 'user' THEN
        SELECT credit_balance + CASE NEW.target WHEN 'user' THEN NEW.amount ELSE -NEW.amount END INTO NEW.balance_after
            FROM users WHERE user_id = CASE NEW.target WHEN 'user' THEN NEW.target_id ELSE NEW.source_id END FOR UPDATE;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'no such user' USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'movements_user';
        END IF;
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION movements_book() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE b numeric;
BEGIN
    UPDATE users SET credit_balance = credit_balance + CASE NEW.target WHEN 'user' THEN NEW.amount ELSE -NEW.amount END
        WHERE user_id = NEW.user_id RETURNING credit_balance INTO b;
    IF b IS DISTINCT FROM NEW.balance_after THEN
        RAISE EXCEPTION 'one statement moves a user''s credits once' USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'movements_balance_after';
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION movements_fill_debts() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    d    debts;
    part numeric;
BEGIN
    FOR d IN SELECT * FROM debts WHERE user_id = NEW.target_id AND remaining > 0 ORDER BY created_at, debt_id FOR UPDATE LOOP
        SELECT least(credit_balance, d.remaining) INTO part FROM users WHERE user_id = NEW.target_id;
        EXIT WHEN part <= 0;
        INSERT INTO movements (kind, operation_id, debt_id, source, source_id, target, target_id, amount, reference_id)
        VALUES ('debt_fill', NEW.operation_id, d.debt_id, 'user', d.user_id,
                d.target, CASE d.target WHEN 'frozen' THEN d.cause_id END, part, NEW.reference_id);
        UPDATE debts SET remaining = remaining - part WHERE debt_id = d.debt_id;
    END LOOP;
    RETURN NULL;
END $$;

CREATE FUNCTION operations_transition() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF TG_OP = 'DELETE' OR NOT (
        OLD.state = 'DONE' AND NEW.state IN ('UNDONE', 'RELEASED', 'TAKEN') OR
        OLD.state = 'TAKEN' AND NEW.state = 'DONE')
    THEN
        RAISE EXCEPTION 'an operation does not go from % to this', OLD.state USING ERRCODE = 'check_violation', CONSTRAINT = 'operations_transition';
    END IF;
    NEW.updated_at := now();
    RETURN NEW;
END $$;

CREATE FUNCTION otp_challenges_transition() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF OLD.state <> NEW.state AND NOT (
        OLD.state = 'SENDING' AND NEW.state IN ('PENDING', 'UNSENT', 'VOID') OR
        OLD.state = 'PENDING' AND NEW.state IN ('VERIFIED', 'FAILED', 'EXPIRED', 'VOID'))
    THEN
        RAISE EXCEPTION 'a challenge does not go from % to %', OLD.state, NEW.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'otp_challenges_transition';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION payment_event(p_event text, p_type text, p_intent text, p_topup uuid, p_paid numeric, p_currency text, p_want_currency text, p_refunded numeric, p_dispute text, p_dispute_amount numeric, p_dispute_won boolean) RETURNS text
    LANGUAGE plpgsql
    AS $$
DECLARE
    p         payments;
    t         topups;
    operation uuid := md5(p_event)::uuid;
    outcome   text := 'recorded';
    due       numeric;
BEGIN
    INSERT INTO stripe_events (event_id, type, payment_intent_id) VALUES (p_event, p_type, p_intent) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN RETURN 'duplicate'; END IF;
    INSERT INTO payments (payment_intent_id) VALUES (p_intent) ON CONFLICT DO NOTHING;
    SELECT * INTO p FROM payments WHERE payment_intent_id = p_intent FOR UPDATE;

    IF p_paid IS NOT NULL AND p.paid IS NULL THEN
        SELECT * INTO t FROM topups WHERE topup_id = p_topup FOR UPDATE;
        p.anomaly := CASE
            WHEN t.topup_id IS NULL THEN 'unknown_topup'
            WHEN p_currency <> p_want_currency THEN 'wrong_currency'
            WHEN t.credited_at IS NOT NULL THEN 'topup_paid_twice' END;
        IF p.anomaly IS NULL THEN
            p.topup_id := t.topup_id;
            UPDATE topups SET payment_intent_id = p_intent, credited_at = now() WHERE topup_id = t.topup_id;
            INSERT INTO movements (kind, operation_id, source, target, target_id, amount, reference_id)
                VALUES ('topup', t.topup_id, 'stripe', 'user', t.user_id, p_paid, t.topup_id);
        END IF;
        p.paid := p_paid;
        p.currency := p_currency;
        outcome := coalesce(p.anomaly, 'credited');
        UPDATE payments SET topup_id = p.topup_id, paid = p.paid, currency = p.currency, anomaly = p.anomaly WHERE payment_intent_id = p_intent;
    ELSE
        SELECT * INTO t FROM topups WHERE topup_id = p.topup_id;
    END IF;
    IF p_refunded > p.refunded THEN -- cumulative, so a late event with less says nothing new
        p.refunded := p_refunded;
        UPDATE payments SET refunded = p_refunded WHERE payment_intent_id = p_intent;
    END IF;
    IF p_dispute IS NOT NULL THEN -- once won it stays won, though its opening be told later
        INSERT INTO payment_disputes AS d (dispute_id, payment_intent_id, amount, won) VALUES (p_dispute, p_intent, p_dispute_amount, p_dispute_won)
            ON CONFLICT (dispute_id) DO UPDATE SET amount = excluded.amount, won = d.won OR excluded.won;
    END IF;

    IF p.topup_id IS NULL THEN RETURN outcome; END IF;
    SELECT least(p.paid, p.refunded + coalesce(sum(amount), 0)) - p.taken_back INTO due FROM payment_disputes WHERE payment_intent_id = p_intent AND NOT won;
    IF due > 0 THEN
        PERFORM payment_take_back(t.user_id, t.topup_id, operation, CASE WHEN p_dispute IS NULL THEN 'refund' ELSE 'chargeback' END::movement_kind, due);
        outcome := 'taken_back';
    ELSIF due < 0 THEN
        PERFORM payment_give_back(t.user_id, t.topup_id, operation, -due);
        outcome := 'given_back';
    END IF;
    UPDATE payments SET taken_back = taken_back + due WHERE payment_intent_id = p_intent AND due <> 0;
    RETURN outcome;
END $$;

CREATE FUNCTION payment_give_back(p_user uuid, p_topup uuid, p_operation uuid, p_amount numeric) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    d     debts;
    due   numeric := p_amount;
    part  numeric;
BEGIN
    PERFORM FROM users WHERE user_id = p_user FOR UPDATE;
    FOR d IN SELECT * FROM debts WHERE cause_id = p_topup AND remaining > 0 ORDER BY created_at DESC, debt_id FOR UPDATE LOOP
        part := least(due, d.remaining);
        UPDATE debts SET remaining = remaining - part, cancelled = cancelled + part WHERE debt_id = d.debt_id;
        due := due - part;
    END LOOP;
    INSERT INTO movements (kind, operation_id, source, target, target_id, amount, reference_id)
        VALUES ('chargeback_return', p_operation, 'stripe', 'user', p_user, due, p_topup);
END $$;

CREATE FUNCTION payment_take_back(p_user uuid, p_topup uuid, p_operation uuid, p_kind movement_kind, p_amount numeric) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE part numeric;
BEGIN
    UPDATE users SET is_flagged = true WHERE user_id = p_user RETURNING least(credit_balance, p_amount) INTO part;
    INSERT INTO movements (kind, operation_id, source, source_id, target, amount, reference_id)
        VALUES (p_kind, p_operation, 'user', p_user, 'stripe', part, p_topup);
    IF part < p_amount THEN
        INSERT INTO debts (user_id, target, cause_id, amount, remaining) VALUES (p_user, 'stripe', p_topup, p_amount - part, p_amount - part);
    END IF;
END $$;

CREATE FUNCTION refuse(name text, detail text DEFAULT ''::text) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION 'refused: %', name USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = name, DETAIL = detail;
END $$;

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

CREATE FUNCTION users_balance_is_booked() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF TG_OP = 'INSERT' AND NEW.credit_balance <> 0
        OR TG_OP = 'UPDATE' AND NEW.credit_balance <> OLD.credit_balance AND pg_trigger_depth() < 2
    THEN
        RAISE EXCEPTION 'a balance changes by movements only' USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'users_balance_is_booked';
    END IF;
    RETURN NEW;
END $$;

CREATE TABLE debts (
    debt_id uuid DEFAULT gen_random_uuid() NOT NULL,
    user_id uuid NOT NULL,
    target account NOT NULL,
    cause_id uuid NOT NULL,
    amount numeric(10,2) NOT NULL,
    remaining numeric(10,2) NOT NULL,
    cancelled numeric(10,2) DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT debts_parts CHECK (((amount > (0)::numeric) AND (remaining >= (0)::numeric) AND (cancelled >= (0)::numeric) AND ((remaining + cancelled) <= amount))),
    CONSTRAINT debts_target CHECK ((target = ANY (ARRAY['frozen'::account, 'stripe'::account, 'platform'::account])))
);

CREATE TABLE movements (
    movement_id bigint NOT NULL,
    kind movement_kind NOT NULL,
    operation_id uuid NOT NULL,
    debt_id uuid,
    source account NOT NULL,
    source_id uuid,
    target account NOT NULL,
    target_id uuid,
    amount numeric(10,2) NOT NULL,
    reference_id uuid,
    user_id uuid GENERATED ALWAYS AS (
CASE
    WHEN (source = 'user'::account) THEN source_id
    WHEN (target = 'user'::account) THEN target_id
    ELSE NULL::uuid
END) STORED,
    balance_after numeric(10,2),
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT movements_amount CHECK ((amount >= (0)::numeric)),
    CONSTRAINT movements_debt CHECK (((kind = 'debt_fill'::movement_kind) = (debt_id IS NOT NULL))),
    CONSTRAINT movements_source_id CHECK (((source_id IS NULL) = (source = ANY (ARRAY['platform'::account, 'stripe'::account])))),
    CONSTRAINT movements_target_id CHECK (((target_id IS NULL) = (target = ANY (ARRAY['platform'::account, 'stripe'::account])))),
    CONSTRAINT movements_two_accounts CHECK ((source <> target))
);

CREATE VIEW ledger_entries AS
 SELECT movements.movement_id,
    movements.source AS account,
    movements.source_id AS owner_id,
    (- movements.amount) AS amount
   FROM movements
UNION ALL
 SELECT movements.movement_id,
    movements.target AS account,
    movements.target_id AS owner_id,
    movements.amount
   FROM movements;

ALTER TABLE movements ALTER COLUMN movement_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME movements_movement_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE operations (
    kind operation_kind NOT NULL,
    operation_id uuid NOT NULL,
    state operation_state NOT NULL,
    user_id uuid,
    amount numeric(10,2),
    reference_id uuid,
    dispute_id uuid,
    released_to uuid,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT operations_amount CHECK ((amount >= (0)::numeric)),
    CONSTRAINT operations_released CHECK (((state = 'RELEASED'::operation_state) = (released_to IS NOT NULL))),
    CONSTRAINT operations_state_of_kind CHECK (((state <> 'RELEASED'::operation_state) OR (kind = 'escrow'::operation_kind))),
    CONSTRAINT operations_taken CHECK (((state <> 'TAKEN'::operation_state) OR (kind = 'freeze'::operation_kind))),
    CONSTRAINT operations_void CHECK ((((state = 'VOID'::operation_state) = (user_id IS NULL)) AND ((state = 'VOID'::operation_state) = (amount IS NULL))))
);

CREATE TABLE otp_challenges (
    challenge_id uuid NOT NULL,
    user_id uuid NOT NULL,
    purpose otp_purpose NOT NULL,
    reference_id uuid,
    counterparty_id uuid,
    method otp_method NOT NULL,
    phone character varying(20) NOT NULL,
    state otp_state NOT NULL,
    tries smallint DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    answered_code bytea,
    answer otp_answer,
    answered_at timestamp with time zone,
    CONSTRAINT otp_challenges_answer CHECK ((((answered_code IS NULL) = (answer IS NULL)) AND ((answer IS NULL) = (answered_at IS NULL)))),
    CONSTRAINT otp_challenges_reference CHECK (((purpose <> ALL (ARRAY['purchase'::otp_purpose, 'transfer'::otp_purpose])) OR (reference_id IS NOT NULL))),
    CONSTRAINT otp_challenges_tries CHECK (((tries >= 0) AND (tries <= 3)))
);

CREATE TABLE payment_disputes (
    dispute_id text NOT NULL,
    payment_intent_id text NOT NULL,
    amount numeric(10,2) NOT NULL,
    won boolean NOT NULL,
    CONSTRAINT payment_disputes_amount CHECK ((amount >= (0)::numeric))
);

CREATE TABLE payments (
    payment_intent_id text NOT NULL,
    topup_id uuid,
    paid numeric(10,2),
    currency text,
    anomaly text,
    refunded numeric(10,2) DEFAULT 0 NOT NULL,
    taken_back numeric(10,2) DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT payments_credited CHECK (((topup_id IS NULL) OR ((paid IS NOT NULL) AND (anomaly IS NULL)))),
    CONSTRAINT payments_taken_back CHECK (((taken_back = (0)::numeric) OR ((topup_id IS NOT NULL) AND ((taken_back >= (0)::numeric) AND (taken_back <= paid)))))
);

CREATE TABLE revocations (
    seq bigint NOT NULL,
    session_id uuid NOT NULL,
    until timestamp with time zone NOT NULL
);

ALTER TABLE revocations ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME revocations_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE saga_fences (
    saga_id uuid NOT NULL,
    epoch bigint NOT NULL,
    raised_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE sessions (
    session_id uuid NOT NULL,
    user_id uuid NOT NULL,
    refresh_hash bytea NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    revoked_at timestamp with time zone,
    CONSTRAINT sessions_refresh_hash_sha256 CHECK ((octet_length(refresh_hash) = 32)),
    CONSTRAINT sessions_seven_days CHECK ((expires_at <= (created_at + '7 days'::interval)))
);

CREATE TABLE stripe_events (
    event_id text NOT NULL,
    type text NOT NULL,
    payment_intent_id text NOT NULL,
    received_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE topups (
    topup_id uuid NOT NULL,
    user_id uuid NOT NULL,
    amount numeric(10,2) NOT NULL,
    client_key character varying(255),
    payment_intent_id text,
    credited_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT topups_amount CHECK ((amount > (0)::numeric))
);

CREATE TABLE users (
    user_id uuid NOT NULL,
    email character varying(255) NOT NULL,
    phone character varying(20) NOT NULL,
    password_hash text NOT NULL,
    credit_balance numeric(10,2) DEFAULT 0 NOT NULL,
    two_fa_secret text,
    two_fa_pending text,
    two_fa_last_step bigint DEFAULT 0 NOT NULL,
    is_flagged boolean DEFAULT false NOT NULL,
    is_verified boolean DEFAULT false NOT NULL,
    role user_role DEFAULT 'customer'::user_role NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT users_credit_balance_not_negative CHECK ((credit_balance >= (0)::numeric)),
    CONSTRAINT users_email_lower CHECK ((((email)::text = lower((email)::text)) AND ((email)::text ~~ '_%@_%'::text))),
    CONSTRAINT users_phone_e164 CHECK (((phone)::text ~ '^\+[1-9][0-9]{7,14}$'::text))
)
WITH (fillfactor='80');

ALTER TABLE ONLY debts
    ADD CONSTRAINT debts_pkey PRIMARY KEY (debt_id);

ALTER TABLE ONLY movements
    ADD CONSTRAINT movements_once UNIQUE NULLS NOT DISTINCT (kind, operation_id, debt_id);

ALTER TABLE ONLY movements
    ADD CONSTRAINT movements_pkey PRIMARY KEY (movement_id);

ALTER TABLE ONLY operations
    ADD CONSTRAINT operations_pkey PRIMARY KEY (kind, operation_id);

ALTER TABLE ONLY otp_challenges
    ADD CONSTRAINT otp_challenges_pkey PRIMARY KEY (challenge_id);

ALTER TABLE ONLY payment_disputes
    ADD CONSTRAINT payment_disputes_pkey PRIMARY KEY (dispute_id);

ALTER TABLE ONLY payments
    ADD CONSTRAINT payments_pkey PRIMARY KEY (payment_intent_id);

ALTER TABLE ONLY payments
    ADD CONSTRAINT payments_topup_unique UNIQUE (topup_id);

ALTER TABLE ONLY revocations
    ADD CONSTRAINT revocations_pkey PRIMARY KEY (seq);

ALTER TABLE ONLY saga_fences
    ADD CONSTRAINT saga_fences_pkey PRIMARY KEY (saga_id);

ALTER TABLE ONLY sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (session_id);

ALTER TABLE ONLY sessions
    ADD CONSTRAINT sessions_refresh_hash_unique UNIQUE (refresh_hash);

ALTER TABLE ONLY stripe_events
    ADD CONSTRAINT stripe_events_pkey PRIMARY KEY (event_id);

ALTER TABLE ONLY topups
    ADD CONSTRAINT topups_client_key_unique UNIQUE (user_id, client_key);

ALTER TABLE ONLY topups
    ADD CONSTRAINT topups_payment_intent_unique UNIQUE (payment_intent_id);

ALTER TABLE ONLY topups
    ADD CONSTRAINT topups_pkey PRIMARY KEY (topup_id);

ALTER TABLE ONLY users
    ADD CONSTRAINT users_email_unique UNIQUE (email);

ALTER TABLE ONLY users
    ADD CONSTRAINT users_pkey PRIMARY KEY (user_id);

CREATE INDEX debts_cause ON debts USING btree (cause_id);

CREATE INDEX debts_open ON debts USING btree (user_id, created_at) WHERE (remaining > (0)::numeric);

CREATE INDEX movements_of_user ON movements USING btree (user_id, movement_id DESC) WHERE (user_id IS NOT NULL);

CREATE INDEX otp_challenges_of_user ON otp_challenges USING btree (user_id, created_at DESC);

CREATE UNIQUE INDEX otp_challenges_one_live ON otp_challenges USING btree (user_id) WHERE (state = 'PENDING'::otp_state);

CREATE UNIQUE INDEX otp_challenges_one_sending ON otp_challenges USING btree (user_id) WHERE (state = 'SENDING'::otp_state);

CREATE INDEX payment_disputes_payment ON payment_disputes USING btree (payment_intent_id);

CREATE INDEX sessions_user ON sessions USING btree (user_id) WHERE (revoked_at IS NULL);

CREATE TRIGGER movements_are_final BEFORE DELETE OR UPDATE ON movements FOR EACH ROW EXECUTE FUNCTION movements_are_final();

CREATE TRIGGER movements_are_not_emptied BEFORE TRUNCATE ON movements FOR EACH STATEMENT EXECUTE FUNCTION movements_are_final();

CREATE TRIGGER movements_balance BEFORE INSERT ON movements FOR EACH ROW EXECUTE FUNCTION movements_balance();

CREATE TRIGGER movements_book AFTER INSERT ON movements FOR EACH ROW WHEN ((new.user_id IS NOT NULL)) EXECUTE FUNCTION movements_book();

CREATE TRIGGER movements_fill_debts AFTER INSERT ON movements FOR EACH ROW WHEN (((new.target = 'user'::account) AND (new.amount > (0)::numeric))) EXECUTE FUNCTION movements_fill_debts();

CREATE TRIGGER operations_transition BEFORE DELETE OR UPDATE ON operations FOR EACH ROW EXECUTE FUNCTION operations_transition();

CREATE TRIGGER otp_challenges_transition BEFORE UPDATE OF state ON otp_challenges FOR EACH ROW EXECUTE FUNCTION otp_challenges_transition();

CREATE TRIGGER users_balance_is_booked BEFORE INSERT OR UPDATE OF credit_balance ON users FOR EACH ROW EXECUTE FUNCTION users_balance_is_booked();

ALTER TABLE ONLY debts
    ADD CONSTRAINT debts_user_fkey FOREIGN KEY (user_id) REFERENCES users(user_id);

ALTER TABLE ONLY otp_challenges
    ADD CONSTRAINT otp_challenges_user_fkey FOREIGN KEY (user_id) REFERENCES users(user_id) ON DELETE CASCADE;

ALTER TABLE ONLY payment_disputes
    ADD CONSTRAINT payment_disputes_payment_fkey FOREIGN KEY (payment_intent_id) REFERENCES payments(payment_intent_id);

ALTER TABLE ONLY payments
    ADD CONSTRAINT payments_topup_fkey FOREIGN KEY (topup_id) REFERENCES topups(topup_id);

ALTER TABLE ONLY sessions
    ADD CONSTRAINT sessions_user_fkey FOREIGN KEY (user_id) REFERENCES users(user_id) ON DELETE CASCADE;

ALTER TABLE ONLY topups
    ADD CONSTRAINT topups_user_fkey FOREIGN KEY (user_id) REFERENCES users(user_id);
