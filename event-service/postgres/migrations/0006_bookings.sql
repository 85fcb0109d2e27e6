-- +goose Up
-- How many seats may be booked together; null: 10.
ALTER TABLE events ADD COLUMN max_per_booking integer
    CONSTRAINT events_max_per_booking_range CHECK (max_per_booking BETWEEN 1 AND 20);

-- +goose Down
ALTER TABLE events DROP COLUMN max_per_booking;
