-- +goose Up
CREATE TYPE refund_kind AS ENUM ('WHOLE', 'PART');

-- What of an order's price went back, and to whom: the ticket's owner at that time, who need not be its buyer. Append-only. With a
-- WHOLE refund the order is REFUNDED and its ticket is void; with a PART the ticket stays.
CREATE TABLE order_refunds (
    refund_id   uuid          NOT NULL,
    order_id    uuid          NOT NULL,
    kind        refund_kind   NOT NULL,
    amount      numeric(10,2) NOT NULL,
    to_user_id  uuid          NOT NULL,
    refunded_by uuid,         -- an administrator or the holder; null: the event was cancelled
    reason      varchar(500)  NOT NULL,
    created_at  timestamptz   NOT NULL DEFAULT now(),
    CONSTRAINT order_refunds_pkey PRIMARY KEY (refund_id),
    CONSTRAINT order_refunds_order_fkey FOREIGN KEY (order_id) REFERENCES orders,
    CONSTRAINT order_refunds_amount_not_negative CHECK (amount >= 0),
    CONSTRAINT order_refunds_part_is_something CHECK (kind = 'WHOLE' OR amount > 0),
    CONSTRAINT order_refunds_reason_given CHECK (reason <> '')
);
CREATE UNIQUE INDEX order_refunds_one_whole ON order_refunds (order_id) WHERE kind = 'WHOLE';
CREATE INDEX order_refunds_of_order ON order_refunds (order_id, created_at);

-- +goose StatementBegin
-- Nobody gets back more than was paid, and nothing after all went back.
CREATE FUNCTION order_refunds_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    paid  numeric;
    back  numeric;
    whole boolean;
BEGIN
    SELECT credits_charged INTO paid FROM orders WHERE order_id = NEW.order_id FOR UPDATE;
    SELECT coalesce(sum(amount), 0), coalesce(bool_or(kind = 'WHOLE'), false) INTO back, whole FROM order_refunds WHERE order_id = NEW.order_id;
    IF whole OR back + NEW.amount > paid THEN
        RAISE EXCEPTION 'order % cannot be refunded by that', NEW.order_id USING ERRCODE = 'check_violation', CONSTRAINT = 'order_refunds_within_price';
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER order_refunds_guard BEFORE INSERT ON order_refunds FOR EACH ROW EXECUTE FUNCTION order_refunds_guard();
CREATE TRIGGER order_refunds_never_deleted BEFORE UPDATE OR DELETE OR TRUNCATE ON order_refunds FOR EACH STATEMENT EXECUTE FUNCTION refuse_delete();

-- Whose order it is for limits: all accounts of a person. And what the price included when the seat was reserved.
ALTER TABLE orders
    ADD COLUMN person_id uuid,
    ADD COLUMN includes  jsonb;
CREATE INDEX orders_of_person ON orders (event_id, person_id) WHERE person_id IS NOT NULL AND status IN ('PENDING', 'CONFIRMED');
