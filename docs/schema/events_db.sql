-- events_db as the migrations leave it. Made by `make schema`; do not edit.

CREATE TYPE event_status AS ENUM (
    'DRAFT',
    'PUBLISHED',
    'POSTPONED',
    'CANCELLED'
);

CREATE FUNCTION event_changes_append_only() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION 'the history of events is append-only' USING ERRCODE = 'check_violation', CONSTRAINT = 'event_changes_append_only';
END
$$;

CREATE FUNCTION events_guard() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF OLD.status <> 'DRAFT' THEN
        IF TG_OP = 'DELETE' THEN
            RAISE EXCEPTION 'a published event cannot be deleted' USING ERRCODE = 'check_violation', CONSTRAINT = 'events_published_stays';
        ELSIF NEW.status = 'DRAFT' OR NEW.event_id <> OLD.event_id OR OLD.status = 'CANCELLED' AND NEW.status <> 'CANCELLED'
            OR OLD.status = 'POSTPONED' AND NEW.status = 'PUBLISHED' THEN
            RAISE EXCEPTION 'a published event cannot be withdrawn' USING ERRCODE = 'check_violation', CONSTRAINT = 'events_published_stays';
        END IF;
    END IF;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END
$$;

CREATE FUNCTION saga_fence_check(p_saga uuid, p_epoch bigint) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(7001, hashtext(p_saga::text));
    IF EXISTS (SELECT FROM saga_fences WHERE saga_id = p_saga AND epoch > p_epoch) THEN
        RAISE EXCEPTION 'saga % has a later driver', p_saga USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'saga_fence';
    END IF;
END $$;

CREATE FUNCTION saga_fence_raise(p_saga uuid, p_epoch bigint) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(7001, hashtext(p_saga::text));
    INSERT INTO saga_fences AS f (saga_id, epoch) VALUES (p_saga, p_epoch)
        ON CONFLICT (saga_id) DO UPDATE SET epoch = excluded.epoch, raised_at = now() WHERE f.epoch < excluded.epoch;
END $$;

CREATE TABLE event_changes (
    change_id bigint NOT NULL,
    event_id uuid NOT NULL,
    version integer NOT NULL,
    field character varying(50) NOT NULL,
    old jsonb,
    new jsonb,
    changed_by uuid NOT NULL,
    reason character varying(500) NOT NULL,
    operation_id uuid,
    changed_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT event_changes_reason_given CHECK (((reason)::text <> ''::text))
);

ALTER TABLE event_changes ALTER COLUMN change_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME event_changes_change_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

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
    version integer DEFAULT 1 NOT NULL,
    doors_open_at timestamp with time zone,
    sales_start timestamp with time zone,
    sales_end timestamp with time zone,
    refund_until timestamp with time zone,
    max_per_customer integer,
    transfers_count boolean DEFAULT false NOT NULL,
    refund_hours_before integer,
    refund_fee_percent integer DEFAULT 0 NOT NULL,
    includes jsonb DEFAULT '[]'::jsonb NOT NULL,
    reentry_allowed boolean DEFAULT false NOT NULL,
    resale_cap_percent integer,
    max_per_booking integer,
    no_single_seats boolean DEFAULT false NOT NULL,
    CONSTRAINT events_date_range CHECK (((event_date >= '2000-01-01 00:00:00+00'::timestamp with time zone) AND (event_date < '2101-01-01 00:00:00+00'::timestamp with time zone))),
    CONSTRAINT events_doors_before_end CHECK ((doors_open_at < ends_at)),
    CONSTRAINT events_ends_after_start CHECK ((ends_at > event_date)),
    CONSTRAINT events_includes_array CHECK ((jsonb_typeof(includes) = 'array'::text)),
    CONSTRAINT events_max_per_booking_range CHECK (((max_per_booking >= 1) AND (max_per_booking <= 20))),
    CONSTRAINT events_max_per_customer_range CHECK (((max_per_customer >= 1) AND (max_per_customer <= 1000))),
    CONSTRAINT events_name_given CHECK ((((name)::text <> ''::text) AND ((hall_id)::text <> ''::text))),
    CONSTRAINT events_pricing_tiers_valid CHECK (((jsonb_typeof(pricing_tiers) = 'object'::text) AND (pricing_tiers <> '{}'::jsonb) AND (NOT jsonb_path_exists(pricing_tiers, 'strict $.*?(@.type() != "number" || @ < 0)'::jsonpath)))),
    CONSTRAINT events_published_at_known CHECK (((status <> 'DRAFT'::event_status) = (published_at IS NOT NULL))),
    CONSTRAINT events_refund_policy_range CHECK ((((refund_hours_before >= 0) AND (refund_hours_before <= 10000)) AND ((refund_fee_percent >= 0) AND (refund_fee_percent <= 100)))),
    CONSTRAINT events_resale_cap_range CHECK (((resale_cap_percent >= 0) AND (resale_cap_percent <= 1000))),
    CONSTRAINT events_sales_window CHECK ((sales_start < sales_end)),
    CONSTRAINT events_seats_per_row_range CHECK (((seats_per_row >= 1) AND (seats_per_row <= 1000))),
    CONSTRAINT events_total_seats_range CHECK (((total_seats >= 1) AND (total_seats <= 100000))),
    CONSTRAINT events_version_positive CHECK ((version > 0))
);

CREATE TABLE saga_fences (
    saga_id uuid NOT NULL,
    epoch bigint NOT NULL,
    raised_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE venues (
    venue_id uuid NOT NULL,
    name character varying(255) NOT NULL,
    address character varying(500) NOT NULL,
    city character varying(100) DEFAULT ''::character varying NOT NULL,
    total_halls integer NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    timezone character varying(64) DEFAULT 'Asia/Singapore'::character varying NOT NULL,
    CONSTRAINT venues_name_given CHECK ((((name)::text <> ''::text) AND ((address)::text <> ''::text))),
    CONSTRAINT venues_timezone_known CHECK ((('2000-01-01 00:00:00+00'::timestamp with time zone AT TIME ZONE timezone) IS NOT NULL)),
    CONSTRAINT venues_total_halls_range CHECK (((total_halls >= 1) AND (total_halls <= 1000)))
);

CREATE TABLE voided_events (
    event_id uuid NOT NULL,
    voided_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE ONLY event_changes
    ADD CONSTRAINT event_changes_pkey PRIMARY KEY (change_id);

ALTER TABLE ONLY events
    ADD CONSTRAINT events_pkey PRIMARY KEY (event_id);

ALTER TABLE ONLY saga_fences
    ADD CONSTRAINT saga_fences_pkey PRIMARY KEY (saga_id);

ALTER TABLE ONLY venues
    ADD CONSTRAINT venues_name_address_key UNIQUE (name, address);

ALTER TABLE ONLY venues
    ADD CONSTRAINT venues_pkey PRIMARY KEY (venue_id);

ALTER TABLE ONLY voided_events
    ADD CONSTRAINT voided_events_pkey PRIMARY KEY (event_id);

CREATE INDEX event_changes_of_event ON event_changes USING btree (event_id, change_id DESC);

CREATE UNIQUE INDEX event_changes_operation ON event_changes USING btree (operation_id, field) WHERE (operation_id IS NOT NULL);

CREATE INDEX events_listed ON events USING btree (event_date, event_id) WHERE (status = ANY (ARRAY['PUBLISHED'::event_status, 'POSTPONED'::event_status]));

CREATE INDEX events_venue ON events USING btree (venue_id);

CREATE TRIGGER event_changes_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON event_changes FOR EACH STATEMENT EXECUTE FUNCTION event_changes_append_only();

CREATE TRIGGER events_guard BEFORE DELETE OR UPDATE ON events FOR EACH ROW EXECUTE FUNCTION events_guard();

ALTER TABLE ONLY events
    ADD CONSTRAINT events_venue_fkey FOREIGN KEY (venue_id) REFERENCES venues(venue_id);
