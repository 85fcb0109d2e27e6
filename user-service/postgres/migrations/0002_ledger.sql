-- The ledger under the credits. A movement takes an amount from one account and gives it to another, so all accounts
-- together are always zero; it is never changed. Booking it changes the user's balance, and nothing else may.
-- +goose Up
CREATE TYPE account AS ENUM ('user', 'escrow', 'frozen', 'platform', 'stripe');
CREATE TYPE movement_kind AS ENUM (
    'topup', 'grant',
    'purchase', 'purchase_return',
    'escrow', 'escrow_return', 'escrow_release',
    'freeze', 'unfreeze', 'freeze_escrow', 'cover', 'freeze_escrow_return', 'cover_return',
    'refund', 'chargeback', 'chargeback_return', 'debt_fill');

CREATE TABLE movements (
    movement_id   bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT movements_pkey PRIMARY KEY,
    kind          movement_kind NOT NULL,
    operation_id  uuid          NOT NULL,
    debt_id       uuid,                   -- the debt that a debt_fill pays
    source        account       NOT NULL,
    source_id     uuid,                   -- user, escrow's operation, dispute; null for platform and stripe
    target        account       NOT NULL,
    target_id     uuid,
    amount        numeric(10,2) NOT NULL,
    reference_id  uuid,                   -- the order or transfer it is about
    user_id       uuid GENERATED ALWAYS AS (CASE WHEN source = 'user' THEN source_id WHEN target = 'user' THEN target_id END) STORED,
    balance_after numeric(10,2),          -- of that user
    created_at    timestamptz   NOT NULL DEFAULT now(),
    CONSTRAINT movements_once UNIQUE NULLS NOT DISTINCT (kind, operation_id, debt_id),
    CONSTRAINT movements_amount CHECK (amount >= 0),
    CONSTRAINT movements_source_id CHECK ((source_id IS NULL) = (source IN ('platform', 'stripe'))),
    CONSTRAINT movements_target_id CHECK ((target_id IS NULL) = (target IN ('platform', 'stripe'))),
    CONSTRAINT movements_two_accounts CHECK (source <> target),
    CONSTRAINT movements_debt CHECK ((kind = 'debt_fill') = (debt_id IS NOT NULL))
);
CREATE INDEX movements_of_user ON movements (user_id, movement_id DESC) WHERE user_id IS NOT NULL;

-- The two sides of each movement: a balance is the sum of its account's entries.
CREATE VIEW ledger_entries AS
    SELECT movement_id, source AS account, source_id AS owner_id, -amount AS amount FROM movements
    UNION ALL
    SELECT movement_id, target, target_id, amount FROM movements;

-- What a user owes because it could not be taken when it should have been. It is filled from whatever the user gets next.
CREATE TABLE debts (
    debt_id    uuid          NOT NULL DEFAULT gen_random_uuid() CONSTRAINT debts_pkey PRIMARY KEY,
    user_id    uuid          NOT NULL CONSTRAINT debts_user_fkey REFERENCES users,
    target     account       NOT NULL, -- who gets it: frozen (a dispute), stripe (a refund), platform (a covered dispute)
    cause_id   uuid          NOT NULL, -- the dispute or the top-up
    amount     numeric(10,2) NOT NULL,
    remaining  numeric(10,2) NOT NULL,
    cancelled  numeric(10,2) NOT NULL DEFAULT 0,
    created_at timestamptz   NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT debts_target CHECK (target IN ('frozen', 'stripe', 'platform')),
    CONSTRAINT debts_parts CHECK (amount > 0 AND remaining >= 0 AND cancelled >= 0 AND remaining + cancelled <= amount)
);
CREATE INDEX debts_open ON debts (user_id, created_at) WHERE remaining > 0;
CREATE INDEX debts_cause ON debts (cause_id);

-- +goose StatementBegin
-- Booking is done after the insert, not before it: what runs before happens even where ON CONFLICT then drops the row.
CREATE FUNCTION movements_balance() RETURNS trigger LANGUAGE plpgsql AS $$
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

CREATE FUNCTION movements_book() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE b numeric;
BEGIN
    UPDATE users SET credit_balance = credit_balance + CASE NEW.target WHEN 'user' THEN NEW.amount ELSE -NEW.amount END
        WHERE user_id = NEW.user_id RETURNING credit_balance INTO b;
    IF b IS DISTINCT FROM NEW.balance_after THEN
        RAISE EXCEPTION 'one statement moves a user''s credits once' USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'movements_balance_after';
    END IF;
    RETURN NULL;
END $$;

-- The user's row is locked by the booking, and debts are made under that lock: none is missed.
CREATE FUNCTION movements_fill_debts() RETURNS trigger LANGUAGE plpgsql AS $$
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

CREATE FUNCTION movements_are_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is append-only' USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'movements_append_only';
END $$;

CREATE FUNCTION users_balance_is_booked() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' AND NEW.credit_balance <> 0
        OR TG_OP = 'UPDATE' AND NEW.credit_balance <> OLD.credit_balance AND pg_trigger_depth() < 2
    THEN
        RAISE EXCEPTION 'a balance changes by movements only' USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'users_balance_is_booked';
    END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER movements_balance BEFORE INSERT ON movements FOR EACH ROW EXECUTE FUNCTION movements_balance();
CREATE TRIGGER movements_book AFTER INSERT ON movements FOR EACH ROW
    WHEN (NEW.user_id IS NOT NULL) EXECUTE FUNCTION movements_book(); -- by its name before movements_fill_debts
CREATE TRIGGER movements_fill_debts AFTER INSERT ON movements FOR EACH ROW
    WHEN (NEW.target = 'user' AND NEW.amount > 0) EXECUTE FUNCTION movements_fill_debts();
CREATE TRIGGER movements_are_final BEFORE UPDATE OR DELETE ON movements FOR EACH ROW EXECUTE FUNCTION movements_are_final();
CREATE TRIGGER movements_are_not_emptied BEFORE TRUNCATE ON movements FOR EACH STATEMENT EXECUTE FUNCTION movements_are_final();
CREATE TRIGGER users_balance_is_booked BEFORE INSERT OR UPDATE OF credit_balance ON users
    FOR EACH ROW EXECUTE FUNCTION users_balance_is_booked();
