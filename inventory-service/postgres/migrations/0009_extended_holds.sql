-- +goose Up
-- A hold is extended once, while its holder's top-up is under way. The mark names the hold, so that nothing has to take it back when
-- the seat goes to another.
ALTER TABLE seats ADD COLUMN extended_hold_id uuid;

-- The state machine, with the extension. A mark once set is not taken back while its hold lasts.
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
        WHEN OLD.status = 'HELD' AND NEW.status = 'HELD' AND NEW.hold_id = OLD.hold_id AND NEW.held_until <> OLD.held_until THEN -- extended, once
            OLD.extended_hold_id IS DISTINCT FROM OLD.hold_id AND NEW.extended_hold_id = NEW.hold_id
            AND NEW.held_until > OLD.held_until AND NEW.held_until <= OLD.held_until + interval '1 hour' AND OLD.held_until > clock_timestamp()
            AND NEW.held_by_user_id = OLD.held_by_user_id AND NEW.ownership_version = OLD.ownership_version
            AND num_nonnulls(OLD.pin_id, NEW.pin_id) = 0 AND NOT OLD.blocked AND NOT NEW.blocked
        WHEN OLD.status = 'HELD' AND NEW.status = 'HELD' AND NEW.hold_id = OLD.hold_id THEN -- pin and unpin
            NEW.held_by_user_id = OLD.held_by_user_id AND NEW.held_until = OLD.held_until
            AND NEW.extended_hold_id IS NOT DISTINCT FROM OLD.extended_hold_id
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
