-- +goose Up
CREATE TYPE seat_status AS ENUM ('AVAILABLE', 'HELD', 'SOLD', 'CHECKED_IN');
CREATE TYPE pin_state AS ENUM ('PINNED', 'UNPINNED', 'CONFIRMED');
CREATE TYPE ownership_cause AS ENUM ('PURCHASE', 'TRANSFER', 'REVERSAL');
CREATE TYPE scan_result AS ENUM ('SUCCESS', 'DUPLICATE', 'WRONG_HALL', 'UNPAID', 'NOT_FOUND', 'EXPIRED');

-- One row for each event that has, or must never get, seats.
CREATE TABLE seat_plans (
    event_id      uuid        NOT NULL CONSTRAINT seat_plans_pkey PRIMARY KEY,
    total_seats   int,
    seats_per_row int,
    tiers         text[],
    created_at    timestamptz NOT NULL DEFAULT now(),
    deleted_at    timestamptz,          -- the mark that refuses a late CreateSeats
    CONSTRAINT seat_plans_whole CHECK (deleted_at IS NOT NULL OR num_nulls(total_seats, seats_per_row, tiers) = 0),
    CONSTRAINT seat_plans_size CHECK (total_seats BETWEEN 1 AND 100000)
);

CREATE TABLE seats (
    seat_id           uuid           NOT NULL CONSTRAINT seats_pkey PRIMARY KEY,
    event_id          uuid           NOT NULL,  -- of events_db; no foreign key to seat_plans, which would double the time to make a hall
    owner_user_id     uuid,
    status            seat_status    NOT NULL DEFAULT 'AVAILABLE',
    held_by_user_id   uuid,
    held_until        timestamptz,
    hold_id           uuid,             -- the order: of the present hold, or the one that sold the seat
    pin_id            uuid,             -- the payment under way
    tier              text           NOT NULL,
    qr_code_hash      text,             -- SHA-256 of the QR payload issued last, in hex
    price_paid        numeric(10, 2),
    ownership_version bigint         NOT NULL DEFAULT 0,
    sold_at           timestamptz,      -- when the present owner got it
    row_number        varchar(4) COLLATE "C" NOT NULL,
    seat_number       int            NOT NULL,
    created_at        timestamptz    NOT NULL DEFAULT now(),
    updated_at        timestamptz    NOT NULL DEFAULT now(),  -- = created_at: never held or sold
    CONSTRAINT seats_place CHECK (row_number ~ '^[A-Z]+$' AND seat_number > 0),
    CONSTRAINT seats_available_is_bare CHECK (status <> 'AVAILABLE' OR ownership_version = 0 AND
        num_nonnulls(owner_user_id, held_by_user_id, held_until, hold_id, pin_id, price_paid, sold_at, qr_code_hash) = 0),
    CONSTRAINT seats_held_has_hold CHECK (status <> 'HELD' OR ownership_version = 0 AND
        num_nulls(held_by_user_id, held_until, hold_id) = 0 AND num_nonnulls(owner_user_id, price_paid, sold_at, qr_code_hash) = 0),
    CONSTRAINT seats_sold_has_owner CHECK (status NOT IN ('SOLD', 'CHECKED_IN') OR ownership_version > 0 AND
        num_nulls(owner_user_id, price_paid, sold_at, hold_id) = 0 AND num_nonnulls(held_by_user_id, held_until, pin_id) = 0),
    CONSTRAINT seats_price CHECK (price_paid >= 0)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);

-- One seat a place, and the order of a seat map: A … Z, AA …
CREATE UNIQUE INDEX seats_one_per_place ON seats (event_id, length(row_number), row_number, seat_number);
-- A reservation counts its user's holds. This index and the next are as small as the number of holds.
CREATE INDEX seats_held_by ON seats (held_by_user_id) WHERE status = 'HELD';
-- The sweep, and an event's holds.
CREATE INDEX seats_held_until ON seats (event_id, held_until) WHERE status = 'HELD';
CREATE INDEX seats_sold ON seats (event_id) INCLUDE (status, price_paid) WHERE status IN ('SOLD', 'CHECKED_IN');
CREATE INDEX seats_owned_by ON seats (owner_user_id, sold_at DESC) WHERE owner_user_id IS NOT NULL;

-- The marks of payments: what tells a repeat, and refuses a pin that comes after it was undone.
CREATE TABLE pins (
    pin_id     uuid        NOT NULL CONSTRAINT pins_pkey PRIMARY KEY,
    seat_id    uuid        NOT NULL CONSTRAINT pins_seat REFERENCES seats (seat_id),
    hold_id    uuid        NOT NULL,
    state      pin_state   NOT NULL,
    released   boolean     NOT NULL DEFAULT false,  -- what UnpinHold answered
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pins_released_unpinned CHECK (NOT released OR state = 'UNPINNED')
) WITH (fillfactor = 90);
CREATE INDEX pins_of_seat ON pins (seat_id);
-- A seat is paid for by one payment at a time, and sold by one.
CREATE UNIQUE INDEX pins_one_live ON pins (seat_id) WHERE state <> 'UNPINNED';

-- The chain of custody: append-only.
CREATE TABLE seat_ownership (
    operation_id uuid            NOT NULL CONSTRAINT seat_ownership_pkey PRIMARY KEY,
    seat_id      uuid            NOT NULL CONSTRAINT seat_ownership_seat REFERENCES seats (seat_id),
    from_user_id uuid,
    to_user_id   uuid            NOT NULL,
    cause        ownership_cause NOT NULL,
    version      bigint          NOT NULL,
    at           timestamptz     NOT NULL,
    CONSTRAINT seat_ownership_version UNIQUE (seat_id, version),
    CONSTRAINT seat_ownership_first_is_purchase CHECK ((version = 1) = (cause = 'PURCHASE') AND (version = 1) = (from_user_id IS NULL)),
    CONSTRAINT seat_ownership_changes CHECK (version > 0 AND from_user_id IS DISTINCT FROM to_user_id)
);

-- Every decided scan at the gate: append-only.
CREATE TABLE entry_logs (
    log_id              uuid        NOT NULL CONSTRAINT entry_logs_pkey PRIMARY KEY,  -- the scan's id
    seat_id             uuid        CONSTRAINT entry_logs_seat REFERENCES seats (seat_id),
    presented_seat_id   uuid,
    event_id            uuid,
    scanned_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    scanned_by_staff_id uuid        NOT NULL,
    result              scan_result NOT NULL,
    hall_id_presented   varchar(20) NOT NULL DEFAULT '',
    hall_id_expected    varchar(20) NOT NULL DEFAULT '',
    CONSTRAINT entry_logs_success_names_seat CHECK (result <> 'SUCCESS' OR seat_id IS NOT NULL)
);
CREATE UNIQUE INDEX entry_logs_one_success ON entry_logs (seat_id) WHERE result = 'SUCCESS';
CREATE INDEX entry_logs_of_seat ON entry_logs (seat_id);
CREATE INDEX entry_logs_of_event ON entry_logs (event_id, scanned_at DESC, log_id DESC);
CREATE INDEX entry_logs_by_result ON entry_logs (event_id, result, scanned_at DESC, log_id DESC);

-- +goose StatementBegin
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of % is not allowed here', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
END $$;
-- +goose StatementEnd

-- The state machine. The condition stands in the trigger itself, so that an allowed change costs no function call.
-- IS NOT TRUE: what compares to NULL is refused too.
CREATE TRIGGER seats_transition BEFORE UPDATE ON seats FOR EACH ROW WHEN ((
    (NEW.seat_id, NEW.event_id, NEW.tier, NEW.row_number, NEW.seat_number, NEW.created_at) =
    (OLD.seat_id, OLD.event_id, OLD.tier, OLD.row_number, OLD.seat_number, OLD.created_at)
    AND CASE
        WHEN OLD.status = 'AVAILABLE' THEN
            NEW.status = 'HELD' AND NEW.pin_id IS NULL
        WHEN OLD.status = 'HELD' AND NEW.status = 'HELD' AND NEW.hold_id = OLD.hold_id THEN -- pin and unpin
            NEW.held_by_user_id = OLD.held_by_user_id AND NEW.held_until = OLD.held_until
            AND (OLD.pin_id IS NULL OR NEW.pin_id IS NULL)
        WHEN OLD.status = 'HELD' AND NEW.status = 'HELD' THEN -- to another hold
            OLD.pin_id IS NULL AND NEW.pin_id IS NULL AND OLD.held_until <= clock_timestamp()
        WHEN OLD.status = 'HELD' AND NEW.status = 'AVAILABLE' THEN
            OLD.pin_id IS NULL OR OLD.held_until <= clock_timestamp() -- the latter is UnpinHold
        WHEN OLD.status = 'HELD' AND NEW.status = 'SOLD' THEN
            OLD.pin_id IS NOT NULL AND NEW.hold_id = OLD.hold_id AND NEW.owner_user_id = OLD.held_by_user_id
            AND NEW.ownership_version = 1
        WHEN OLD.status = 'SOLD' AND NEW.status = 'SOLD' AND NEW.owner_user_id = OLD.owner_user_id THEN -- a QR issued
            (NEW.hold_id, NEW.price_paid, NEW.ownership_version, NEW.sold_at) = (OLD.hold_id, OLD.price_paid, OLD.ownership_version, OLD.sold_at)
        WHEN OLD.status = 'SOLD' AND NEW.status = 'SOLD' THEN -- to another owner: the former one's QR dies
            (NEW.hold_id, NEW.price_paid, NEW.ownership_version) = (OLD.hold_id, OLD.price_paid, OLD.ownership_version + 1)
            AND NEW.qr_code_hash IS NULL
        WHEN OLD.status = 'SOLD' AND NEW.status = 'CHECKED_IN' THEN
            (NEW.hold_id, NEW.price_paid, NEW.owner_user_id, NEW.ownership_version, NEW.sold_at) =
            (OLD.hold_id, OLD.price_paid, OLD.owner_user_id, OLD.ownership_version, OLD.sold_at)
        ELSE false
    END) IS NOT TRUE) EXECUTE FUNCTION refuse();

CREATE TRIGGER seats_born_available BEFORE INSERT ON seats FOR EACH ROW WHEN (NEW.status <> 'AVAILABLE') EXECUTE FUNCTION refuse();
CREATE TRIGGER seats_delete_untouched BEFORE DELETE ON seats FOR EACH ROW WHEN (OLD.updated_at <> OLD.created_at) EXECUTE FUNCTION refuse();

CREATE TRIGGER pins_transition BEFORE UPDATE ON pins FOR EACH ROW WHEN ((
    (NEW.pin_id, NEW.seat_id, NEW.hold_id) = (OLD.pin_id, OLD.seat_id, OLD.hold_id)
    AND OLD.state = 'PINNED' AND NEW.state <> 'PINNED') IS NOT TRUE) EXECUTE FUNCTION refuse();
CREATE TRIGGER pins_kept BEFORE DELETE ON pins FOR EACH ROW EXECUTE FUNCTION refuse();

CREATE TRIGGER seat_ownership_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON seat_ownership FOR EACH STATEMENT EXECUTE FUNCTION refuse();
CREATE TRIGGER entry_logs_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON entry_logs FOR EACH STATEMENT EXECUTE FUNCTION refuse();
