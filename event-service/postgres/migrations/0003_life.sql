-- +goose Up

-- A zone that this PostgreSQL does not know is refused here, where one venue fails, and not by the lists of all events.
ALTER TABLE venues
    ADD COLUMN timezone varchar(64) NOT NULL DEFAULT 'Asia/Singapore',
    ADD CONSTRAINT venues_timezone_known CHECK ((timestamptz '2000-01-01Z' AT TIME ZONE timezone) IS NOT NULL);

ALTER TABLE events
    ADD COLUMN version             integer      NOT NULL DEFAULT 1,
    ADD COLUMN doors_open_at       timestamptz,
    ADD COLUMN sales_start         timestamptz,
    ADD COLUMN sales_end           timestamptz,
    ADD COLUMN refund_until        timestamptz,
    ADD COLUMN max_per_customer    integer,
    ADD COLUMN transfers_count     boolean      NOT NULL DEFAULT false,
    ADD COLUMN refund_hours_before integer,
    ADD COLUMN refund_fee_percent  integer      NOT NULL DEFAULT 0,
    ADD COLUMN includes            jsonb        NOT NULL DEFAULT '[]',
    ADD CONSTRAINT events_version_positive CHECK (version > 0),
    ADD CONSTRAINT events_doors_before_end CHECK (doors_open_at < ends_at),
    ADD CONSTRAINT events_sales_window CHECK (sales_start < sales_end),
    ADD CONSTRAINT events_max_per_customer_range CHECK (max_per_customer BETWEEN 1 AND 1000),
    ADD CONSTRAINT events_refund_policy_range CHECK (refund_hours_before BETWEEN 0 AND 10000 AND refund_fee_percent BETWEEN 0 AND 100),
    ADD CONSTRAINT events_includes_array CHECK (jsonb_typeof(includes) = 'array');

ALTER TABLE events
    DROP CONSTRAINT events_published_at_known,
    ADD CONSTRAINT events_published_at_known CHECK ((status <> 'DRAFT') = (published_at IS NOT NULL));

-- The public list: what is not over, the next first.
DROP INDEX events_published;
CREATE INDEX events_listed ON events (event_date, event_id) WHERE status IN ('PUBLISHED', 'POSTPONED');

-- Who changed which field from what to what, and why. A draft's history outlives the draft.
CREATE TABLE event_changes (
    change_id    bigint       NOT NULL GENERATED ALWAYS AS IDENTITY,
    event_id     uuid         NOT NULL,
    version      integer      NOT NULL,
    field        varchar(50)  NOT NULL,
    old          jsonb,
    new          jsonb,
    changed_by   uuid         NOT NULL,
    reason       varchar(500) NOT NULL,
    operation_id uuid,
    changed_at   timestamptz  NOT NULL DEFAULT now(),
    CONSTRAINT event_changes_pkey PRIMARY KEY (change_id),
    CONSTRAINT event_changes_reason_given CHECK (reason <> '')
);
CREATE INDEX event_changes_of_event ON event_changes (event_id, change_id DESC);
-- A change under the same operation is made once.
CREATE UNIQUE INDEX event_changes_operation ON event_changes (operation_id, field) WHERE operation_id IS NOT NULL;

-- +goose StatementBegin
CREATE FUNCTION event_changes_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the history of events is append-only' USING ERRCODE = 'check_violation', CONSTRAINT = 'event_changes_append_only';
END
$$;
-- +goose StatementEnd
CREATE TRIGGER event_changes_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON event_changes
    FOR EACH STATEMENT EXECUTE FUNCTION event_changes_append_only();

-- What tickets were sold for stays, and a cancelled event stays cancelled.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION events_guard() RETURNS trigger LANGUAGE plpgsql AS $$
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
-- +goose StatementEnd
