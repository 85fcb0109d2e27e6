-- +goose Up

-- How a dispute ended: taken back by who raised it, rejected by an administrator, or undone because it could not be recorded whole.
CREATE TYPE dispute_ending AS ENUM ('WITHDRAWN', 'REJECTED', 'UNDONE');

-- Disputes of a transfer, and the marks of disputes and reversals that are over: a late call under a voided id is refused.
-- A mark may come before the operation that it refuses, so raised_by may be unknown. Before this table the marks stood in
-- transfers.voided, which is still read.
CREATE TABLE transfer_operations (
    operation_id uuid        NOT NULL,
    transfer_id  uuid        NOT NULL,
    raised_by    uuid,       -- of a dispute
    raised_at    timestamptz,
    voided_at    timestamptz,
    ending       dispute_ending,
    CONSTRAINT transfer_operations_pkey PRIMARY KEY (transfer_id, operation_id),
    CONSTRAINT transfer_operations_transfer_fkey FOREIGN KEY (transfer_id) REFERENCES transfers,
    CONSTRAINT transfer_operations_raised CHECK ((raised_by IS NULL) = (raised_at IS NULL)),
    CONSTRAINT transfer_operations_ending CHECK (ending IS NULL OR voided_at IS NOT NULL)
);

-- +goose StatementBegin
CREATE FUNCTION transfer_operations_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.operation_id, OLD.transfer_id, coalesce(OLD.raised_by, NEW.raised_by), coalesce(OLD.raised_at, NEW.raised_at),
        coalesce(OLD.voided_at, NEW.voided_at), coalesce(OLD.ending, NEW.ending))
        IS DISTINCT FROM (NEW.operation_id, NEW.transfer_id, NEW.raised_by, NEW.raised_at, NEW.voided_at, NEW.ending) THEN
        RAISE EXCEPTION 'the facts of operation % cannot change', OLD.operation_id USING ERRCODE = 'check_violation', CONSTRAINT = 'transfer_operations_immutable';
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER transfer_operations_guard BEFORE UPDATE ON transfer_operations FOR EACH ROW EXECUTE FUNCTION transfer_operations_guard();
CREATE TRIGGER transfer_operations_never_deleted BEFORE DELETE OR TRUNCATE ON transfer_operations FOR EACH STATEMENT EXECUTE FUNCTION refuse_delete();

-- A refused offer was FAILED from the start: its other party was never asked, and never sees it.
ALTER TABLE transfers ADD COLUMN refused boolean NOT NULL DEFAULT false;
UPDATE transfers SET refused = true
WHERE status = 'FAILED' AND failure_reason IN ('INSUFFICIENT_CREDITS', 'NOT_SEAT_OWNER') AND NOT seller_otp_verified AND NOT buyer_otp_verified;

-- Offers of the last day, by who made them. One that is still being checked has no outcome: it counts as refused for a minute.
CREATE TYPE offer_outcome AS ENUM ('MADE', 'REFUSED');
CREATE TABLE offers (
    offer_id   uuid        NOT NULL CONSTRAINT offers_pkey PRIMARY KEY, -- the transfer's, if it is made
    user_id    uuid        NOT NULL,
    outcome    offer_outcome,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX offers_of_user ON offers (user_id, created_at);

-- +goose Down
DROP TABLE offers, transfer_operations;
ALTER TABLE transfers DROP COLUMN refused;
DROP FUNCTION transfer_operations_guard;
DROP TYPE offer_outcome, dispute_ending;
