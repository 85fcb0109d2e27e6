-- +goose Up
-- Whose top-up is under way is asked every two seconds.
CREATE INDEX topups_under_way ON topups (created_at) WHERE credited_at IS NULL AND failed_at IS NULL AND cancelled_at IS NULL;

-- +goose Down
DROP INDEX topups_under_way;
