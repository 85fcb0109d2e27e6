-- seats_db as the migrations leave it. Made by `make schema`; do not edit.

CREATE TYPE ownership_cause AS ENUM (
    'PURCHASE',
    'TRANSFER',
    'REVERSAL',
    'REFUND'
);

CREATE TYPE pin_state AS ENUM (
    'PINNED',
    'UNPINNED',
    'CONFIRMED'
);

CREATE TYPE scan_direction AS ENUM (
    'IN',
    'OUT',
    'UNDO'
);

CREATE TYPE scan_result AS ENUM (
    'SUCCESS',
    'DUPLICATE',
    'WRONG_HALL',
    'UNPAID',
    'NOT_FOUND',
    'EXPIRED'
);

CREATE TYPE seat_status AS ENUM (
    'AVAILABLE',
    'HELD',
    'SOLD',
    'CHECKED_IN'
);

CREATE FUNCTION refuse() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION '% of % is not allowed here', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
END $$;

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

CREATE FUNCTION seats_transition() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF ((NEW.seat_id, NEW.event_id, NEW.tier, NEW.row_number, NEW.seat_number, NEW.created_at) =
       (OLD.seat_id, OLD.event_id, OLD.tier, OLD.row_number, OLD.seat_number, OLD.created_at)
    AND CASE
        WHEN OLD.status = 'AVAILABLE' AND NEW.status = 'AVAILABLE' THEN -- blocked or released
            NEW.ownership_version = OLD.ownership_version AND NEW.blocked <> OLD.blocked
        WHEN OLD.status = 'AVAILABLE' THEN
            NEW.status = 'HELD' AND NEW.pin_id IS NULL AND NOT NEW.blocked AND NEW.ownership_version = OLD.ownership_version
        WHEN OLD.status = 'HELD' AND NEW.status = 'HELD' AND NEW.hold_id = OLD.hold_id AND NEW.held_until <> OLD.held_until THEN -- extended, once
            OLD.extended_hold_id IS DISTINCT FROM OLD.hold_id AND NEW.extended_hold_id = NEW.hold_id
            AND NEW.held_until > OLD.held_until AND NEW.held_until <= OLD.held_until + interval '1 hour' AND OLD.held_until > clock_timestamp()
            AND NEW.held_by_user_id = OLD.held_by_user_id AND NEW.ownership_version = OLD.ownership_version
            AND num_nonnulls(OLD.pin_id, NEW.pin_id) = 0 AND NOT OLD.blocked AND NOT NEW.blocked
        WHEN OLD.status = 'HELD' AND NEW.status = 'HELD' AND NEW.hold_id = OLD.hold_id THEN -- pin and unpin
            NEW.held_by_user_id = OLD.held_by_user_id AND NEW.held_until = OLD.held_until
            AND NEW.extended_hold_id IS NOT DISTINCT FROM OLD.extended_hold_id
            AND (OLD.pin_id IS NULL OR NEW.pin_id IS NULL OR NEW.pin_id = OLD.pin_id AND NEW.blocked) AND NEW.ownership_version = OLD.ownership_version
        WHEN OLD.status = 'HELD' AND NEW.status = 'HELD' THEN -- to another hold
            OLD.pin_id IS NULL AND NEW.pin_id IS NULL AND OLD.held_until <= clock_timestamp() AND NOT NEW.blocked
            AND NEW.ownership_version = OLD.ownership_version
        WHEN OLD.status = 'HELD' AND NEW.status = 'AVAILABLE' THEN
            (OLD.pin_id IS NULL OR OLD.held_until <= clock_timestamp()) -- the latter is UnpinHold
            AND NEW.ownership_version = OLD.ownership_version
        WHEN OLD.status = 'HELD' AND NEW.status = 'SOLD' THEN
            OLD.pin_id IS NOT NULL AND NEW.hold_id = OLD.hold_id AND NEW.owner_user_id = OLD.held_by_user_id
            AND NEW.ownership_version = OLD.ownership_version + 1 AND NEW.void_id IS NULL
        WHEN OLD.status = 'SOLD' AND NEW.status = 'AVAILABLE' THEN -- given back
            OLD.void_id IS NOT NULL AND NEW.void_id IS NULL AND NEW.ownership_version = OLD.ownership_version + 1
        WHEN OLD.void_id IS NOT NULL AND NEW.void_id IS NULL THEN -- the refund was given up
            OLD.refunded_at IS NULL AND NEW.status = OLD.status
            AND (NEW.hold_id, NEW.price_paid, NEW.owner_user_id, NEW.ownership_version, NEW.sold_at) =
                (OLD.hold_id, OLD.price_paid, OLD.owner_user_id, OLD.ownership_version, OLD.sold_at)
        WHEN OLD.void_id <> NEW.void_id THEN
            false
        WHEN OLD.status IN ('SOLD', 'CHECKED_IN') AND NEW.status = OLD.status AND NEW.owner_user_id = OLD.owner_user_id THEN -- a QR issued; void; settled
            (NEW.status = 'SOLD' OR (NEW.void_id, NEW.refunded_at) IS DISTINCT FROM (OLD.void_id, OLD.refunded_at))
            AND (NEW.hold_id, NEW.price_paid, NEW.ownership_version, NEW.sold_at) = (OLD.hold_id, OLD.price_paid, OLD.ownership_version, OLD.sold_at)
        WHEN OLD.status = 'SOLD' AND NEW.status = 'SOLD' THEN -- to another owner: the former one's QR dies
            (NEW.hold_id, NEW.price_paid, NEW.ownership_version) = (OLD.hold_id, OLD.price_paid, OLD.ownership_version + 1)
            AND NEW.qr_code_hash IS NULL AND NEW.void_id IS NULL
        WHEN OLD.status = 'SOLD' AND NEW.status = 'CHECKED_IN' OR OLD.status = 'CHECKED_IN' AND NEW.status = 'SOLD' THEN
            (NEW.hold_id, NEW.price_paid, NEW.owner_user_id, NEW.ownership_version, NEW.sold_at) =
            (OLD.hold_id, OLD.price_paid, OLD.owner_user_id, OLD.ownership_version, OLD.sold_at)
            AND (NEW.status = 'SOLD' OR NEW.void_id IS NULL)
        ELSE false
    END) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '% of % is not allowed here', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
END $$;

CREATE TABLE entry_logs (
    log_id uuid NOT NULL,
    seat_id uuid,
    presented_seat_id uuid,
    event_id uuid,
    scanned_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    scanned_by_staff_id uuid NOT NULL,
    result scan_result NOT NULL,
    hall_id_presented character varying(20) DEFAULT ''::character varying NOT NULL,
    hall_id_expected character varying(20) DEFAULT ''::character varying NOT NULL,
    direction scan_direction DEFAULT 'IN'::scan_direction NOT NULL,
    entry integer DEFAULT 1 NOT NULL,
    reentry boolean DEFAULT false NOT NULL,
    hall_id_staff character varying(20) DEFAULT ''::character varying NOT NULL,
    device character varying(64) DEFAULT ''::character varying NOT NULL,
    reason character varying(40) DEFAULT ''::character varying NOT NULL,
    note character varying(500) DEFAULT ''::character varying NOT NULL,
    manual boolean DEFAULT false NOT NULL,
    decided_at timestamp with time zone,
    device_result scan_result,
    conflicts_with uuid,
    undoes uuid,
    CONSTRAINT entry_logs_offline CHECK (((decided_at IS NULL) = (device_result IS NULL))),
    CONSTRAINT entry_logs_success_names_seat CHECK (((result <> 'SUCCESS'::scan_result) OR (seat_id IS NOT NULL))),
    CONSTRAINT entry_logs_undo CHECK (((undoes IS NOT NULL) = (direction = 'UNDO'::scan_direction)))
);

CREATE TABLE entry_permits (
    seat_id uuid NOT NULL,
    ownership_version bigint NOT NULL,
    admin_id uuid NOT NULL,
    reason character varying(500) NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

CREATE TABLE pins (
    pin_id uuid NOT NULL,
    seat_id uuid NOT NULL,
    hold_id uuid NOT NULL,
    state pin_state NOT NULL,
    released boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    refunded boolean DEFAULT false NOT NULL,
    CONSTRAINT pins_refunded_confirmed CHECK (((NOT refunded) OR (state = 'CONFIRMED'::pin_state))),
    CONSTRAINT pins_released_unpinned CHECK (((NOT released) OR (state = 'UNPINNED'::pin_state)))
)
WITH (fillfactor='90');

CREATE TABLE saga_fences (
    saga_id uuid NOT NULL,
    epoch bigint NOT NULL,
    raised_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE seat_additions (
    operation_id uuid NOT NULL,
    event_id uuid NOT NULL,
    seats integer NOT NULL,
    first_row character varying(4) NOT NULL,
    last_row character varying(4) NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE seat_ownership (
    operation_id uuid NOT NULL,
    seat_id uuid NOT NULL,
    from_user_id uuid,
    to_user_id uuid,
    cause ownership_cause NOT NULL,
    version bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    CONSTRAINT seat_ownership_changes CHECK (((version > 0) AND (from_user_id IS DISTINCT FROM to_user_id))),
    CONSTRAINT seat_ownership_ends CHECK ((((cause = 'PURCHASE'::ownership_cause) = (from_user_id IS NULL)) AND ((to_user_id IS NULL) = ((cause)::text = 'REFUND'::text)) AND ((version > 1) OR (cause = 'PURCHASE'::ownership_cause))))
);

CREATE TABLE seat_plans (
    event_id uuid NOT NULL,
    total_seats integer,
    seats_per_row integer,
    tiers text[],
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    deleted_at timestamp with time zone,
    added_seats integer DEFAULT 0 NOT NULL,
    CONSTRAINT seat_plans_size CHECK (((total_seats >= 1) AND (total_seats <= 100000))),
    CONSTRAINT seat_plans_whole CHECK (((deleted_at IS NOT NULL) OR (num_nulls(total_seats, seats_per_row, tiers) = 0)))
);

CREATE TABLE seats (
    seat_id uuid NOT NULL,
    event_id uuid NOT NULL,
    owner_user_id uuid,
    status seat_status DEFAULT 'AVAILABLE'::seat_status NOT NULL,
    held_by_user_id uuid,
    held_until timestamp with time zone,
    hold_id uuid,
    pin_id uuid,
    tier text NOT NULL,
    qr_code_hash text,
    price_paid numeric(10,2),
    ownership_version bigint DEFAULT 0 NOT NULL,
    sold_at timestamp with time zone,
    row_number character varying(4) NOT NULL COLLATE pg_catalog."C",
    seat_number integer NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    blocked boolean DEFAULT false NOT NULL,
    void_id uuid,
    refunded_at timestamp with time zone,
    held_by_person uuid,
    freed_at timestamp with time zone,
    extended_hold_id uuid,
    CONSTRAINT seats_available_is_bare CHECK (((status <> 'AVAILABLE'::seat_status) OR (num_nonnulls(owner_user_id, held_by_user_id, held_until, hold_id, pin_id, price_paid, sold_at, qr_code_hash) = 0))),
    CONSTRAINT seats_held_has_hold CHECK (((status <> 'HELD'::seat_status) OR ((num_nulls(held_by_user_id, held_until, hold_id) = 0) AND (num_nonnulls(owner_user_id, price_paid, sold_at, qr_code_hash) = 0)))),
    CONSTRAINT seats_place CHECK ((((row_number)::text ~ '^[A-Z]+$'::text) AND (seat_number > 0))),
    CONSTRAINT seats_price CHECK ((price_paid >= (0)::numeric)),
    CONSTRAINT seats_refunded_is_void CHECK (((refunded_at IS NULL) OR (void_id IS NOT NULL))),
    CONSTRAINT seats_sold_has_owner CHECK (((status <> ALL (ARRAY['SOLD'::seat_status, 'CHECKED_IN'::seat_status])) OR ((ownership_version > 0) AND (num_nulls(owner_user_id, price_paid, sold_at, hold_id) = 0) AND (num_nonnulls(held_by_user_id, held_until, pin_id) = 0)))),
    CONSTRAINT seats_void_is_ticket CHECK (((void_id IS NULL) OR (sold_at IS NOT NULL)))
)
WITH (fillfactor='70', autovacuum_vacuum_scale_factor='0.05', autovacuum_analyze_scale_factor='0.05');

CREATE TABLE staff_assignments (
    staff_id uuid NOT NULL,
    number bigint NOT NULL,
    venue_ids uuid[] NOT NULL,
    event_ids uuid[] NOT NULL,
    admin_id uuid NOT NULL,
    reason character varying(500) NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

ALTER TABLE staff_assignments ALTER COLUMN number ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME staff_assignments_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

ALTER TABLE ONLY entry_logs
    ADD CONSTRAINT entry_logs_pkey PRIMARY KEY (log_id);

ALTER TABLE ONLY entry_permits
    ADD CONSTRAINT entry_permits_pkey PRIMARY KEY (seat_id, ownership_version);

ALTER TABLE ONLY pins
    ADD CONSTRAINT pins_pkey PRIMARY KEY (pin_id);

ALTER TABLE ONLY saga_fences
    ADD CONSTRAINT saga_fences_pkey PRIMARY KEY (saga_id);

ALTER TABLE ONLY seat_additions
    ADD CONSTRAINT seat_additions_pkey PRIMARY KEY (operation_id);

ALTER TABLE ONLY seat_ownership
    ADD CONSTRAINT seat_ownership_pkey PRIMARY KEY (operation_id);

ALTER TABLE ONLY seat_ownership
    ADD CONSTRAINT seat_ownership_version UNIQUE (seat_id, version);

ALTER TABLE ONLY seat_plans
    ADD CONSTRAINT seat_plans_pkey PRIMARY KEY (event_id);

ALTER TABLE ONLY seats
    ADD CONSTRAINT seats_pkey PRIMARY KEY (seat_id);

ALTER TABLE ONLY staff_assignments
    ADD CONSTRAINT staff_assignments_pkey PRIMARY KEY (staff_id, number);

CREATE INDEX entry_logs_by_result ON entry_logs USING btree (event_id, result, scanned_at DESC, log_id DESC) INCLUDE (direction, reentry);

CREATE INDEX entry_logs_conflicts ON entry_logs USING btree (event_id, scanned_at DESC, log_id DESC) WHERE ((device_result = 'SUCCESS'::scan_result) AND (result <> 'SUCCESS'::scan_result));

CREATE INDEX entry_logs_of_event ON entry_logs USING btree (event_id, scanned_at DESC, log_id DESC);

CREATE INDEX entry_logs_of_seat ON entry_logs USING btree (seat_id);

CREATE UNIQUE INDEX entry_logs_one_per_entry ON entry_logs USING btree (seat_id, direction, entry) WHERE ((result = 'SUCCESS'::scan_result) AND (seat_id IS NOT NULL));

CREATE UNIQUE INDEX entry_logs_undone_once ON entry_logs USING btree (undoes) WHERE (undoes IS NOT NULL);

CREATE INDEX pins_of_seat ON pins USING btree (seat_id);

CREATE UNIQUE INDEX pins_one_live ON pins USING btree (seat_id) WHERE ((state <> 'UNPINNED'::pin_state) AND (NOT refunded));

CREATE INDEX seats_blocked ON seats USING btree (event_id) WHERE (blocked AND (sold_at IS NULL));

CREATE INDEX seats_held_by_person ON seats USING btree (held_by_person) WHERE ((held_by_user_id IS NOT NULL) AND (sold_at IS NULL));

CREATE INDEX seats_held_until ON seats USING btree (event_id, held_until) WHERE ((held_until IS NOT NULL) AND (sold_at IS NULL));

CREATE UNIQUE INDEX seats_one_per_place ON seats USING btree (event_id, length((row_number)::text), row_number, seat_number);

CREATE INDEX seats_owned_by ON seats USING btree (owner_user_id, sold_at DESC) WHERE (owner_user_id IS NOT NULL);

CREATE INDEX seats_sold ON seats USING btree (event_id) INCLUDE (price_paid) WHERE (sold_at IS NOT NULL);

CREATE INDEX seats_void ON seats USING btree (event_id) INCLUDE (price_paid) WHERE ((void_id IS NOT NULL) AND (sold_at IS NOT NULL));

CREATE TRIGGER entry_logs_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON entry_logs FOR EACH STATEMENT EXECUTE FUNCTION refuse();

CREATE TRIGGER entry_permits_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON entry_permits FOR EACH STATEMENT EXECUTE FUNCTION refuse();

CREATE TRIGGER pins_kept BEFORE DELETE ON pins FOR EACH ROW EXECUTE FUNCTION refuse();

CREATE TRIGGER pins_transition BEFORE UPDATE ON pins FOR EACH ROW WHEN (((((new.pin_id = old.pin_id) AND (new.seat_id = old.seat_id) AND (new.hold_id = old.hold_id)) AND (((old.state = 'PINNED'::pin_state) AND (new.state <> 'PINNED'::pin_state)) OR ((old.state = 'CONFIRMED'::pin_state) AND (new.state = 'CONFIRMED'::pin_state) AND new.refunded))) IS NOT TRUE)) EXECUTE FUNCTION refuse();

CREATE TRIGGER seat_ownership_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON seat_ownership FOR EACH STATEMENT EXECUTE FUNCTION refuse();

CREATE TRIGGER seats_born_available BEFORE INSERT ON seats FOR EACH ROW WHEN ((new.status <> 'AVAILABLE'::seat_status)) EXECUTE FUNCTION refuse();

CREATE TRIGGER seats_delete_untouched BEFORE DELETE ON seats FOR EACH ROW WHEN ((old.updated_at <> old.created_at)) EXECUTE FUNCTION refuse();

CREATE TRIGGER seats_transition BEFORE UPDATE ON seats FOR EACH ROW EXECUTE FUNCTION seats_transition();

CREATE TRIGGER staff_assignments_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON staff_assignments FOR EACH STATEMENT EXECUTE FUNCTION refuse();

ALTER TABLE ONLY entry_logs
    ADD CONSTRAINT entry_logs_seat FOREIGN KEY (seat_id) REFERENCES seats(seat_id);

ALTER TABLE ONLY entry_permits
    ADD CONSTRAINT entry_permits_seat FOREIGN KEY (seat_id) REFERENCES seats(seat_id);

ALTER TABLE ONLY pins
    ADD CONSTRAINT pins_seat FOREIGN KEY (seat_id) REFERENCES seats(seat_id);

ALTER TABLE ONLY seat_ownership
    ADD CONSTRAINT seat_ownership_seat FOREIGN KEY (seat_id) REFERENCES seats(seat_id);
