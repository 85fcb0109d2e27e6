-- +goose Up
-- Whether who leaves may come in again: the gate scans exits then.
ALTER TABLE events ADD COLUMN reentry_allowed boolean NOT NULL DEFAULT false;
