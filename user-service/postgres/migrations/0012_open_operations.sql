-- What is in escrow or frozen is summed when metrics are read. The index has what is open and nothing else, and no purchase ever.
-- +goose NO TRANSACTION
-- +goose Up
CREATE INDEX CONCURRENTLY IF NOT EXISTS operations_open ON operations (kind) INCLUDE (amount) WHERE state = 'DONE' AND kind <> 'purchase';

-- +goose Down
DROP INDEX operations_open;
