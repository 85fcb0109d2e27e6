-- +goose Up
-- While nothing is held or sold, the statistics make any index on a condition of status look as good as the primary key: before
-- an on-sale, WHERE seat_id = $1 AND status = 'HELD' was planned as a walk through all holds, and kept that plan while they
-- became many. So the conditions of these indexes are such that only a question that means all holds of an event, all of a
-- user, or all sold seats of an event can use them, whatever the statistics say. They mean the same by seats_available_is_bare,
-- seats_held_has_hold and seats_sold_has_owner: held_until is set and sold_at is not in HELD alone, sold_at is set in SOLD and
-- CHECKED_IN, held_by_user_id in HELD.
DROP INDEX seats_held_by, seats_held_until, seats_sold;
CREATE INDEX seats_held_by ON seats (held_by_user_id) WHERE held_by_user_id IS NOT NULL;
CREATE INDEX seats_held_until ON seats (event_id, held_until) WHERE held_until IS NOT NULL AND sold_at IS NULL;
CREATE INDEX seats_sold ON seats (event_id) INCLUDE (status, price_paid) WHERE sold_at IS NOT NULL;
