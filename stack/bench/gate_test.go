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

// soldTickets makes an event whose seats are all sold at a price in cents, to the users in turn; with a price they must be
// fewer than the users. They are written to the databases as purchases would leave them, so that the audit finds nothing;
// buying them would take the bench's whole time.
func (b *bench) soldTickets(ctx context.Context, n int, price int64) (*tickets, error) {
	event, seats, err := b.event(ctx, n)
	if err != nil {
		return nil, err
	}
	owners := make([]string, n)
	for i := range owners {
		owners[i] = b.world.users[i%len(b.world.users)]
	}
	sales := []struct{ database, sql string }{
		{"seats_db", `
			WITH sold AS (
				UPDATE seats SET status = 'SOLD', owner_user_id = owner, hold_id = seat_id, price_paid = $4 / 100.0, ownership_version = 1,
					sold_at = now(), updated_at = clock_timestamp()
				FROM unnest($2::uuid[], $3::uuid[]) AS sale (seat, owner) WHERE event_id = $1 AND seat_id = seat RETURNING seat_id, owner_user_id, sold_at)
			INSERT INTO seat_ownership (operation_id, seat_id, to_user_id, cause, version, at)
			SELECT seat_id, seat_id, owner_user_id, 'PURCHASE', 1, sold_at FROM sold`},
		{"orders_db", `
			INSERT INTO orders (order_id, user_id, seat_id, event_id, status, price, credits_charged, held_until, confirmed_at, attempt_id)
			SELECT seat, owner, seat, $1, 'CONFIRMED', $4 / 100.0, $4 / 100.0, now(), now(), seat FROM unnest($2::uuid[], $3::uuid[]) AS sale (seat, owner)`},
	}
	if price > 0 {
		sales = append(sales, struct{ database, sql string }{"users_db", `
			WITH paid AS (
				INSERT INTO operations (kind, operation_id, state, user_id, amount, reference_id)
				SELECT 'purchase', seat, 'DONE', owner, $4 / 100.0, seat FROM unnest($2::uuid[], $3::uuid[]) AS sale (seat, owner) WHERE $1::uuid IS NOT NULL
				RETURNING operation_id, user_id, amount)
			INSERT INTO movements (kind, operation_id, source, source_id, target, amount, reference_id)
			SELECT 'purchase', operation_id, 'user', user_id, 'platform', amount, operation_id FROM paid`})
	}
	for _, sale := range sales {
		db, err := pgx.Connect(ctx, b.stack.DSN(sale.database))
		if err != nil {
			return nil, err
		}
		defer db.Close(ctx)
		if sale.database != "users_db" { // the state machines would require every step; the ledger takes a movement by itself
			if _, err := db.Exec(ctx, "SET session_replication_role = replica"); err != nil {
				return nil, err
			}
		}
		if _, err := db.Exec(ctx, sale.sql, event, seats, owners, price); err != nil {
			return nil, fmt.Errorf("%s: %w", sale.database, err)
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
