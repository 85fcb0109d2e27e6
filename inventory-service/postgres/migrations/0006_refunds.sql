-- +goose Up
-- Seats that are not for sale (house seats, broken chairs, all of a cancelled event): a mark beside the status, since the statuses
-- are the requirements'. A ticket that is refunded is void first, and settled once its owner has the credits.
ALTER TABLE seats
    ADD COLUMN blocked     boolean NOT NULL DEFAULT false,
    ADD COLUMN void_id     uuid,         -- the refund that made the ticket void
    ADD COLUMN refunded_at timestamptz,
    ADD CONSTRAINT seats_void_is_ticket CHECK (void_id IS NULL OR sold_at IS NOT NULL),
    ADD CONSTRAINT seats_refunded_is_void CHECK (refunded_at IS NULL OR void_id IS NOT NULL);
CREATE INDEX seats_blocked ON seats (event_id) WHERE blocked AND sold_at IS NULL;
CREATE INDEX seats_void ON seats (event_id) INCLUDE (price_paid) WHERE void_id IS NOT NULL;

-- A seat whose ticket was given back keeps counting its owners, so that no QR code of a former one fits a later one.
ALTER TABLE seats
    DROP CONSTRAINT seats_available_is_bare,
    DROP CONSTRAINT seats_held_has_hold,
    ADD CONSTRAINT seats_available_is_bare CHECK (status <> 'AVAILABLE' OR
        num_nonnulls(owner_user_id, held_by_user_id, held_until, hold_id, pin_id, price_paid, sold_at, qr_code_hash) = 0),
    ADD CONSTRAINT seats_held_has_hold CHECK (status <> 'HELD' OR
        num_nulls(held_by_user_id, held_until, hold_id) = 0 AND num_nonnulls(owner_user_id, price_paid, sold_at, qr_code_hash) = 0);

ALTER TABLE seat_ownership
    ALTER COLUMN to_user_id DROP NOT NULL,
    DROP CONSTRAINT seat_ownership_first_is_purchase,
    ADD CONSTRAINT seat_ownership_ends CHECK ((cause = 'PURCHASE') = (from_user_id IS NULL) AND (to_user_id IS NULL) = (cause::text = 'REFUND')
        AND (version > 1 OR cause = 'PURCHASE'));
ALTER TYPE ownership_cause ADD VALUE 'REFUND';

-- A seat is paid for by one payment at a time, and sold by one until that ticket is given back.
ALTER TABLE pins ADD COLUMN refunded boolean NOT NULL DEFAULT false, ADD CONSTRAINT pins_refunded_confirmed CHECK (NOT refunded OR state = 'CONFIRMED');
DROP INDEX pins_one_live;
CREATE UNIQUE INDEX pins_one_live ON pins (seat_id) WHERE state <> 'UNPINNED' AND NOT refunded;
DROP TRIGGER pins_transition ON pins;
CREATE TRIGGER pins_transition BEFORE UPDATE ON pins FOR EACH ROW WHEN ((
    (NEW.pin_id, NEW.seat_id, NEW.hold_id) = (OLD.pin_id, OLD.seat_id, OLD.hold_id)
    AND (OLD.state = 'PINNED' AND NEW.state <> 'PINNED' OR OLD.state = 'CONFIRMED' AND NEW.state = 'CONFIRMED' AND NEW.refunded)) IS NOT TRUE) EXECUTE FUNCTION refuse();

-- Rows that were added to a hall after it was made; seat_plans keeps what it was made by.
ALTER TABLE seat_plans ADD COLUMN added_seats int NOT NULL DEFAULT 0;
CREATE TABLE seat_additions (
    operation_id uuid        NOT NULL CONSTRAINT seat_additions_pkey PRIMARY KEY,
    event_id     uuid        NOT NULL,
    seats        int         NOT NULL,
    first_row    varchar(4)  NOT NULL,
    last_row     varchar(4)  NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now()
);

-- The state machine, with: blocking, the way of a ticket to its refund (void, settled, free), and a seat that is sold again.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION seats_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF ((NEW.seat_id, NEW.event_id, NEW.tier, NEW.row_number, NEW.seat_number, NEW.created_at) =
       (OLD.seat_id, OLD.event_id, OLD.tier, OLD.row_number, OLD.seat_number, OLD.created_at)
    AND CASE
        WHEN OLD.status = 'AVAILABLE' AND NEW.status = 'AVAILABLE' THEN -- blocked or released
            NEW.ownership_version = OLD.ownership_version AND NEW.blocked <> OLD.blocked
        WHEN OLD.status = 'AVAILABLE' THEN
            NEW.status = 'HELD' AND NEW.pin_id IS NULL AND NOT NEW.blocked AND NEW.ownership_version = OLD.ownership_version
        WHEN OLD.status = 'HELD' AND NEW.status = 'HELD' AND NEW.hold_id = OLD.hold_id THEN -- pin and unpin
            NEW.held_by_user_id = OLD.held_by_user_id AND NEW.held_until = OLD.held_until
            AND (OLD.pin_id IS NULL OR NEW.pin_id IS NULL OR NEW.pin_id = OLD.pin_id AND NEW.blocked) AND NEW.ownership_version = OLD.ownership_version
        WHEN OLD.status = 'HELD' AND NEW.status = 'HELD' THEN -- to another hold
            OLD.pin_id IS NULL AND NEW.pin_id IS NULL AND OLD.held_until <= clock_timestamp() AND NOT NEW.blocked
            AND NEW.ownership_version = OLD.ownership_version
        WHEN OLD.status = 'HELD' AND NEW.status = 'AVAILABLE' THEN
            (OLD.pin_id IS NULL OR OLD.held_until <= clock_timestamp()) -- the latter is UnpinHold
            AND NEW.ownership_version = OLD.ownership_version
        WHEN OLD.status = 'HELD' AND NEW.status = 'SOLD' THEN
            OLD.pin_id IS NOT NULL AND NEW.hold_id = OLD.hold_id AND NEW.owner_user_id = OLD.held_by_user_id
            AND NEW.ownership_version = OLD.ownership_version + 1 AND NEW.void_id IS NULL
        WHEN OLD.status = 'SOLD' AND NEW.status = 'AVAILABLE' THEN -- given back
            OLD.void_id IS NOT NULL AND NEW.void_id IS NULL AND NEW.ownership_version = OLD.ownership_version + 1
        WHEN OLD.void_id IS NOT NULL AND NEW.void_id IS NULL THEN -- the refund was given up
            OLD.refunded_at IS NULL AND NEW.status = OLD.status
            AND (NEW.hold_id, NEW.price_paid, NEW.owner_user_id, NEW.ownership_version, NEW.sold_at) =
                (OLD.hold_id, OLD.price_paid, OLD.owner_user_id, OLD.ownership_version, OLD.sold_at)
        WHEN OLD.void_id <> NEW.void_id THEN
            false
        WHEN OLD.status IN ('SOLD', 'CHECKED_IN') AND NEW.status = OLD.status AND NEW.owner_user_id = OLD.owner_user_id THEN -- a QR issued; void; settled
            (NEW.status = 'SOLD' OR (NEW.void_id, NEW.refunded_at) IS DISTINCT FROM (OLD.void_id, OLD.refunded_at))
            AND (NEW.hold_id, NEW.price_paid, NEW.ownership_version, NEW.sold_at) = (OLD.hold_id, OLD.price_paid, OLD.ownership_version, OLD.sold_at)
        WHEN OLD.status = 'SOLD' AND NEW.status = 'SOLD' THEN -- to another owner: the former one's QR dies
            (NEW.hold_id, NEW.price_paid, NEW.ownership_version) = (OLD.hold_id, OLD.price_paid, OLD.ownership_version + 1)
            AND NEW.qr_code_hash IS NULL AND NEW.void_id IS NULL
        WHEN OLD.status = 'SOLD' AND NEW.status = 'CHECKED_IN' OR OLD.status = 'CHECKED_IN' AND NEW.status = 'SOLD' THEN
            (NEW.hold_id, NEW.price_paid, NEW.owner_user_id, NEW.ownership_version, NEW.sold_at) =
            (OLD.hold_id, OLD.price_paid, OLD.owner_user_id, OLD.ownership_version, OLD.sold_at)
            AND (NEW.status = 'SOLD' OR NEW.void_id IS NULL)
        ELSE false
    END) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '% of % is not allowed here', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
END $$;
-- +goose StatementEnd
