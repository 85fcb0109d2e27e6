-- +goose Up

CREATE TYPE listing_status AS ENUM ('ACTIVE', 'PENDING_TRANSFER', 'COMPLETED', 'CANCELLED');

-- Tickets offered for resale. From buy to end a listing has a transfer, which blocks every other of the seat; what becomes of
-- the transfer becomes of the listing, in the same transaction (listing_follows_transfer).
CREATE TABLE listings (
    listing_id     uuid           NOT NULL CONSTRAINT listings_pkey PRIMARY KEY,
    seat_id        uuid           NOT NULL,
    event_id       uuid           NOT NULL,
    seller_user_id uuid           NOT NULL,
    asking_price   numeric(10,2)  NOT NULL CONSTRAINT listings_price_positive CHECK (asking_price > 0),
    status         listing_status NOT NULL DEFAULT 'ACTIVE',
    end_reason     text           CONSTRAINT listings_reason_length CHECK (length(end_reason) <= 500), -- why it was cancelled
    transfer_id    uuid           CONSTRAINT listings_transfer_fkey REFERENCES transfers,              -- of the latest buyer
    check_from     timestamptz    NOT NULL, -- from then on the ticket may be used: the sweep looks at it
    checked_at     timestamptz    NOT NULL DEFAULT now(),
    created_at     timestamptz    NOT NULL DEFAULT now(),
    updated_at     timestamptz    NOT NULL DEFAULT now(),
    CONSTRAINT listings_transfer_if_bought CHECK (status IN ('ACTIVE', 'CANCELLED') OR transfer_id IS NOT NULL),
    CONSTRAINT listings_reason_if_cancelled CHECK ((status = 'CANCELLED') = (end_reason IS NOT NULL))
) WITH (fillfactor = 80);

CREATE UNIQUE INDEX listings_one_live_per_seat ON listings (seat_id) WHERE status IN ('ACTIVE', 'PENDING_TRANSFER');
CREATE INDEX listings_by_status ON listings (status, created_at DESC, listing_id DESC);
CREATE INDEX listings_by_event ON listings (event_id, status, created_at DESC, listing_id DESC);
CREATE INDEX listings_by_seller ON listings (seller_user_id, created_at DESC, listing_id DESC);
CREATE INDEX listings_of_transfer ON listings (transfer_id) WHERE transfer_id IS NOT NULL;
CREATE INDEX listings_to_check ON listings (checked_at) WHERE status = 'ACTIVE';

-- A transfer that a listing's buyer began: the buyer's credits are in escrow while it is live.
ALTER TABLE transfers ADD COLUMN listing_id uuid;

-- +goose StatementBegin
CREATE FUNCTION listings_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.status <> NEW.status AND (OLD.status, NEW.status) NOT IN (
        ('ACTIVE', 'PENDING_TRANSFER'), ('ACTIVE', 'CANCELLED'), ('PENDING_TRANSFER', 'ACTIVE'),
        ('PENDING_TRANSFER', 'COMPLETED'), ('PENDING_TRANSFER', 'CANCELLED')) THEN
        RAISE EXCEPTION 'listing % cannot go from % to %', OLD.listing_id, OLD.status, NEW.status USING ERRCODE = 'check_violation', CONSTRAINT = 'listings_transition';
    END IF;
    IF (OLD.listing_id, OLD.seat_id, OLD.event_id, OLD.seller_user_id, OLD.asking_price, OLD.created_at)
        IS DISTINCT FROM (NEW.listing_id, NEW.seat_id, NEW.event_id, NEW.seller_user_id, NEW.asking_price, NEW.created_at) THEN
        RAISE EXCEPTION 'the facts of listing % cannot change', OLD.listing_id USING ERRCODE = 'check_violation', CONSTRAINT = 'listings_immutable';
    END IF;
    RETURN NEW;
END
$$;

-- A listing ends, or is offered again, with its transfer. It is offered again only if the seller was never asked, or the buyer was the
-- reason. A ticket that
-- changed hands, or whose transfer is disputed, is for sale no more.
CREATE FUNCTION listing_follows_transfer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.status = NEW.status THEN RETURN NULL; END IF;
    IF NEW.listing_id IS NOT NULL AND NEW.status = 'COMPLETED' AND OLD.status = 'PENDING_OTP' THEN
        UPDATE listings SET status = 'COMPLETED', updated_at = now() WHERE transfer_id = NEW.transfer_id AND status = 'PENDING_TRANSFER';
    ELSIF NEW.listing_id IS NOT NULL AND NEW.status = 'FAILED' AND (NEW.refused OR NEW.failure_reason IN ('WITHDRAWN', 'INSUFFICIENT_CREDITS')) THEN
        UPDATE listings SET status = 'ACTIVE', updated_at = now() WHERE transfer_id = NEW.transfer_id AND status = 'PENDING_TRANSFER';
    ELSIF NEW.listing_id IS NOT NULL AND NEW.status = 'FAILED' THEN
        UPDATE listings SET status = 'CANCELLED', end_reason = NEW.failure_reason, updated_at = now() WHERE transfer_id = NEW.transfer_id AND status = 'PENDING_TRANSFER';
    END IF;
    IF NEW.status IN ('COMPLETED', 'DISPUTED', 'REVERSED') THEN
        UPDATE listings SET status = 'CANCELLED', end_reason = 'TICKET_' || NEW.status, updated_at = now() WHERE seat_id = NEW.seat_id AND status = 'ACTIVE';
    END IF;
    RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER listings_guard BEFORE UPDATE ON listings FOR EACH ROW EXECUTE FUNCTION listings_guard();
CREATE TRIGGER listings_never_deleted BEFORE DELETE OR TRUNCATE ON listings FOR EACH STATEMENT EXECUTE FUNCTION refuse_delete();
CREATE TRIGGER listing_follows_transfer AFTER UPDATE OF status ON transfers FOR EACH ROW EXECUTE FUNCTION listing_follows_transfer();

-- +goose Down
DROP TRIGGER listing_follows_transfer ON transfers;
ALTER TABLE transfers DROP COLUMN listing_id;
DROP TABLE listings;
DROP FUNCTION listing_follows_transfer, listings_guard;
DROP TYPE listing_status;
