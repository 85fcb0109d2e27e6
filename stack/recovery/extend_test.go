package recovery

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"ticketremaster/stack/client"
)

// A hold is extended once while its holder's top-up is under way. The order service is away meanwhile and the
// orchestrator dies: the order gets its new end all the same. Who pays by then has the ticket; otherwise the seat is
// released at the new end, once.
func TestAHoldIsExtendedAcrossCrashes(t *testing.T) {
	clean(t)
	const life = "HOLD_TTL=10s"
	restart(t, "orchestrator-service", life)
	defer restart(t, "orchestrator-service")
	payer, waverer, idler := person(t, 0), person(t, 0), person(t, 0)
	seats := []string{freeSeat(t), freeSeat(t), freeSeat(t)}
	var orders, intents []string
	for i, p := range []*client.Person{payer, waverer, idler} {
		orders = append(orders, reserve(t, p, seats[i]))
		if p != idler {
			a, err := p.Post(t.Context(), "/credits/topup", map[string]any{"amount": price})
			intent, _, _ := strings.Cut(must(t, a, err, http.StatusOK).Text("client_secret"), "_secret_")
			intents = append(intents, intent)
		}
	}
	kill(t, "order-service")
	extended := func(seat string) bool {
		return ask[bool](t, "seats_db", `SELECT coalesce(extended_hold_id = hold_id, false) FROM seats WHERE seat_id = $1`, seat)
	}
	eventually(t, "the holds are extended", func() bool { return extended(seats[0]) && extended(seats[1]) })
	kill(t, "orchestrator-service")
	start(t, "order-service")
	start(t, "orchestrator-service", life)
	until := func(database, table, id string) time.Time {
		return ask[time.Time](t, database, `SELECT held_until FROM `+table+` WHERE seat_id = $1`, id)
	}
	for _, seat := range seats[:2] {
		end := until("seats_db", "seats", seat)
		eventually(t, "the order knows the new end", func() bool { return until("orders_db", "orders", seat).Equal(end) })
	}
	ended(t, idler, orders[2], seats[2])
	last := until("seats_db", "seats", seats[1])
	if err := app.Stripe(t.Context(), "pay", intents[0]); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the credits are there", func() bool { b, err := payer.Balance(t.Context()); return err == nil && b == price })
	a, err := pay(t, payer, orders[0])
	must(t, a, err, http.StatusOK)
	owns(t, payer, seats[0])
	ended(t, waverer, orders[1], seats[1])
	if now := ask[time.Time](t, "seats_db", `SELECT freed_at FROM seats WHERE seat_id = $1`, seats[1]); now.Before(last) {
		t.Errorf("the hold ended at %s, before its new end %s", now, last)
	}
}
