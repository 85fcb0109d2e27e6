-- What refuses a driver that lost its saga (package fence). It stands in the database of every service that does steps of
-- sagas, beside its own migrations, with a version table of its own.
-- +goose Up

-- The latest epoch of each saga that was taken over; one that its first driver ended has no row.
CREATE TABLE saga_fences (
    saga_id   uuid        NOT NULL CONSTRAINT saga_fences_pkey PRIMARY KEY,
    epoch     bigint      NOT NULL,
    raised_at timestamptz NOT NULL DEFAULT now()
);

-- +goose StatementBegin
-- Refuses a step of an earlier driver. The shared lock makes saga_fence_raise wait until this transaction has ended, and its
-- effect can be seen.
CREATE FUNCTION saga_fence_check(p_saga uuid, p_epoch bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(7001, hashtext(p_saga::text));
    IF EXISTS (SELECT FROM saga_fences WHERE saga_id = p_saga AND epoch > p_epoch) THEN
        RAISE EXCEPTION 'saga % has a later driver', p_saga USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'saga_fence';
    END IF;
END $$;

-- Refuses the steps of all earlier drivers from now on. It is a transaction of its own, so that it stands even if the step
-- that follows is refused: an earlier driver must not succeed where a later one did not.
CREATE FUNCTION saga_fence_raise(p_saga uuid, p_epoch bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(7001, hashtext(p_saga::text));
    INSERT INTO saga_fences AS f (saga_id, epoch) VALUES (p_saga, p_epoch)
        ON CONFLICT (saga_id) DO UPDATE SET epoch = excluded.epoch, raised_at = now() WHERE f.epoch < excluded.epoch;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION saga_fence_check, saga_fence_raise;
DROP TABLE saga_fences;
