-- +goose Up
-- Holds are counted for a person, who may have several accounts; and who held a seat last lets others have it first.
-- Freed, a seat keeps held_by_person: it is whom freed_at is about.
ALTER TABLE seats
    ADD COLUMN held_by_person uuid,
    ADD COLUMN freed_at       timestamptz; -- when its last hold ended without a sale
UPDATE seats SET held_by_person = held_by_user_id WHERE held_by_user_id IS NOT NULL;
-- In the place of seats_held_by, under the condition that 0002 explains.
CREATE INDEX seats_held_by_person ON seats (held_by_person) WHERE held_by_user_id IS NOT NULL;
DROP INDEX seats_held_by;

-- +goose Down
CREATE INDEX seats_held_by ON seats (held_by_user_id) WHERE held_by_user_id IS NOT NULL;
ALTER TABLE seats DROP COLUMN held_by_person, DROP COLUMN freed_at;
