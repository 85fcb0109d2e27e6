package failover

import (
	"context"
	"net/http"
	"testing"
	"time"

	"ticketremaster/stack/native"
)

// Without a standby nothing is safe, so no payment is answered as done, not when it is repeated either, when a reader
// would see it as done. Once a standby is back it ends well by itself.
func TestNothingIsClaimedWithoutAStandby(t *testing.T) {
	p := person(t, 90)
	seats, all := newEvent(t, 2), map[string]*native.Patroni{"seats_db": seats, "users_db": book}
	for name, cluster := range all {
		t.Run(name, func(t *testing.T) {
			whole, stop := context.WithTimeout(t.Context(), 2*time.Minute)
			defer stop()
			check(t, cluster.AwaitWhole(whole))
			a, err := p.Post(t.Context(), "/reserve", map[string]any{"seat_id": seats[0]})
			seats = seats[1:]
			if err != nil || a.Status != http.StatusOK {
				t.Fatal(a.Status, string(a.Raw), err)
			}
			order := a.Text("order_id")
			primary, err := cluster.Primary(t.Context())
			check(t, err)
			for n := range 3 {
				if n != primary {
					check(t, cluster.KillNode(n))
				}
			}
			for range 3 {
				a, err := p.Post(t.Context(), "/pay", map[string]any{"order_id": order})
				if err != nil || a.Status != http.StatusAccepted && a.Status != http.StatusServiceUnavailable {
					t.Errorf("without a standby: %d %s %v", a.Status, a.Raw, err)
				}
			}
			for n := range 3 {
				if n != primary {
					check(t, cluster.StartNode(n))
				}
			}
			check(t, cluster.AwaitWhole(whole))
			eventually(t, "it is paid, or can be", time.Minute, func() bool {
				_, _ = p.Post(t.Context(), "/pay", map[string]any{"order_id": order})
				return ask[string](t, "orders_db", `SELECT status::text FROM orders WHERE order_id::text = $1`, order) == "CONFIRMED"
			})
		})
	}
	audited(t)
}
