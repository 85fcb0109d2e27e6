-- +goose Up
-- Events whose cancellation was looked at, started or done.
CREATE TABLE cancellations (
    event_id     uuid          NOT NULL,
    code_hash    bytea         NOT NULL, -- SHA-256 of the code that the last dry run gave
    previewed_by uuid          NOT NULL,
    previewed_at timestamptz   NOT NULL DEFAULT clock_timestamp(),
    tickets      integer       NOT NULL, -- as the dry run said
    holders      integer       NOT NULL,
    credits      numeric(12,2) NOT NULL,
    reason       text,
    started_at   timestamptz,
    batches      integer       NOT NULL DEFAULT 0, -- of refunds, that are done
    look_at      timestamptz   NOT NULL DEFAULT clock_timestamp(), -- not before that
    settled_at   timestamptz,
    CONSTRAINT cancellations_pkey PRIMARY KEY (event_id),
    CONSTRAINT cancellations_reason_length CHECK (length(reason) <= 500),
    CONSTRAINT cancellations_started_with_reason CHECK ((started_at IS NULL) = (reason IS NULL)),
    CONSTRAINT cancellations_settled_after_start CHECK (settled_at IS NULL OR started_at IS NOT NULL)
);
CREATE INDEX cancellations_open ON cancellations (look_at) WHERE started_at IS NOT NULL AND settled_at IS NULL;
