-- What the sagas do with credits, each under the caller's operation id. A function is one round trip and one commit; its
-- statements see what committed while it waited for a lock, which one big statement would not. Locks are taken in one order:
-- operation (a reversal's before its dispute's), user, debts. A refusal is raised, so it leaves nothing behind.
-- +goose Up
CREATE TYPE operation_kind AS ENUM ('purchase', 'escrow', 'freeze');
CREATE TYPE operation_state AS ENUM ('DONE', 'UNDONE', 'VOID', 'RELEASED', 'TAKEN');

-- DONE -> UNDONE; an escrow DONE -> RELEASED; a freeze DONE <-> TAKEN (by a reversal). VOID: undone before it was done.
CREATE TABLE operations (
    kind         operation_kind  NOT NULL,
    operation_id uuid            NOT NULL,
    state        operation_state NOT NULL,
    user_id      uuid,
    amount       numeric(10,2),
    reference_id uuid,
    dispute_id   uuid, -- of an escrow filled from a dispute's frozen credits
    released_to  uuid,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT operations_pkey PRIMARY KEY (kind, operation_id),
    CONSTRAINT operations_void CHECK ((state = 'VOID') = (user_id IS NULL) AND (state = 'VOID') = (amount IS NULL)),
    CONSTRAINT operations_amount CHECK (amount >= 0),
    CONSTRAINT operations_released CHECK ((state = 'RELEASED') = (released_to IS NOT NULL)),
    CONSTRAINT operations_state_of_kind CHECK (state <> 'RELEASED' OR kind = 'escrow'),
    CONSTRAINT operations_taken CHECK (state <> 'TAKEN' OR kind = 'freeze')
);

-- +goose StatementBegin
CREATE FUNCTION operations_transition() RETURNS trigger LANGUAGE plpgsql AS $$
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

CREATE FUNCTION refuse(name text, detail text DEFAULT '') RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'refused: %', name USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = name, DETAIL = detail;
END $$;

CREATE FUNCTION balance_of(p_user uuid) RETURNS numeric LANGUAGE sql AS 'SELECT credit_balance FROM users WHERE user_id = p_user';

-- Takes credits from a user: a purchase pays the platform, an escrow keeps them under its own id. Gives the balance after.
CREATE FUNCTION credits_take(p_kind operation_kind, p_id uuid, p_user uuid, p_amount numeric, p_reference uuid) RETURNS numeric LANGUAGE plpgsql AS $$
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

-- Undoes a purchase, or marks one that has not come so that it never will. True if credits went back.
CREATE FUNCTION credits_return(p_id uuid) RETURNS boolean LANGUAGE plpgsql AS $$
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

-- Pays an escrow out. Gives the receiver's balance.
CREATE FUNCTION credits_escrow_release(p_id uuid, p_to uuid) RETURNS numeric LANGUAGE plpgsql AS $$
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

-- Undoes an escrow: back to the user, or, where it was filled from a dispute, back among the frozen. What the platform had
-- covered goes back to it, less what the debt has paid it since: that now belongs to the frozen.
CREATE FUNCTION credits_escrow_return(p_id uuid) RETURNS boolean LANGUAGE plpgsql AS $$
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

-- Freezes credits of a user under a dispute's id; what is short becomes a debt. A repeat gives what is frozen and short now.
CREATE FUNCTION credits_freeze(p_id uuid, p_user uuid, p_amount numeric, OUT frozen numeric, OUT short numeric) LANGUAGE plpgsql AS $$
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

-- Undoes a freeze: what was frozen goes back, what was short is owed no more.
CREATE FUNCTION credits_unfreeze(p_id uuid) RETURNS boolean LANGUAGE plpgsql AS $$
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

-- Moves what a dispute froze into an escrow under the reversal's id. What is short refuses it, or is covered by the platform,
-- which the debt is then owed to. Gives the whole amount.
CREATE FUNCTION credits_freeze_escrow(p_id uuid, p_dispute uuid, p_cover boolean) RETURNS numeric LANGUAGE plpgsql AS $$
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
CREATE TRIGGER operations_transition BEFORE UPDATE OR DELETE ON operations FOR EACH ROW EXECUTE FUNCTION operations_transition();
