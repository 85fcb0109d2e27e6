-- +goose Up
-- Tries of scans whose answers were not heard, for a minute: a repeat at any replica claims one (gate.Unheard).
CREATE TABLE unheard_scans (
    key      bytea       NOT NULL CONSTRAINT unheard_scans_key_length CHECK (length(key) = 32),
    scan_id  uuid        NOT NULL,
    noted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT unheard_scans_pkey PRIMARY KEY (key, scan_id)
);
CREATE INDEX unheard_scans_noted ON unheard_scans (noted_at);

-- +goose Down
DROP TABLE unheard_scans;
