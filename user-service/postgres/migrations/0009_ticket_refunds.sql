-- +goose Up
ALTER TYPE movement_kind ADD VALUE 'ticket_refund';

-- +goose StatementBegin
-- Gives credits back for tickets, from the platform: each refund once, in the order of the users, so that two calls never wait for
-- each other. One movement at a time, since a statement moves a user's credits once.
CREATE FUNCTION credits_refund_tickets(p_ids uuid[], p_users uuid[], p_amounts numeric[], p_orders uuid[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE r record;
BEGIN
    FOR r IN SELECT * FROM unnest(p_ids, p_users, p_amounts, p_orders) AS refund (id, "user", amount, "order") ORDER BY "user", id LOOP
        INSERT INTO movements (kind, operation_id, source, target, target_id, amount, reference_id)
            VALUES ('ticket_refund', r.id, 'platform', 'user', r."user", r.amount, r."order")
            ON CONFLICT ON CONSTRAINT movements_once DO NOTHING;
        IF NOT FOUND THEN
            PERFORM FROM movements WHERE kind = 'ticket_refund' AND operation_id = r.id AND target_id = r."user" AND amount = r.amount;
            IF NOT FOUND THEN PERFORM refuse('operation_differs'); END IF;
        END IF;
    END LOOP;
END $$;
-- +goose StatementEnd
