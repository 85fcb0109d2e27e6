-- +goose Up
-- What an administrator's request does: the same Idempotency-Key, or the same body soon after, is the same request.
CREATE TABLE admin_requests (
    admin_id     uuid        NOT NULL,
    key          text        NOT NULL,
    fingerprint  bytea       NOT NULL, -- SHA-256 of the body
    operation_id uuid        NOT NULL,
    made_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT admin_requests_pkey PRIMARY KEY (admin_id, key),
    CONSTRAINT admin_requests_key_short CHECK (length(key) <= 400)
);
