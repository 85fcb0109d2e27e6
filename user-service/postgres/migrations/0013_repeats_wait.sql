-- +goose Up
-- A repeat locks what the first has written. It changes nothing, but writes to the log as the first did, and so it is not
-- answered before a standby has both: where all standbys are gone a reader sees what can still be lost.

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION credits_take(p_kind operation_kind, p_id uuid, p_user uuid, p_amount numeric, p_reference uuid) RETURNS numeric
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
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION credits_freeze(p_id uuid, p_user uuid, p_amount numeric, OUT frozen numeric, OUT short numeric) RETURNS record
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
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION credits_freeze_escrow(p_id uuid, p_dispute uuid, p_cover boolean) RETURNS numeric
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
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION credits_refund_tickets(p_ids uuid[], p_users uuid[], p_amounts numeric[], p_orders uuid[]) RETURNS void
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
-- +goose StatementEnd

-- +goose Down

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION credits_take(p_kind operation_kind, p_id uuid, p_user uuid, p_amount numeric, p_reference uuid) RETURNS numeric
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
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION credits_freeze(p_id uuid, p_user uuid, p_amount numeric, OUT frozen numeric, OUT short numeric) RETURNS record
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
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION credits_freeze_escrow(p_id uuid, p_dispute uuid, p_cover boolean) RETURNS numeric
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
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION credits_refund_tickets(p_ids uuid[], p_users uuid[], p_amounts numeric[], p_orders uuid[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE r record;
BEGIN
    FOR r IN SELECT * FROM unnest(p_ids, p_users, p_amounts, p_orders) AS refund (id, "user", amount, "order") ORDER BY "user", id LOOP
        INSERT INTO movements (kind, operation_id, source, target, target_id, amount, reference_id)
            VALUES ('ticket_refund', r.id, 'platform', 'user', r."user", r.amount, r."order")
            ON CONFLICT ON CONSTRAINT movements_once DO NOTHING;
        IF NOT FOUND THEN
            PERFORM FROM movements WHERE kind = 'ticket_refund' AND operation_id = r.id AND target_id = r."user" AND amount = r.amount;
            IF NOT FOUND THEN PERFORM refuse('operation_differs'); END IF;
        END IF;
    END LOOP;
END $$;
-- +goose StatementEnd
