package recovery

import (
	"net/http"
	"testing"

	"ticketremaster/stack/client"
)

// A service whose secret does not fit its caller's refuses the call, not the payment: that goes on once it fits. While
// a secret is being changed, two are valid.
func TestASecretThatIsChanged(t *testing.T) {
	clean(t)
	current := own.Secret("INVENTORY_TOKEN")
	const next = "the-secret-that-callers-get-next-0123456789"
	p, seat := person(t, 2*price), freeSeat(t)
	order, second := reserve(t, p, seat), reserve(t, p, freeSeat(t))
	defer func() {
		restart(t, "inventory-service")
		eventually(t, "the orchestrator is connected to it again", func() bool {
			a, err := p.Get(t.Context(), "/tickets")
			return err == nil && a.Status == http.StatusOK
		})
	}()
	restart(t, "inventory-service", "INVENTORY_TOKEN="+next)
	a, err := pay(t, p, order)
	if must(t, a, err, http.StatusAccepted).Text("status") != "PENDING" {
		t.Errorf("202 says %s", a.Data)
	}
	restart(t, "inventory-service", "INVENTORY_TOKEN="+next, "INVENTORY_TOKEN_PREVIOUS="+current)
	eventually(t, "the payment goes on", func() bool { return orderStatus(t, p, order) == "CONFIRMED" })
	a, err = pay(t, p, second)
	must(t, a, err, http.StatusOK)
	has(t, p, 0)
	owns(t, p, seat)
	sagaEnds(t, order, "DONE")
}

// A correlation id that gRPC cannot transport does not keep a payment or a transfer from completing.
func TestACorrelationIDThatNothingCarries(t *testing.T) {
	clean(t)
	for _, id := range []string{"café", "a\tb", "日本", " ", "x y"} {
		p, seat := person(t, price), freeSeat(t)
		order := reserve(t, p, seat)
		for name, through := range map[string]*client.App{"the gateway": app, "the orchestrator": direct(t)} {
			a, err := through.Do(t.Context(), client.Call{
				Method: http.MethodPost, Path: "/pay", Token: p.Access, Body: map[string]any{"order_id": order}, Header: http.Header{"X-Correlation-Id": {id}},
			})
			if err != nil || a.Status != http.StatusOK && a.Code != "ORDER_ALREADY_CONFIRMED" {
				t.Errorf("%q through %s: %d %s, %v", id, name, a.Status, a.Raw, err)
			}
		}
		sagaEnds(t, order, "DONE")
		owns(t, p, seat)
	}
}

// direct calls the stack's own orchestrator, without the gateway.
func direct(t *testing.T) *client.App {
	t.Helper()
	addr, err := own.Addr("orchestrator-service")
	if err != nil {
		t.Fatal(err)
	}
	other := *app
	other.Gateway = "http://" + addr
	return &other
}
