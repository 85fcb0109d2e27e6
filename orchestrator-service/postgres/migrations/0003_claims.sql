-- Each claim of a saga has an epoch of its own: what a driver writes is refused once there is a later one. And what is known
-- of a saga's progress, so that one without any is tried less and less often, and parked in the end.
-- +goose Up
ALTER TABLE sagas
    ADD COLUMN epoch         bigint      NOT NULL DEFAULT 1,
    ADD COLUMN reached       integer     NOT NULL DEFAULT 0,     -- steps done (undone, on the way back) at the most, as reported
    ADD COLUMN rounds        integer     NOT NULL DEFAULT 0,     -- without progress, that failed for another reason than an outage
    ADD COLUMN stalled_since timestamptz,                        -- null: it has made progress since
    ADD COLUMN unreported    boolean     NOT NULL DEFAULT false, -- a driver vanished: more than reached may have been done
    ADD COLUMN parked_from   text,
    ADD CONSTRAINT sagas_parked_from CHECK (parked_from IN ('RUNNING', 'COMPENSATING'));
CREATE INDEX sagas_parked ON sagas (created_at DESC) WHERE status = 'PARKED';

-- +goose Down
DROP INDEX sagas_parked;
ALTER TABLE sagas DROP COLUMN epoch, DROP COLUMN reached, DROP COLUMN rounds, DROP COLUMN stalled_since,
    DROP COLUMN unreported, DROP COLUMN parked_from;
