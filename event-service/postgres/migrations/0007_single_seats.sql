-- +goose Up
-- Whether a booking may not leave a free seat alone.
ALTER TABLE events ADD COLUMN no_single_seats boolean NOT NULL DEFAULT false;

-- +goose Down
ALTER TABLE events DROP COLUMN no_single_seats;
