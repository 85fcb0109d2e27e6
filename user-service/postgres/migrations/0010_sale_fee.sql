-- +goose Up
-- The platform's share of a sale at the marketplace, kept from what the seller gets.
ALTER TYPE movement_kind ADD VALUE 'sale_fee';

-- +goose StatementBegin
-- Pays an escrow to a user, less a fee, which goes to the platform. A repeat answers the same.
CREATE FUNCTION credits_escrow_release(p_id uuid, p_to uuid, p_fee numeric) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE o operations;
BEGIN
    SELECT * INTO o FROM operations WHERE kind = 'escrow' AND operation_id = p_id FOR UPDATE;
    IF NOT FOUND THEN PERFORM refuse('escrow_not_found'); END IF;
    IF o.state IN ('VOID', 'UNDONE') THEN PERFORM refuse('operation_voided'); END IF;
    IF o.state = 'RELEASED' THEN
        IF o.released_to <> p_to THEN PERFORM refuse('operation_differs'); END IF;
        RETURN balance_of(p_to);
    END IF;
    IF p_fee < 0 OR p_fee > o.amount THEN PERFORM refuse('operation_differs'); END IF;
    UPDATE operations SET state = 'RELEASED', released_to = p_to WHERE kind = 'escrow' AND operation_id = p_id;
    IF p_fee > 0 THEN
        INSERT INTO movements (kind, operation_id, source, source_id, target, amount, reference_id)
            VALUES ('sale_fee', p_id, 'escrow', p_id, 'platform', p_fee, o.reference_id);
    END IF;
    INSERT INTO movements (kind, operation_id, source, source_id, target, target_id, amount, reference_id)
        VALUES ('escrow_release', p_id, 'escrow', p_id, 'user', p_to, o.amount - p_fee, o.reference_id);
    RETURN balance_of(p_to);
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION credits_escrow_release(uuid, uuid, numeric); -- the kind stays: no value can be taken from a type
