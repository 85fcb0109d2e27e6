-- +goose Up
CREATE TABLE sagas (
    saga_id        uuid PRIMARY KEY,
    kind           text        NOT NULL,
    subject        text        NOT NULL,
    status         text        NOT NULL,
    state          jsonb       NOT NULL,
    turned         integer     NOT NULL DEFAULT 0,
    refusal        jsonb,
    trail          jsonb       NOT NULL DEFAULT '[]',
    correlation_id text        NOT NULL DEFAULT '',
    lease_owner    uuid        NOT NULL,
    lease_until    timestamptz NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT sagas_status_known CHECK (status IN ('RUNNING', 'COMPENSATING', 'DONE', 'UNDONE', 'PARKED')),
    CONSTRAINT sagas_refusal_known CHECK (status NOT IN ('COMPENSATING', 'UNDONE', 'PARKED') OR refusal IS NOT NULL)
) WITH (fillfactor = 80); -- room on the page for the one update that ends a saga

-- At most one unfinished or successful attempt per subject; a parked one is unfinished.
CREATE UNIQUE INDEX sagas_one_per_subject ON sagas (kind, subject) WHERE status <> 'UNDONE';
-- Recovery's look: only live sagas stand in it, so it stays small.
CREATE INDEX sagas_live ON sagas (lease_until) WHERE status IN ('RUNNING', 'COMPENSATING');
CREATE INDEX sagas_by_subject ON sagas (kind, subject, created_at DESC);

-- +goose StatementBegin
CREATE FUNCTION sagas_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'sagas are never deleted' USING ERRCODE = 'check_violation', CONSTRAINT = 'sagas_kept';
    END IF;
    IF OLD.status <> NEW.status AND (OLD.status, NEW.status) NOT IN (
        ('RUNNING', 'DONE'), ('RUNNING', 'COMPENSATING'), ('RUNNING', 'PARKED'),
        ('COMPENSATING', 'UNDONE'), ('COMPENSATING', 'PARKED'),
        ('PARKED', 'RUNNING'), ('PARKED', 'COMPENSATING')) THEN -- by a person, to have it tried again
        RAISE EXCEPTION 'a saga cannot go from % to %', OLD.status, NEW.status
            USING ERRCODE = 'check_violation', CONSTRAINT = 'sagas_transition';
    END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER sagas_guard BEFORE UPDATE OR DELETE ON sagas FOR EACH ROW EXECUTE FUNCTION sagas_guard();

-- +goose Down
DROP TABLE sagas;
DROP FUNCTION sagas_guard;
