package bench

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"ticketremaster/stack/qr"
)

// tickets returns QR payloads of sold seats, each once, sealed when asked for: they are valid for a minute.
type tickets struct {
	event string
	seats []string
	used  atomic.Int64
	key   qr.Key
}

// soldTickets makes an event whose seats are all sold at price 0. They are written to the databases as purchases would
// leave them, so that the audit finds nothing; buying them would take the bench's whole time.
func (b *bench) soldTickets(ctx context.Context, n int) (*tickets, error) {
	event, seats, err := b.event(ctx, n)
	if err != nil {
		return nil, err
	}
	for _, sale := range []struct {
		database, sql string
		ids           []string
	}{
		{"seats_db", `
			WITH sold AS (
				UPDATE seats SET status = 'SOLD', owner_user_id = ($2::uuid[])[1 + floor(random() * cardinality($2::uuid[]))], hold_id = seat_id, price_paid = 0, ownership_version = 1,
					sold_at = now(), updated_at = clock_timestamp()
				WHERE event_id = $1 RETURNING seat_id, owner_user_id, sold_at)
			INSERT INTO seat_ownership (operation_id, seat_id, to_user_id, cause, version, at)
			SELECT seat_id, seat_id, owner_user_id, 'PURCHASE', 1, sold_at FROM sold`, b.world.users},
		{"orders_db", `
			INSERT INTO orders (order_id, user_id, seat_id, event_id, status, price, held_until, confirmed_at, attempt_id)
			SELECT seat, seat, seat, $1, 'CONFIRMED', 0, now(), now(), seat FROM unnest($2::uuid[]) seat`, seats},
	} {
		db, err := pgx.Connect(ctx, b.stack.DSN(sale.database))
		if err != nil {
			return nil, err
		}
		defer db.Close(ctx)
		if _, err := db.Exec(ctx, "SET session_replication_role = replica"); err != nil { // the state machine would require every step
			return nil, err
		}
		if _, err := db.Exec(ctx, sale.sql, event, sale.ids); err != nil {
			return nil, err
		}
	}
	if err := b.settle(ctx); err != nil {
		return nil, err
	}
	key, err := qr.ParseKey(b.stack.Secret("QR_ENCRYPTION_KEY"))
	return &tickets{event: event, seats: seats, key: key}, err
}

func (t *tickets) next() (string, error) {
	n := int(t.used.Add(1) - 1)
	if n >= len(t.seats) {
		return "", fmt.Errorf("all %d tickets are used up", len(t.seats))
	}
	return t.key.Seal(qr.Ticket{Seat: id(t.seats[n]), Event: id(t.event), Hall: "H1", Time: time.Now().Unix(), Version: 1}), nil
}

func id(text string) string { return qr.ID(uuid.MustParse(text)) }
