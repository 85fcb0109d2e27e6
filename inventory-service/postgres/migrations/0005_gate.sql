-- +goose Up
-- The entry log learns which way a ticket went, who stood where with which device, and why. A seat's admissions are numbered:
-- its holder is inside while the last admission that was not undone has no exit.
CREATE TYPE scan_direction AS ENUM ('IN', 'OUT', 'UNDO');
ALTER TABLE entry_logs
    ADD COLUMN direction      scan_direction NOT NULL DEFAULT 'IN',
    ADD COLUMN entry          int            NOT NULL DEFAULT 1,      -- which admission of the seat, of a SUCCESS
    ADD COLUMN reentry        boolean        NOT NULL DEFAULT false,  -- an admission, or the undoing of one, of who was in before
    ADD COLUMN hall_id_staff  varchar(20)    NOT NULL DEFAULT '',     -- where the member of staff stood
    ADD COLUMN device      varchar(64)    NOT NULL DEFAULT '',
    ADD COLUMN reason         varchar(40)    NOT NULL DEFAULT '',     -- finer than the result
    ADD COLUMN note           varchar(500)   NOT NULL DEFAULT '',     -- in a person's words
    ADD COLUMN manual         boolean        NOT NULL DEFAULT false,
    ADD COLUMN decided_at     timestamptz,                            -- by a device without network
    ADD COLUMN device_result  scan_result,                            -- and what it decided
    ADD COLUMN conflicts_with uuid,                                   -- the admission that stood when this one came
    ADD COLUMN undoes         uuid,                                   -- the admission that this takes back
    ADD CONSTRAINT entry_logs_offline CHECK ((decided_at IS NULL) = (device_result IS NULL)),
    ADD CONSTRAINT entry_logs_undo CHECK ((undoes IS NOT NULL) = (direction = 'UNDO'));

DROP INDEX entry_logs_one_success;
CREATE UNIQUE INDEX entry_logs_one_per_entry ON entry_logs (seat_id, direction, entry) WHERE result = 'SUCCESS';
CREATE UNIQUE INDEX entry_logs_undone_once ON entry_logs (undoes) WHERE undoes IS NOT NULL;
CREATE INDEX entry_logs_conflicts ON entry_logs (event_id, scanned_at DESC, log_id DESC) WHERE device_result = 'SUCCESS' AND result <> 'SUCCESS';
-- Who has entered, and who is inside, is counted from this index alone.
DROP INDEX entry_logs_by_result;
CREATE INDEX entry_logs_by_result ON entry_logs (event_id, result, scanned_at DESC, log_id DESC) INCLUDE (direction, reentry);

-- Who was let in although the payment was taken back: append-only.
CREATE TABLE entry_permits (
    seat_id           uuid         NOT NULL CONSTRAINT entry_permits_seat REFERENCES seats (seat_id),
    ownership_version bigint       NOT NULL,
    admin_id          uuid         NOT NULL,
    reason            varchar(500) NOT NULL,
    created_at        timestamptz  NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT entry_permits_pkey PRIMARY KEY (seat_id, ownership_version)
);
CREATE TRIGGER entry_permits_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON entry_permits FOR EACH STATEMENT EXECUTE FUNCTION refuse();

-- Where staff work: append-only, the last row of a member of staff counts.
CREATE TABLE staff_assignments (
    staff_id   uuid         NOT NULL,
    number     bigint       NOT NULL GENERATED ALWAYS AS IDENTITY,
    venue_ids  uuid[]       NOT NULL,
    event_ids  uuid[]       NOT NULL,
    admin_id   uuid         NOT NULL,
    reason     varchar(500) NOT NULL,
    created_at timestamptz  NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT staff_assignments_pkey PRIMARY KEY (staff_id, number)
);
CREATE TRIGGER staff_assignments_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON staff_assignments FOR EACH STATEMENT EXECUTE FUNCTION refuse();

-- The state machine, with one more transition: an admission that is undone makes the ticket SOLD again.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION seats_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF ((NEW.seat_id, NEW.event_id, NEW.tier, NEW.row_number, NEW.seat_number, NEW.created_at) =
       (OLD.seat_id, OLD.event_id, OLD.tier, OLD.row_number, OLD.seat_number, OLD.created_at)
    AND CASE
        WHEN OLD.status = 'AVAILABLE' THEN
            NEW.status = 'HELD' AND NEW.pin_id IS NULL
        WHEN OLD.status = 'HELD' AND NEW.status = 'HELD' AND NEW.hold_id = OLD.hold_id THEN -- pin and unpin
            NEW.held_by_user_id = OLD.held_by_user_id AND NEW.held_until = OLD.held_until
            AND (OLD.pin_id IS NULL OR NEW.pin_id IS NULL)
        WHEN OLD.status = 'HELD' AND NEW.status = 'HELD' THEN -- to another hold
            OLD.pin_id IS NULL AND NEW.pin_id IS NULL AND OLD.held_until <= clock_timestamp()
        WHEN OLD.status = 'HELD' AND NEW.status = 'AVAILABLE' THEN
            OLD.pin_id IS NULL OR OLD.held_until <= clock_timestamp() -- the latter is UnpinHold
        WHEN OLD.status = 'HELD' AND NEW.status = 'SOLD' THEN
            OLD.pin_id IS NOT NULL AND NEW.hold_id = OLD.hold_id AND NEW.owner_user_id = OLD.held_by_user_id
            AND NEW.ownership_version = 1
        WHEN OLD.status = 'SOLD' AND NEW.status = 'SOLD' AND NEW.owner_user_id = OLD.owner_user_id THEN -- a QR issued
            (NEW.hold_id, NEW.price_paid, NEW.ownership_version, NEW.sold_at) = (OLD.hold_id, OLD.price_paid, OLD.ownership_version, OLD.sold_at)
        WHEN OLD.status = 'SOLD' AND NEW.status = 'SOLD' THEN -- to another owner: the former one's QR dies
            (NEW.hold_id, NEW.price_paid, NEW.ownership_version) = (OLD.hold_id, OLD.price_paid, OLD.ownership_version + 1)
            AND NEW.qr_code_hash IS NULL
        WHEN OLD.status = 'SOLD' AND NEW.status = 'CHECKED_IN' OR OLD.status = 'CHECKED_IN' AND NEW.status = 'SOLD' THEN
            (NEW.hold_id, NEW.price_paid, NEW.owner_user_id, NEW.ownership_version, NEW.sold_at) =
            (OLD.hold_id, OLD.price_paid, OLD.owner_user_id, OLD.ownership_version, OLD.sold_at)
        ELSE false
    END) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '% of % is not allowed here', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
END $$;
-- +goose StatementEnd
