-- +goose Up
-- What a ticket may be resold for at most, in percent of its first price; null: 100.
ALTER TABLE events ADD COLUMN resale_cap_percent integer
    CONSTRAINT events_resale_cap_range CHECK (resale_cap_percent BETWEEN 0 AND 1000);

-- +goose Down
ALTER TABLE events DROP COLUMN resale_cap_percent;
