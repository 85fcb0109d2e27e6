-- +goose Up
-- In a migration of its own: a new value cannot be used in the transaction that adds it.
ALTER TYPE event_status ADD VALUE 'POSTPONED';
ALTER TYPE event_status ADD VALUE 'CANCELLED';
