package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"

	"github.com/stripe/stripe-mock/embedded"
	"github.com/stripe/stripe-mock/server"
)

// stripeAPI is the stripe-mock server; seen are the requests that made PaymentIntents.
type stripeAPI struct {
	*httptest.Server
	mu   sync.Mutex
	seen []stripeRequest
}

type stripeRequest struct {
	key, idempotency string
	form             url.Values
}

var stripeSpec = sync.OnceValues(func() (*server.StubServer, error) {
	spec, err := server.LoadSpec(embedded.OpenAPISpec, "")
	if err != nil {
		return nil, err
	}
	fixtures, err := server.LoadFixtures(embedded.OpenAPIFixtures, "")
	if err != nil {
		return nil, err
	}
	return server.NewStubServer(fixtures, spec, false, false)
})

func startStripe(t *testing.T) *stripeAPI {
	stub, err := stripeSpec()
	must(t, err)
	s := &stripeAPI{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			copied := r.Clone(context.Background())
			body, again := twice(t, r.Body)
			r.Body, copied.Body = body, again
			must(t, copied.ParseForm())
			s.mu.Lock()
			s.seen = append(s.seen, stripeRequest{r.Header.Get("Authorization"), r.Header.Get("Idempotency-Key"), copied.PostForm})
			s.mu.Unlock()
		}
		stub.HandleRequest(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func TestTopUp(t *testing.T) {
	api := startStripe(t)
	w := startWorld(t, func(s *settings) { s.StripeURL = api.URL })
	p := w.join()
	topUp := func(amount any, headers ...string) answer {
		return w.call("POST", "/credits/topup", p.access, obj{"amount": amount}, headers...)
	}
	a := topUp(25.5).want(t, 200, "")
	if a.data()["client_secret"] == "" || a.data()["amount"] != 25.5 || a.data()["currency"] != "sgd" || a.data()["topup_id"] == nil {
		t.Fatal(a.raw)
	}
	id := a.data()["topup_id"].(string)
	r := api.seen[0]
	if r.key != "Bearer sk_test_123" || r.idempotency != "topup-"+id || r.form.Get("amount") != "2550" ||
		r.form.Get("currency") != "sgd" || r.form.Get("metadata[topup_id]") != id {
		t.Fatalf("what Stripe saw: %+v", r)
	}
	w.has(p, 0) // nothing before the webhook
	w.stripe(paid(id, 25_50)).want(t, 200, "")
	w.has(p, 25_50)

	first := topUp(10, "Idempotency-Key", "mine").want(t, 200, "")
	if again := topUp(10, "Idempotency-Key", "mine").want(t, 200, ""); again.data()["topup_id"] != first.data()["topup_id"] {
		t.Fatalf("one key, one top-up: %s %s", first.raw, again.raw)
	}
	topUp(11, "Idempotency-Key", "mine").want(t, 400, "VALIDATION_ERROR")
	for _, bad := range []any{nil, 0, -5, 0.99, 10000.01, 1.001, 1e3, "10", true, 1e30, obj{}} {
		if bad == any(1e3) {
			continue // JSON writes it as 1000
		}
		a := topUp(bad).want(t, 400, "VALIDATION_ERROR")
		if errs, _ := a.body["errors"].(obj); errs["amount"] == nil {
			t.Errorf("%v: the field is not named: %s", bad, a.raw)
		}
	}
	for _, raw := range []string{`{"amount": NaN}`, `{"amount": 1e400}`, `{"amount": 1e2}`, `{"amount": 00}`} {
		w.call("POST", "/credits/topup", p.access, raw).want(t, 400, "VALIDATION_ERROR")
	}
	list := w.call("GET", "/credits/transactions", p.access, nil).want(t, 200, "")
	if rows := list.body["data"].([]any); len(rows) != 1 || rows[0].(obj)["type"] != "topup" || rows[0].(obj)["amount"] != 25.5 || rows[0].(obj)["reference_id"] != id {
		t.Fatal(list.raw)
	}
}

// While Stripe is down a top-up is refused and can be repeated, under the same idempotency key.
func TestTopUpWhileStripeIsDown(t *testing.T) {
	w := startWorld(t) // nothing listens at its Stripe
	p := w.join()
	for range 2 {
		w.call("POST", "/credits/topup", p.access, obj{"amount": 10}, "Idempotency-Key", "k").want(t, 503, "SERVICE_UNAVAILABLE")
	}
	api := startStripe(t)
	w.stop()
	w.settings.StripeURL = api.URL
	w.run()
	a := w.call("POST", "/credits/topup", p.access, obj{"amount": 10}, "Idempotency-Key", "k").want(t, 200, "")
	var topUps int
	must(t, w.db.QueryRow(t.Context(), `SELECT count(*) FROM topups WHERE topup_id = $1`, a.data()["topup_id"]).Scan(&topUps))
	if topUps != 1 || api.seen[0].idempotency != "topup-"+a.data()["topup_id"].(string) {
		t.Fatal("the top-up of the first try is the one that is paid")
	}
}

func TestTransactionsArePaged(t *testing.T) {
	w := startWorld(t)
	p := w.rich("100")
	for range 4 {
		w.deduct(newID(), p, 10).want(t, 200, "")
	}
	a := w.call("GET", "/credits/transactions?page=2&per_page=2", p.access, nil).want(t, 200, "")
	rows, page := a.body["data"].([]any), a.body["pagination"].(obj)
	if len(rows) != 2 || page["total"] != 5.0 || page["total_pages"] != 3.0 || rows[0].(obj)["balance_after"] != 80.0 || rows[0].(obj)["amount"] != -10.0 {
		t.Fatal(a.raw)
	}
	w.call("GET", "/credits/transactions?page=0", p.access, nil).want(t, 400, "VALIDATION_ERROR")
	w.call("GET", "/credits/transactions?per_page=101", p.access, nil).want(t, 400, "VALIDATION_ERROR")
}
