package bench

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"crypto/sha256"
	"ticketremaster/platform/config"
)

// tickets returns QR payloads of sold seats, each once, sealed when asked for: they are valid for a minute.
type tickets struct {
	event string
	seats []string
	used  atomic.Int64
	aead  cipher.AEAD
	keyID string
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
	t := &tickets{event: event, seats: seats}
	return t, t.useKey(b.stack.Secret("QR_ENCRYPTION_KEY"))
}

// useKey reads the key as the orchestrator does; docs/qr-format.md has the format.
func (t *tickets) useKey(text string) error {
	var key config.Key32
	if err := key.UnmarshalText([]byte(text)); err != nil {
		return fmt.Errorf("QR_ENCRYPTION_KEY: %w", err)
	}
	sum := sha256.Sum256(append([]byte("ticketremaster qr"), key[:]...))
	t.keyID = base64.RawURLEncoding.EncodeToString(sum[:])[:4]
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return err
	}
	t.aead, err = cipher.NewGCM(block)
	return err
}

func (t *tickets) next() (string, error) {
	n := int(t.used.Add(1) - 1)
	if n >= len(t.seats) {
		return "", fmt.Errorf("all %d tickets are used up", len(t.seats))
	}
	plain := fmt.Sprintf(`{"s":%q,"e":%q,"h":"H1","t":%d,"o":1}`, compact(t.seats[n]), compact(t.event), time.Now().Unix())
	nonce := make([]byte, t.aead.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return "", err
	}
	return t.keyID + "." + base64.RawURLEncoding.EncodeToString(t.aead.Seal(nonce, nonce, []byte(plain), []byte(t.keyID))), nil
}

func compact(id string) string {
	u := uuid.MustParse(id)
	return base64.RawURLEncoding.EncodeToString(u[:])
}
