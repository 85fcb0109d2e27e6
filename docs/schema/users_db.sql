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
    'debt_fill',
    'refund_return',
    'ticket_refund',
    'sale_fee'
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

CREATE TYPE sms_kind AS ENUM (
    'claim',
    'asked',
    'known',
    'own'
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

CREATE FUNCTION credits_escrow_release(p_id uuid, p_to uuid, p_fee numeric) RETURNS numeric
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
    IF p_fee < 0 OR p_fee > o.amount THEN PERFORM refuse('operation_differs'); END IF;
    UPDATE operations SET state = 'RELEASED', released_to = p_to WHERE kind = 'escrow' AND operation_id = p_id;
    IF p_fee > 0 THEN
        INSERT INTO movements (kind, operation_id, source, source_id, target, amount, reference_id)
            VALUES ('sale_fee', p_id, 'escrow', p_id, 'platform', p_fee, o.reference_id);
    END IF;
    INSERT INTO movements (kind, operation_id, source, source_id, target, target_id, amount, reference_id)
        VALUES ('escrow_release', p_id, 'escrow', p_id, 'user', p_to, o.amount - p_fee, o.reference_id);
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
    INSERT INTO operations AS t (kind, operation_id, state, user_id, amount) VALUES ('freeze', p_id, 'DONE', p_user, p_amount)
        ON CONFLICT (kind, operation_id) DO UPDATE SET state = t.state WHERE false;
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
    INSERT INTO operations AS t (kind, operation_id, state, user_id, amount, dispute_id)
        SELECT 'escrow', p_id, 'DONE', user_id, amount, p_dispute FROM operations
        WHERE kind = 'freeze' AND operation_id = p_dispute AND state <> 'VOID'
        ON CONFLICT (kind, operation_id) DO UPDATE SET state = t.state WHERE false RETURNING * INTO o;
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

CREATE FUNCTION credits_refund_tickets(p_ids uuid[], p_users uuid[], p_amounts numeric[], p_orders uuid[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE r record;
BEGIN
    FOR r IN SELECT * FROM unnest(p_ids, p_users, p_amounts, p_orders) AS refund (id, "user", amount, "order") ORDER BY "user", id LOOP
        INSERT INTO movements AS m (kind, operation_id, source, target, target_id, amount, reference_id)
            VALUES ('ticket_refund', r.id, 'platform', 'user', r."user", r.amount, r."order")
            ON CONFLICT ON CONSTRAINT movements_once DO UPDATE SET amount = m.amount WHERE false;
        IF NOT FOUND THEN
            PERFORM FROM movements WHERE kind = 'ticket_refund' AND operation_id = r.id AND target_id = r."user" AND amount = r.amount;
            IF NOT FOUND THEN PERFORM refuse('operation_differs'); END IF;
        END IF;
    END LOOP;
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
    INSERT INTO operations AS t (kind, operation_id, state, user_id, amount, reference_id)
        VALUES (p_kind, p_id, 'DONE', p_user, p_amount, p_reference)
        ON CONFLICT (kind, operation_id) DO UPDATE SET state = t.state WHERE false;
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

CREATE FUNCTION mail_key(email text) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$ SELECT 'mail ' || regexp_replace(email, '\+[^@]*@', '@') $$;

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

CREATE FUNCTION password_try(p_keys bytea[], p_free integer[], p_most interval[], p_forget interval[]) RETURNS double precision
    LANGUAGE plpgsql
    AS $$
DECLARE
    k record;
    t timestamptz := clock_timestamp();
    w timestamptz;
BEGIN
    FOR k IN SELECT * FROM unnest(p_keys, p_free, p_most, p_forget) AS a (key, free, most, forget) ORDER BY key LOOP
        INSERT INTO password_tries (key, wrong, last_at, next_at) VALUES (k.key, 0, t, '-infinity') ON CONFLICT (key) DO NOTHING;
        SELECT next_at INTO w FROM password_tries WHERE key = k.key FOR UPDATE;
        IF w > clock_timestamp() THEN RETURN extract(epoch FROM w - clock_timestamp()); END IF;
    END LOOP;
    t := clock_timestamp();
    UPDATE password_tries p SET wrong = n.wrong, last_at = t,
        next_at = CASE WHEN n.wrong > n.free THEN t + least(n.most, interval '1 second' * power(2, least(n.wrong - n.free - 1, 20))) ELSE '-infinity' END
    FROM (SELECT a.key, a.free, a.most, CASE WHEN q.last_at < t - a.forget THEN 1 ELSE q.wrong + 1 END AS wrong
          FROM unnest(p_keys, p_free, p_most, p_forget) AS a (key, free, most, forget) JOIN password_tries q USING (key)) n
    WHERE p.key = n.key;
    RETURN 0;
END $$;

CREATE TABLE payments (
    payment_intent_id text NOT NULL,
    topup_id uuid,
    paid numeric(10,2),
    currency text,
    anomaly text,
    refunded numeric(10,2) DEFAULT 0 NOT NULL,
    taken_back numeric(10,2) DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    refunded_as_of timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    CONSTRAINT payments_credited CHECK (((topup_id IS NULL) OR ((paid IS NOT NULL) AND (anomaly IS NULL)))),
    CONSTRAINT payments_taken_back CHECK (((taken_back = (0)::numeric) OR ((topup_id IS NOT NULL) AND ((taken_back >= (0)::numeric) AND (taken_back <= paid)))))
);

CREATE FUNCTION payment_due(p payments, p_currency text) RETURNS numeric
    LANGUAGE sql STABLE
    AS $$
    SELECT least(p.paid,
        greatest(p.refunded - (SELECT coalesce(sum(amount), 0) FROM failed_refunds f
            WHERE f.payment_intent_id = p.payment_intent_id AND f.failed_at >= p.refunded_as_of), 0)
        + (SELECT coalesce(sum(amount), 0) FROM payment_disputes d
            WHERE d.payment_intent_id = p.payment_intent_id AND NOT d.won AND coalesce(d.currency, p_currency) = p_currency))
$$;

CREATE FUNCTION payment_event(p_event text, p_type text, p_intent text, p_topup uuid, p_paid numeric, p_currency text, p_want_currency text, p_refunded numeric, p_dispute text, p_dispute_amount numeric, p_dispute_won boolean) RETURNS text
    LANGUAGE sql
    AS $$
    SELECT payment_told(jsonb_strip_nulls(jsonb_build_object('event_id', p_event, 'type', p_type, 'payment_intent_id', p_intent, 'object_id', coalesce(p_dispute, p_intent),
        'topup_id', p_topup, 'paid', p_paid, 'currency', nullif(p_currency, ''), 'our_currency', p_want_currency, 'refunded', p_refunded,
        'dispute', CASE WHEN p_dispute IS NOT NULL THEN jsonb_build_object('amount', p_dispute_amount, 'won', p_dispute_won) END)))
$$;

CREATE FUNCTION payment_give_back(p_user uuid, p_topup uuid, p_operation uuid, p_kind movement_kind, p_amount numeric) RETURNS void
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
        VALUES (p_kind, p_operation, 'stripe', 'user', p_user, due, p_topup);
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

CREATE FUNCTION payment_told(e jsonb) RETURNS text
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_intent   text := e->>'payment_intent_id';
    v_currency text := e->>'currency';
    v_want     text := e->>'our_currency';
    v_told     timestamptz := coalesce((e->>'told_at')::timestamptz, now());
    p          payments;
    t          topups;
    operation  uuid := md5(e->>'event_id')::uuid;
    outcome    text := 'recorded';
    foreign_   text; -- what is in another currency
    due        numeric;
BEGIN
    INSERT INTO stripe_events (event_id, type, payment_intent_id) VALUES (e->>'event_id', e->>'type', v_intent) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN RETURN 'duplicate'; END IF;
    IF e ? 'failure' OR e ? 'cancelled' THEN -- no money moved
        UPDATE topups SET failed_at    = CASE WHEN e ? 'failure' THEN greatest(failed_at, v_told) ELSE failed_at END,
                          failure_code = coalesce(e->'failure'->>'code', failure_code), failure = coalesce(e->'failure'->>'message', failure),
                          cancelled_at = CASE WHEN e ? 'cancelled' THEN v_told ELSE cancelled_at END
            WHERE topup_id = (e->>'topup_id')::uuid AND coalesce(payment_intent_id, v_intent) = v_intent
              AND coalesce(failed_at, '-infinity') <= v_told;
        RETURN outcome;
    END IF;
    INSERT INTO payments (payment_intent_id) VALUES (v_intent) ON CONFLICT DO NOTHING;
    SELECT * INTO p FROM payments WHERE payment_intent_id = v_intent FOR UPDATE;

    IF e ? 'paid' AND p.paid IS NULL THEN
        SELECT * INTO t FROM topups WHERE topup_id = (e->>'topup_id')::uuid FOR UPDATE;
        p.anomaly := CASE
            WHEN t.topup_id IS NULL THEN 'unknown_topup'
            WHEN v_currency <> v_want THEN 'wrong_currency'
            WHEN t.credited_at IS NOT NULL THEN 'topup_paid_twice' END;
        p.paid := (e->>'paid')::numeric;
        p.currency := v_currency;
        IF p.anomaly IS NULL THEN
            p.topup_id := t.topup_id;
            UPDATE topups SET payment_intent_id = v_intent, credited_at = now() WHERE topup_id = t.topup_id;
            INSERT INTO movements (kind, operation_id, source, target, target_id, amount, reference_id)
                VALUES ('topup', t.topup_id, 'stripe', 'user', t.user_id, p.paid, t.topup_id);
        END IF;
        outcome := coalesce(p.anomaly, 'credited');
        UPDATE payments SET topup_id = p.topup_id, paid = p.paid, currency = p.currency, anomaly = p.anomaly WHERE payment_intent_id = v_intent;
    ELSE
        SELECT * INTO t FROM topups WHERE topup_id = p.topup_id;
    END IF;

    IF v_currency <> v_want AND NOT e ? 'paid' THEN -- another currency's amount is no amount of credits
        foreign_ := CASE WHEN e ? 'dispute' THEN 'dispute_currency' ELSE 'refund_currency' END;
        INSERT INTO payment_anomalies (payment_intent_id, kind, subject, amount, currency)
            VALUES (v_intent, foreign_, e->>'object_id', coalesce(e->'dispute'->>'amount', e->'failed_refund'->>'amount', e->>'refunded')::numeric, v_currency)
            ON CONFLICT DO NOTHING;
        outcome := foreign_;
    END IF;
    IF e ? 'refunded' AND foreign_ IS NULL AND (v_told, (e->>'refunded')::numeric) > (p.refunded_as_of, p.refunded) THEN -- cumulative: a late event says nothing new
        UPDATE payments SET refunded = (e->>'refunded')::numeric, refunded_as_of = v_told WHERE payment_intent_id = v_intent;
    END IF;
    IF e ? 'failed_refund' AND foreign_ IS NULL THEN
        INSERT INTO failed_refunds (refund_id, payment_intent_id, amount, failed_at)
            VALUES (e->>'object_id', v_intent, (e->'failed_refund'->>'amount')::numeric, v_told) ON CONFLICT DO NOTHING;
    END IF;
    IF e ? 'dispute' THEN -- once won it stays won, though its opening be told later
        INSERT INTO payment_disputes AS d (dispute_id, payment_intent_id, amount, currency, won)
            VALUES (e->>'object_id', v_intent, (e->'dispute'->>'amount')::numeric, v_currency, (e->'dispute'->>'won')::boolean)
            ON CONFLICT (dispute_id) DO UPDATE SET amount = excluded.amount, currency = excluded.currency, won = d.won OR excluded.won;
    END IF;

    IF p.topup_id IS NULL THEN RETURN outcome; END IF;
    SELECT * INTO p FROM payments WHERE payment_intent_id = v_intent;
    due := payment_due(p, v_want) - p.taken_back;
    IF due > 0 THEN
        PERFORM payment_take_back(t.user_id, t.topup_id, operation, CASE WHEN e ? 'dispute' THEN 'chargeback' ELSE 'refund' END::movement_kind, due);
        outcome := 'taken_back';
    ELSIF due < 0 THEN
        PERFORM payment_give_back(t.user_id, t.topup_id, operation, CASE WHEN e ? 'dispute' THEN 'chargeback_return' ELSE 'refund_return' END::movement_kind, -due);
        outcome := 'given_back';
    END IF;
    UPDATE payments SET taken_back = taken_back + due WHERE payment_intent_id = v_intent AND due <> 0;
    RETURN outcome;
END $$;

CREATE FUNCTION payments_note_anomaly() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO payment_anomalies (payment_intent_id, kind, subject, amount, currency)
        VALUES (NEW.payment_intent_id, NEW.anomaly, NEW.payment_intent_id, NEW.paid, NEW.currency) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;

CREATE FUNCTION phone_key(phone text) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$ SELECT 'phone ' || phone $$;

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

CREATE FUNCTION users_are_people() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE of_phone uuid; of_mail uuid;
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.is_verified THEN -- what this account has left, and nobody else has, leads to it no more
        DELETE FROM people WHERE key = phone_key(OLD.phone) AND (OLD.phone <> NEW.phone OR NOT NEW.is_verified)
            AND NOT EXISTS (SELECT FROM users WHERE phone = OLD.phone AND is_verified AND user_id <> OLD.user_id);
        DELETE FROM people WHERE key = mail_key(OLD.email) AND mail_key(OLD.email) <> mail_key(NEW.email)
            AND NOT EXISTS (SELECT FROM users WHERE mail_key(email) = mail_key(OLD.email) AND is_verified AND user_id <> OLD.user_id);
    END IF;
    IF NEW.is_verified THEN
        INSERT INTO people VALUES (phone_key(NEW.phone), NEW.user_id) ON CONFLICT DO NOTHING;
        SELECT person_id INTO of_phone FROM people WHERE key = phone_key(NEW.phone);
        INSERT INTO people VALUES (mail_key(NEW.email), of_phone) ON CONFLICT DO NOTHING;
        SELECT person_id INTO of_mail FROM people WHERE key = mail_key(NEW.email);
        IF of_mail <> of_phone THEN -- two turn out to be one: the older's id stays
            UPDATE people SET person_id = least(of_mail, of_phone) WHERE person_id = greatest(of_mail, of_phone);
        END IF;
    END IF;
    RETURN NULL;
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

CREATE TABLE failed_refunds (
    refund_id text NOT NULL,
    payment_intent_id text NOT NULL,
    amount numeric(10,2) NOT NULL,
    failed_at timestamp with time zone NOT NULL,
    CONSTRAINT failed_refunds_amount CHECK ((amount >= (0)::numeric))
);

CREATE TABLE known_origins (
    user_id uuid NOT NULL,
    origin text NOT NULL,
    seen_at timestamp with time zone DEFAULT now() NOT NULL
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
    judged_code bytea,
    judged_since timestamp with time zone,
    CONSTRAINT otp_challenges_answer CHECK ((((answered_code IS NULL) = (answer IS NULL)) AND ((answer IS NULL) = (answered_at IS NULL)))),
    CONSTRAINT otp_challenges_judged CHECK (((judged_code IS NULL) = (judged_since IS NULL))),
    CONSTRAINT otp_challenges_reference CHECK (((purpose <> ALL (ARRAY['purchase'::otp_purpose, 'transfer'::otp_purpose])) OR (reference_id IS NOT NULL))),
    CONSTRAINT otp_challenges_tries CHECK (((tries >= 0) AND (tries <= 3)))
);

CREATE TABLE password_tries (
    key bytea NOT NULL,
    wrong integer NOT NULL,
    last_at timestamp with time zone NOT NULL,
    next_at timestamp with time zone NOT NULL,
    CONSTRAINT password_tries_wrong CHECK ((wrong >= 0))
)
WITH (fillfactor='80');

CREATE TABLE payment_anomalies (
    payment_intent_id text NOT NULL,
    kind text NOT NULL,
    subject text NOT NULL,
    amount numeric(10,2),
    currency text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    resolved_at timestamp with time zone,
    resolved_by uuid,
    reason text,
    CONSTRAINT payment_anomalies_resolved CHECK (((resolved_at IS NULL) = (reason IS NULL)))
);

CREATE TABLE payment_disputes (
    dispute_id text NOT NULL,
    payment_intent_id text NOT NULL,
    amount numeric(10,2) NOT NULL,
    won boolean NOT NULL,
    currency text,
    CONSTRAINT payment_disputes_amount CHECK ((amount >= (0)::numeric))
);

CREATE TABLE people (
    key text NOT NULL,
    person_id uuid NOT NULL
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

CREATE TABLE sms_sent (
    challenge_id uuid NOT NULL,
    phone character varying(20) NOT NULL,
    kind sms_kind NOT NULL,
    user_id uuid NOT NULL,
    counterparty_id uuid,
    origin text,
    sent_at timestamp with time zone DEFAULT now() NOT NULL
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
    failed_at timestamp with time zone,
    failure_code text,
    failure text,
    cancelled_at timestamp with time zone,
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
    phone_exclusive boolean DEFAULT false NOT NULL,
    phone_lost_at timestamp with time zone,
    CONSTRAINT users_credit_balance_not_negative CHECK ((credit_balance >= (0)::numeric)),
    CONSTRAINT users_email_lower CHECK ((((email)::text = lower((email)::text)) AND ((email)::text ~~ '_%@_%'::text))),
    CONSTRAINT users_phone_e164 CHECK (((phone)::text ~ '^\+[1-9][0-9]{7,14}$'::text))
)
WITH (fillfactor='80');

CREATE TABLE wrong_codes (
    wrong_id bigint NOT NULL,
    user_id uuid NOT NULL,
    purpose otp_purpose NOT NULL,
    challenge_id uuid NOT NULL,
    entered_by text NOT NULL,
    entered_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

ALTER TABLE wrong_codes ALTER COLUMN wrong_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME wrong_codes_wrong_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

ALTER TABLE ONLY debts
    ADD CONSTRAINT debts_pkey PRIMARY KEY (debt_id);

ALTER TABLE ONLY failed_refunds
    ADD CONSTRAINT failed_refunds_pkey PRIMARY KEY (refund_id);

ALTER TABLE ONLY known_origins
    ADD CONSTRAINT known_origins_pkey PRIMARY KEY (user_id, origin);

ALTER TABLE ONLY movements
    ADD CONSTRAINT movements_once UNIQUE NULLS NOT DISTINCT (kind, operation_id, debt_id);

ALTER TABLE ONLY movements
    ADD CONSTRAINT movements_pkey PRIMARY KEY (movement_id);

ALTER TABLE ONLY operations
    ADD CONSTRAINT operations_pkey PRIMARY KEY (kind, operation_id);

ALTER TABLE ONLY otp_challenges
    ADD CONSTRAINT otp_challenges_pkey PRIMARY KEY (challenge_id);

ALTER TABLE ONLY password_tries
    ADD CONSTRAINT password_tries_pkey PRIMARY KEY (key);

ALTER TABLE ONLY payment_anomalies
    ADD CONSTRAINT payment_anomalies_pkey PRIMARY KEY (payment_intent_id, kind, subject);

ALTER TABLE ONLY payment_disputes
    ADD CONSTRAINT payment_disputes_pkey PRIMARY KEY (dispute_id);

ALTER TABLE ONLY payments
    ADD CONSTRAINT payments_pkey PRIMARY KEY (payment_intent_id);

ALTER TABLE ONLY payments
    ADD CONSTRAINT payments_topup_unique UNIQUE (topup_id);

ALTER TABLE ONLY people
    ADD CONSTRAINT people_pkey PRIMARY KEY (key);

ALTER TABLE ONLY revocations
    ADD CONSTRAINT revocations_pkey PRIMARY KEY (seq);

ALTER TABLE ONLY saga_fences
    ADD CONSTRAINT saga_fences_pkey PRIMARY KEY (saga_id);

ALTER TABLE ONLY sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (session_id);

ALTER TABLE ONLY sessions
    ADD CONSTRAINT sessions_refresh_hash_unique UNIQUE (refresh_hash);

ALTER TABLE ONLY sms_sent
    ADD CONSTRAINT sms_sent_pkey PRIMARY KEY (challenge_id);

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

ALTER TABLE ONLY wrong_codes
    ADD CONSTRAINT wrong_codes_pkey PRIMARY KEY (wrong_id);

CREATE INDEX debts_cause ON debts USING btree (cause_id);

CREATE INDEX debts_open ON debts USING btree (user_id, created_at) WHERE (remaining > (0)::numeric);

CREATE INDEX failed_refunds_payment ON failed_refunds USING btree (payment_intent_id);

CREATE INDEX known_origins_seen ON known_origins USING btree (seen_at);

CREATE INDEX movements_of_user ON movements USING btree (user_id, movement_id DESC) WHERE (user_id IS NOT NULL);

CREATE INDEX operations_open ON operations USING btree (kind) INCLUDE (amount) WHERE ((state = 'DONE'::operation_state) AND (kind <> 'purchase'::operation_kind));

CREATE INDEX otp_challenges_of_user ON otp_challenges USING btree (user_id, created_at DESC);

CREATE UNIQUE INDEX otp_challenges_one_live ON otp_challenges USING btree (user_id) WHERE (state = 'PENDING'::otp_state);

CREATE UNIQUE INDEX otp_challenges_one_live_of_phone ON otp_challenges USING btree (phone) WHERE ((state = 'PENDING'::otp_state) AND (method = 'sms'::otp_method));

CREATE UNIQUE INDEX otp_challenges_one_sending ON otp_challenges USING btree (user_id) WHERE (state = 'SENDING'::otp_state);

CREATE UNIQUE INDEX otp_challenges_one_sending_to_phone ON otp_challenges USING btree (phone) WHERE ((state = 'SENDING'::otp_state) AND (method = 'sms'::otp_method));

CREATE INDEX password_tries_last ON password_tries USING btree (last_at);

CREATE INDEX payment_anomalies_open ON payment_anomalies USING btree (created_at) WHERE (resolved_at IS NULL);

CREATE INDEX payment_disputes_payment ON payment_disputes USING btree (payment_intent_id);

CREATE INDEX people_person ON people USING btree (person_id);

CREATE INDEX sessions_user ON sessions USING btree (user_id) WHERE (revoked_at IS NULL);

CREATE INDEX sms_sent_at ON sms_sent USING btree (sent_at);

CREATE INDEX sms_sent_because_of ON sms_sent USING btree (counterparty_id, sent_at) WHERE (counterparty_id IS NOT NULL);

CREATE INDEX sms_sent_from ON sms_sent USING btree (origin, sent_at) WHERE (origin IS NOT NULL);

CREATE INDEX sms_sent_of_user ON sms_sent USING btree (user_id, sent_at);

CREATE INDEX sms_sent_to_phone ON sms_sent USING btree (phone, sent_at);

CREATE INDEX topups_of_user ON topups USING btree (user_id, created_at);

CREATE INDEX topups_under_way ON topups USING btree (created_at) WHERE ((credited_at IS NULL) AND (failed_at IS NULL) AND (cancelled_at IS NULL));

CREATE INDEX users_mail_key ON users USING btree (mail_key((email)::text)) WHERE is_verified;

CREATE INDEX users_phone ON users USING btree (phone) WHERE is_verified;

CREATE UNIQUE INDEX users_phone_exclusive ON users USING btree (phone) WHERE (is_verified AND phone_exclusive);

CREATE INDEX users_unverified ON users USING btree (created_at) WHERE ((NOT is_verified) AND (phone_lost_at IS NULL));

CREATE INDEX wrong_codes_at ON wrong_codes USING btree (entered_at);

CREATE INDEX wrong_codes_of_user ON wrong_codes USING btree (user_id, purpose, entered_at);

CREATE TRIGGER movements_are_final BEFORE DELETE OR UPDATE ON movements FOR EACH ROW EXECUTE FUNCTION movements_are_final();

CREATE TRIGGER movements_are_not_emptied BEFORE TRUNCATE ON movements FOR EACH STATEMENT EXECUTE FUNCTION movements_are_final();

CREATE TRIGGER movements_balance BEFORE INSERT ON movements FOR EACH ROW EXECUTE FUNCTION movements_balance();

CREATE TRIGGER movements_book AFTER INSERT ON movements FOR EACH ROW WHEN ((new.user_id IS NOT NULL)) EXECUTE FUNCTION movements_book();

CREATE TRIGGER movements_fill_debts AFTER INSERT ON movements FOR EACH ROW WHEN (((new.target = 'user'::account) AND (new.amount > (0)::numeric))) EXECUTE FUNCTION movements_fill_debts();

CREATE TRIGGER operations_transition BEFORE DELETE OR UPDATE ON operations FOR EACH ROW EXECUTE FUNCTION operations_transition();

CREATE TRIGGER otp_challenges_transition BEFORE UPDATE OF state ON otp_challenges FOR EACH ROW EXECUTE FUNCTION otp_challenges_transition();

CREATE TRIGGER payments_note_anomaly AFTER INSERT OR UPDATE OF anomaly ON payments FOR EACH ROW WHEN ((new.anomaly IS NOT NULL)) EXECUTE FUNCTION payments_note_anomaly();

CREATE TRIGGER users_are_people AFTER INSERT OR UPDATE OF phone, email, is_verified ON users FOR EACH ROW EXECUTE FUNCTION users_are_people();

CREATE TRIGGER users_balance_is_booked BEFORE INSERT OR UPDATE OF credit_balance ON users FOR EACH ROW EXECUTE FUNCTION users_balance_is_booked();

ALTER TABLE ONLY debts
    ADD CONSTRAINT debts_user_fkey FOREIGN KEY (user_id) REFERENCES users(user_id);

ALTER TABLE ONLY failed_refunds
    ADD CONSTRAINT failed_refunds_payment_fkey FOREIGN KEY (payment_intent_id) REFERENCES payments(payment_intent_id);

ALTER TABLE ONLY known_origins
    ADD CONSTRAINT known_origins_user_fkey FOREIGN KEY (user_id) REFERENCES users(user_id) ON DELETE CASCADE;

ALTER TABLE ONLY otp_challenges
    ADD CONSTRAINT otp_challenges_user_fkey FOREIGN KEY (user_id) REFERENCES users(user_id) ON DELETE CASCADE;

ALTER TABLE ONLY payment_anomalies
    ADD CONSTRAINT payment_anomalies_payment_fkey FOREIGN KEY (payment_intent_id) REFERENCES payments(payment_intent_id);

ALTER TABLE ONLY payment_disputes
    ADD CONSTRAINT payment_disputes_payment_fkey FOREIGN KEY (payment_intent_id) REFERENCES payments(payment_intent_id);

ALTER TABLE ONLY payments
    ADD CONSTRAINT payments_topup_fkey FOREIGN KEY (topup_id) REFERENCES topups(topup_id);

ALTER TABLE ONLY sessions
    ADD CONSTRAINT sessions_user_fkey FOREIGN KEY (user_id) REFERENCES users(user_id) ON DELETE CASCADE;

ALTER TABLE ONLY topups
    ADD CONSTRAINT topups_user_fkey FOREIGN KEY (user_id) REFERENCES users(user_id);

ALTER TABLE ONLY wrong_codes
    ADD CONSTRAINT wrong_codes_user_fkey FOREIGN KEY (user_id) REFERENCES users(user_id) ON DELETE CASCADE;
