-- +goose Up
-- The state machine, as it was. A condition in a trigger's WHEN is read anew from its text by every statement, which cost a
-- fifth of a reservation's work in here; a function is compiled once per connection. What compares to NULL is refused too.
-- +goose StatementBegin
CREATE FUNCTION seats_transition() RETURNS trigger LANGUAGE plpgsql AS $$
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
        WHEN OLD.status = 'SOLD' AND NEW.status = 'CHECKED_IN' THEN
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
DROP TRIGGER seats_transition ON seats;
CREATE TRIGGER seats_transition BEFORE UPDATE ON seats FOR EACH ROW EXECUTE FUNCTION seats_transition();
