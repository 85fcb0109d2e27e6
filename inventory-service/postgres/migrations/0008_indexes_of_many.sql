-- +goose Up
-- As 0002 explains: if a statement implies the condition of a partial index, the planner may walk through the whole index, and it
-- does where the statistics are of a time when that index was empty. held_by_user_id = $3 implies that it is set, so payments walked
-- through all holds; void_id = $2 likewise, so refunds would have through all void tickets; and the count of an event's entries
-- walked through the entries of all events. What is added to the conditions here follows from the constraints
-- (seats_held_has_hold, seats_void_is_ticket, entry_logs_success_names_seat), and only those say it whom the index is for.
DROP INDEX seats_held_by_person, seats_void, entry_logs_one_per_entry;
CREATE INDEX seats_held_by_person ON seats (held_by_person) WHERE held_by_user_id IS NOT NULL AND sold_at IS NULL;
CREATE INDEX seats_void ON seats (event_id) INCLUDE (price_paid) WHERE void_id IS NOT NULL AND sold_at IS NOT NULL;
CREATE UNIQUE INDEX entry_logs_one_per_entry ON entry_logs (seat_id, direction, entry) WHERE result = 'SUCCESS' AND seat_id IS NOT NULL;

-- +goose Down
DROP INDEX seats_held_by_person, seats_void, entry_logs_one_per_entry;
CREATE INDEX seats_held_by_person ON seats (held_by_person) WHERE held_by_user_id IS NOT NULL;
CREATE INDEX seats_void ON seats (event_id) INCLUDE (price_paid) WHERE void_id IS NOT NULL;
CREATE UNIQUE INDEX entry_logs_one_per_entry ON entry_logs (seat_id, direction, entry) WHERE result = 'SUCCESS';
