-- Failed refunds are given back; what does not fit is kept for a person; a top-up tells where it stands.
-- +goose Up
ALTER TABLE topups
    ADD COLUMN failed_at    timestamptz, -- a payment was refused; another card may still pay
    ADD COLUMN failure_code text,
    ADD COLUMN failure      text,        -- Stripe's words for the payer
    ADD COLUMN cancelled_at timestamptz;
CREATE INDEX topups_of_user ON topups (user_id, created_at);

ALTER TABLE payments ADD COLUMN refunded_as_of timestamptz NOT NULL DEFAULT '-infinity'; -- when Stripe counted refunded

-- A refund that failed: the money is with us again.
CREATE TABLE failed_refunds (
    refund_id         text          NOT NULL CONSTRAINT failed_refunds_pkey PRIMARY KEY,
    payment_intent_id text          NOT NULL CONSTRAINT failed_refunds_payment_fkey REFERENCES payments,
    amount            numeric(10,2) NOT NULL CONSTRAINT failed_refunds_amount CHECK (amount >= 0),
    failed_at         timestamptz   NOT NULL
);
CREATE INDEX failed_refunds_payment ON failed_refunds (payment_intent_id);

ALTER TABLE payment_disputes ADD COLUMN currency text; -- null: told of before this was kept, and taken for ours

ALTER TYPE movement_kind ADD VALUE 'refund_return';

-- What Stripe said and did not fit, until a person has settled it.
CREATE TABLE payment_anomalies (
    payment_intent_id text        NOT NULL CONSTRAINT payment_anomalies_payment_fkey REFERENCES payments,
    kind              text        NOT NULL, -- unknown_topup, wrong_currency, topup_paid_twice, refund_currency, dispute_currency
    subject           text        NOT NULL, -- the payment, charge, refund or dispute
    amount            numeric(10,2),
    currency          text,
    created_at        timestamptz NOT NULL DEFAULT now(),
    resolved_at       timestamptz,
    resolved_by       uuid,
    reason            text,
    CONSTRAINT payment_anomalies_pkey PRIMARY KEY (payment_intent_id, kind, subject),
    CONSTRAINT payment_anomalies_resolved CHECK ((resolved_at IS NULL) = (reason IS NULL))
);
CREATE INDEX payment_anomalies_open ON payment_anomalies (created_at) WHERE resolved_at IS NULL;

-- +goose StatementBegin
CREATE FUNCTION payments_note_anomaly() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO payment_anomalies (payment_intent_id, kind, subject, amount, currency)
        VALUES (NEW.payment_intent_id, NEW.anomaly, NEW.payment_intent_id, NEW.paid, NEW.currency) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER payments_note_anomaly AFTER INSERT OR UPDATE OF anomaly ON payments
    FOR EACH ROW WHEN (NEW.anomaly IS NOT NULL) EXECUTE FUNCTION payments_note_anomaly();
UPDATE payments SET anomaly = anomaly WHERE anomaly IS NOT NULL;

-- +goose StatementBegin
-- Gives back what was taken for a chargeback that was won or a refund that failed: first what is still owed is forgiven, the rest is paid.
CREATE FUNCTION payment_give_back(p_user uuid, p_topup uuid, p_operation uuid, p_kind movement_kind, p_amount numeric) RETURNS void LANGUAGE plpgsql AS $$
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

-- What is due to be taken back of a payment in all: refunds that did not fail and chargebacks that stand, each in our currency. A failure
-- that is older than Stripe's count is in the count already.
CREATE FUNCTION payment_due(p payments, p_currency text) RETURNS numeric LANGUAGE sql STABLE AS $$
    SELECT least(p.paid,
        greatest(p.refunded - (SELECT coalesce(sum(amount), 0) FROM failed_refunds f
            WHERE f.payment_intent_id = p.payment_intent_id AND f.failed_at >= p.refunded_as_of), 0)
        + (SELECT coalesce(sum(amount), 0) FROM payment_disputes d
            WHERE d.payment_intent_id = p.payment_intent_id AND NOT d.won AND coalesce(d.currency, p_currency) = p_currency))
$$;

-- Takes in one event: the object that user.PaymentEvent is as JSON. A key that is not there is what the event does not speak of. Gives what
-- came of it: duplicate, credited, recorded, taken_back, given_back, or what does not fit about it.
CREATE FUNCTION payment_told(e jsonb) RETURNS text LANGUAGE plpgsql AS $$
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

-- As programs before this one call it.
CREATE OR REPLACE FUNCTION payment_event(
    p_event text, p_type text, p_intent text,
    p_topup uuid, p_paid numeric, p_currency text, p_want_currency text,
    p_refunded numeric,
    p_dispute text, p_dispute_amount numeric, p_dispute_won boolean
) RETURNS text LANGUAGE sql AS $$
    SELECT payment_told(jsonb_strip_nulls(jsonb_build_object('event_id', p_event, 'type', p_type, 'payment_intent_id', p_intent, 'object_id', coalesce(p_dispute, p_intent),
        'topup_id', p_topup, 'paid', p_paid, 'currency', nullif(p_currency, ''), 'our_currency', p_want_currency, 'refunded', p_refunded,
        'dispute', CASE WHEN p_dispute IS NOT NULL THEN jsonb_build_object('amount', p_dispute_amount, 'won', p_dispute_won) END)))
$$;
DROP FUNCTION payment_give_back(uuid, uuid, uuid, numeric);
-- +goose StatementEnd
