-- +goose Up
-- Orders that are held and paid for together; null: the order is a booking by itself. An attempt to pay a booking has one mark
-- (order_attempts), whose order_id is then the booking's id.
ALTER TABLE orders ADD COLUMN booking_id uuid;
CREATE INDEX orders_of_booking ON orders (booking_id) WHERE booking_id IS NOT NULL;

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION orders_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.status NOT IN ('PENDING', 'CONFIRMED') THEN
            RAISE EXCEPTION 'an order cannot begin as %', NEW.status USING ERRCODE = 'check_violation', CONSTRAINT = 'orders_transition';
        END IF;
        RETURN NEW;
    END IF;
    IF (OLD.status, NEW.status) = ('PENDING', 'PENDING') AND NEW.held_until > OLD.held_until AND NEW.held_until <= OLD.held_until + interval '1 hour' THEN
        OLD.held_until := NEW.held_until; -- the one fact that may change
    ELSIF (OLD.status, NEW.status) NOT IN (('PENDING', 'CONFIRMED'), ('PENDING', 'FAILED'), ('CONFIRMED', 'REFUNDED')) THEN
        RAISE EXCEPTION 'order % cannot go from % to %', OLD.order_id, OLD.status, NEW.status USING ERRCODE = 'check_violation', CONSTRAINT = 'orders_transition';
    END IF;
    IF (OLD.order_id, OLD.user_id, OLD.seat_id, OLD.event_id, OLD.price, OLD.held_until, OLD.created_at, OLD.booking_id)
        IS DISTINCT FROM (NEW.order_id, NEW.user_id, NEW.seat_id, NEW.event_id, NEW.price, NEW.held_until, NEW.created_at, NEW.booking_id)
        OR OLD.status = 'CONFIRMED' AND (OLD.credits_charged, OLD.attempt_id, OLD.confirmed_at)
        IS DISTINCT FROM (NEW.credits_charged, NEW.attempt_id, NEW.confirmed_at) THEN
        RAISE EXCEPTION 'the facts of order % cannot change', OLD.order_id USING ERRCODE = 'check_violation', CONSTRAINT = 'orders_immutable';
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd
