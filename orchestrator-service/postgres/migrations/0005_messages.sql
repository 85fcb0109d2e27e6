-- +goose Up
-- Messages of the broker that failed again and again, and what an administrator decided about each.
CREATE TABLE messages (
    message_id     uuid        NOT NULL,
    queue          text        NOT NULL, -- that it was consumed from
    because        text        NOT NULL,
    correlation_id text        NOT NULL,
    parked_at      timestamptz NOT NULL,
    body           bytea       NOT NULL,
    status         text        NOT NULL DEFAULT 'PARKED',
    decided_by     uuid,
    decided_at     timestamptz,
    reason         text,
    CONSTRAINT messages_pkey PRIMARY KEY (message_id),
    CONSTRAINT messages_status_known CHECK (status IN ('PARKED', 'REPLAYED', 'DROPPED')),
    CONSTRAINT messages_decided CHECK (num_nonnulls(decided_by, decided_at, reason) = CASE status WHEN 'PARKED' THEN 0 ELSE 3 END),
    CONSTRAINT messages_reason_length CHECK (length(reason) <= 500)
);
CREATE INDEX messages_by_status ON messages (status, parked_at DESC, message_id DESC);

-- +goose StatementBegin
CREATE FUNCTION messages_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR OLD.status <> 'PARKED' THEN
        RAISE EXCEPTION 'what was decided about a message is kept' USING ERRCODE = 'check_violation', CONSTRAINT = 'messages_kept';
    END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER messages_guard BEFORE UPDATE OR DELETE ON messages FOR EACH ROW EXECUTE FUNCTION messages_guard();
