-- Top-ups and what Stripe tells of them. Events come late, twice and out of order: each adds what it knows to its payment,
-- and the ledger is then brought to what the payment says.
-- +goose Up
CREATE TABLE topups (
    topup_id          uuid          NOT NULL CONSTRAINT topups_pkey PRIMARY KEY,
    user_id           uuid          NOT NULL CONSTRAINT topups_user_fkey REFERENCES users,
    amount            numeric(10,2) NOT NULL, -- asked for; what is credited is what Stripe says was paid
    client_key        varchar(255),           -- the client's Idempotency-Key
    payment_intent_id text CONSTRAINT topups_payment_intent_unique UNIQUE,
    credited_at       timestamptz,
    created_at        timestamptz   NOT NULL DEFAULT now(),
    CONSTRAINT topups_client_key_unique UNIQUE (user_id, client_key),
    CONSTRAINT topups_amount CHECK (amount > 0)
);

CREATE TABLE stripe_events (
    event_id          text        NOT NULL CONSTRAINT stripe_events_pkey PRIMARY KEY,
    type              text        NOT NULL,
    payment_intent_id text        NOT NULL,
    received_at       timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE payments (
    payment_intent_id text          NOT NULL CONSTRAINT payments_pkey PRIMARY KEY,
    topup_id          uuid CONSTRAINT payments_topup_unique UNIQUE CONSTRAINT payments_topup_fkey REFERENCES topups, -- the one it was credited for
    paid              numeric(10,2),                    -- null until Stripe says so
    currency          text,
    anomaly           text,                             -- paid, yet not credited: for a person to settle
    refunded          numeric(10,2) NOT NULL DEFAULT 0, -- in all, as Stripe counts it
    taken_back        numeric(10,2) NOT NULL DEFAULT 0, -- from the user, debts included
    created_at        timestamptz   NOT NULL DEFAULT now(),
    CONSTRAINT payments_credited CHECK (topup_id IS NULL OR paid IS NOT NULL AND anomaly IS NULL),
    CONSTRAINT payments_taken_back CHECK (taken_back = 0 OR topup_id IS NOT NULL AND taken_back BETWEEN 0 AND paid)
);

CREATE TABLE payment_disputes (
    dispute_id        text          NOT NULL CONSTRAINT payment_disputes_pkey PRIMARY KEY,
    payment_intent_id text          NOT NULL CONSTRAINT payment_disputes_payment_fkey REFERENCES payments,
    amount            numeric(10,2) NOT NULL CONSTRAINT payment_disputes_amount CHECK (amount >= 0),
    won               boolean       NOT NULL
);
CREATE INDEX payment_disputes_payment ON payment_disputes (payment_intent_id);

-- +goose StatementBegin
-- Takes p_amount back from a user into Stripe; what is short becomes a debt. The user is flagged.
CREATE FUNCTION payment_take_back(p_user uuid, p_topup uuid, p_operation uuid, p_kind movement_kind, p_amount numeric) RETURNS void LANGUAGE plpgsql AS $$
DECLARE part numeric;
BEGIN
    UPDATE users SET is_flagged = true WHERE user_id = p_user RETURNING least(credit_balance, p_amount) INTO part;
    INSERT INTO movements (kind, operation_id, source, source_id, target, amount, reference_id)
        VALUES (p_kind, p_operation, 'user', p_user, 'stripe', part, p_topup);
    IF part < p_amount THEN
        INSERT INTO debts (user_id, target, cause_id, amount, remaining) VALUES (p_user, 'stripe', p_topup, p_amount - part, p_amount - part);
    END IF;
END $$;

-- Gives back what was taken for a chargeback that was won: first what is still owed is forgiven, the rest is paid.
CREATE FUNCTION payment_give_back(p_user uuid, p_topup uuid, p_operation uuid, p_amount numeric) RETURNS void LANGUAGE plpgsql AS $$
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

-- Takes in one event. Null arguments are what the event does not speak of. Gives what came of it: duplicate, credited, recorded,
-- taken_back, given_back, or the anomaly for which it is not credited.
CREATE FUNCTION payment_event(
    p_event text, p_type text, p_intent text,
    p_topup uuid, p_paid numeric, p_currency text, p_want_currency text,
    p_refunded numeric,
    p_dispute text, p_dispute_amount numeric, p_dispute_won boolean
) RETURNS text LANGUAGE plpgsql AS $$
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
-- +goose StatementEnd
