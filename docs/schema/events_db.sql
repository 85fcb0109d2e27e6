-- events_db as the migrations leave it. Made by `make schema`; do not edit.

CREATE TYPE event_status AS ENUM (
    'DRAFT',
    'PUBLISHED'
);

CREATE FUNCTION events_guard() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

CREATE TABLE events (
    event_id uuid NOT NULL,
    name character varying(255) NOT NULL,
    venue_id uuid NOT NULL,
    hall_id character varying(20) NOT NULL,
    event_date timestamp with time zone NOT NULL,
    ends_at timestamp with time zone NOT NULL,
    total_seats integer NOT NULL,
    seats_per_row integer NOT NULL,
    pricing_tiers jsonb NOT NULL,
    image character varying(2048) DEFAULT ''::character varying NOT NULL,
    featured boolean DEFAULT false NOT NULL,
    status event_status DEFAULT 'DRAFT'::event_status NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    published_at timestamp with time zone,
    CONSTRAINT events_date_range CHECK (((event_date >= '2000-01-01 00:00:00+00'::timestamp with time zone) AND (event_date < '2101-01-01 00:00:00+00'::timestamp with time zone))),
    CONSTRAINT events_ends_after_start CHECK ((ends_at > event_date)),
    CONSTRAINT events_name_given CHECK ((((name)::text <> ''::text) AND ((hall_id)::text <> ''::text))),
    CONSTRAINT events_pricing_tiers_valid CHECK (((jsonb_typeof(pricing_tiers) = 'object'::text) AND (pricing_tiers <> '{}'::jsonb) AND (NOT jsonb_path_exists(pricing_tiers, 'strict $.*?(@.type() != "number" || @ < 0)'::jsonpath)))),
    CONSTRAINT events_published_at_known CHECK (((status = 'PUBLISHED'::event_status) = (published_at IS NOT NULL))),
    CONSTRAINT events_seats_per_row_range CHECK (((seats_per_row >= 1) AND (seats_per_row <= 1000))),
    CONSTRAINT events_total_seats_range CHECK (((total_seats >= 1) AND (total_seats <= 100000)))
);

CREATE TABLE venues (
    venue_id uuid NOT NULL,
    name character varying(255) NOT NULL,
    address character varying(500) NOT NULL,
    city character varying(100) DEFAULT ''::character varying NOT NULL,
    total_halls integer NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT venues_name_given CHECK ((((name)::text <> ''::text) AND ((address)::text <> ''::text))),
    CONSTRAINT venues_total_halls_range CHECK (((total_halls >= 1) AND (total_halls <= 1000)))
);

CREATE TABLE voided_events (
    event_id uuid NOT NULL,
    voided_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE ONLY events
    ADD CONSTRAINT events_pkey PRIMARY KEY (event_id);

ALTER TABLE ONLY venues
    ADD CONSTRAINT venues_name_address_key UNIQUE (name, address);

ALTER TABLE ONLY venues
    ADD CONSTRAINT venues_pkey PRIMARY KEY (venue_id);

ALTER TABLE ONLY voided_events
    ADD CONSTRAINT voided_events_pkey PRIMARY KEY (event_id);

CREATE INDEX events_published ON events USING btree (event_date, event_id) WHERE (status = 'PUBLISHED'::event_status);

CREATE INDEX events_venue ON events USING btree (venue_id);

CREATE TRIGGER events_guard BEFORE DELETE OR UPDATE ON events FOR EACH ROW EXECUTE FUNCTION events_guard();

ALTER TABLE ONLY events
    ADD CONSTRAINT events_venue_fkey FOREIGN KEY (venue_id) REFERENCES venues(venue_id);
