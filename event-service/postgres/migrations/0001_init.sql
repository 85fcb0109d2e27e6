-- +goose Up

CREATE TABLE venues (
    venue_id    uuid         NOT NULL,
    name        varchar(255) NOT NULL,
    address     varchar(500) NOT NULL,
    city        varchar(100) NOT NULL DEFAULT '',
    total_halls integer      NOT NULL,
    created_at  timestamptz  NOT NULL DEFAULT now(),
    CONSTRAINT venues_pkey PRIMARY KEY (venue_id),
    CONSTRAINT venues_name_address_key UNIQUE (name, address),
    CONSTRAINT venues_name_given CHECK (name <> '' AND address <> ''),
    CONSTRAINT venues_total_halls_range CHECK (total_halls BETWEEN 1 AND 1000)
);

CREATE TYPE event_status AS ENUM ('DRAFT', 'PUBLISHED');

CREATE TABLE events (
    event_id      uuid         NOT NULL,
    name          varchar(255) NOT NULL,
    venue_id      uuid         NOT NULL,
    hall_id       varchar(20)  NOT NULL,
    event_date    timestamptz  NOT NULL,
    ends_at       timestamptz  NOT NULL,
    total_seats   integer      NOT NULL,
    seats_per_row integer      NOT NULL,
    pricing_tiers jsonb        NOT NULL,
    image         varchar(2048) NOT NULL DEFAULT '',
    featured      boolean      NOT NULL DEFAULT false,
    status        event_status NOT NULL DEFAULT 'DRAFT',
    created_at    timestamptz  NOT NULL DEFAULT now(),
    published_at  timestamptz,
    CONSTRAINT events_pkey PRIMARY KEY (event_id),
    CONSTRAINT events_venue_fkey FOREIGN KEY (venue_id) REFERENCES venues,
    CONSTRAINT events_name_given CHECK (name <> '' AND hall_id <> ''),
    CONSTRAINT events_date_range CHECK (event_date >= '2000-01-01Z' AND event_date < '2101-01-01Z'),
    CONSTRAINT events_ends_after_start CHECK (ends_at > event_date),
    CONSTRAINT events_total_seats_range CHECK (total_seats BETWEEN 1 AND 100000),
    CONSTRAINT events_seats_per_row_range CHECK (seats_per_row BETWEEN 1 AND 1000),
    -- An object from tier to price, of one tier at least; no price below zero.
    CONSTRAINT events_pricing_tiers_valid CHECK (
        jsonb_typeof(pricing_tiers) = 'object' AND pricing_tiers <> '{}'
        AND NOT jsonb_path_exists(pricing_tiers, 'strict $.* ? (@.type() != "number" || @ < 0)')
    ),
    CONSTRAINT events_published_at_known CHECK ((status = 'PUBLISHED') = (published_at IS NOT NULL))
);

CREATE INDEX events_venue ON events (venue_id);
CREATE INDEX events_published ON events (event_date, event_id) WHERE status = 'PUBLISHED';

-- The marks of deleted drafts: a create that comes late must not make them anew.
CREATE TABLE voided_events (
    event_id  uuid        NOT NULL,
    voided_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT voided_events_pkey PRIMARY KEY (event_id)
);

-- A published event is what tickets were sold for: it stays.
-- +goose StatementBegin
CREATE FUNCTION events_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.status = 'PUBLISHED' THEN
        IF TG_OP = 'DELETE' THEN
            RAISE EXCEPTION 'a published event cannot be deleted' USING ERRCODE = 'check_violation', CONSTRAINT = 'events_published_stays';
        ELSIF NEW.status <> 'PUBLISHED' OR NEW.event_id <> OLD.event_id THEN
            RAISE EXCEPTION 'a published event cannot be withdrawn' USING ERRCODE = 'check_violation', CONSTRAINT = 'events_published_stays';
        END IF;
    END IF;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER events_guard BEFORE UPDATE OR DELETE ON events FOR EACH ROW EXECUTE FUNCTION events_guard();

-- +goose Down
DROP TABLE voided_events, events, venues;
DROP FUNCTION events_guard;
DROP TYPE event_status;
