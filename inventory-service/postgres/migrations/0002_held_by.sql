-- +goose Up
-- A reservation counts its user's holds. While nothing is held, the statistics make an index on a condition of status look as
-- good as any other on the same condition, and a plan made then read all holds of all users for each reservation. Only this
-- index fits a question about a user, whatever the statistics say: who holds is known of HELD seats alone (seats_available_is_bare,
-- seats_sold_has_owner).
DROP INDEX seats_held_by;
CREATE INDEX seats_held_by ON seats (held_by_user_id) WHERE held_by_user_id IS NOT NULL;

-- +goose Down
DROP INDEX seats_held_by;
CREATE INDEX seats_held_by ON seats (held_by_user_id) WHERE status = 'HELD';
