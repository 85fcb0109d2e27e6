package recovery

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"ticketremaster/platform/money"
	"ticketremaster/stack/client"
)

// A scene is a saga that is about to run, the call that runs it, and what must hold however often the orchestrator dies
// while it does.
type scene struct {
	saga  string
	steps []string // at which it dies: before and after each
	set   func(t *testing.T) (call func(through *client.App) (client.Answer, error), right func(t *testing.T))
}

// scenes name the steps as the flows' tables do; "undo " before a name is its compensation.
var scenes = map[string]scene{
	"a purchase":                               {"purchase", []string{"pin hold", "deduct credits", "confirm order", "confirm seat"}, purchase},
	"a purchase too dear":                      {"purchase", []string{"undo deduct credits", "undo pin hold"}, tooDear},
	"a purchase whose order ended":             {"purchase", []string{"undo confirm order", "undo deduct credits", "undo pin hold"}, orderEnded},
	"a booking":                                {"booking", []string{"pin hold", "deduct credits", "confirm order", "confirm seat"}, booking},
	"a booking too dear":                       {"booking", []string{"undo deduct credits", "undo pin hold"}, bookingTooDear},
	"a booking one of whose orders ended":      {"booking", []string{"undo confirm order", "undo deduct credits", "undo pin hold"}, bookingOrderEnded},
	"a transfer":                               {"transfer", []string{"claim transfer", "escrow buyer's credits", "hand over seat", "pay seller from escrow", "complete record"}, transfer},
	"a transfer whose buyer spent the credits": {"transfer", []string{"undo escrow buyer's credits", "undo claim transfer"}, spent},
	"a transfer whose ticket was used":         {"transfer", []string{"undo escrow buyer's credits", "undo claim transfer"}, used},
	"a dispute":                                {"dispute", []string{"mark disputed", "freeze seller's credits"}, dispute},
	"a dispute of what was handed on":          {"dispute", []string{"undo mark disputed"}, disputeTooLate},
	"the end of a dispute":                     {"end-dispute", []string{"end dispute", "unfreeze seller's credits"}, endDispute},
	"a reversal":                               {"reversal", []string{"claim reversal", "put frozen credits into escrow", "hand back seat", "pay buyer from escrow", "close record"}, reversal},
	"a reversal that is short":                 {"reversal", []string{"undo put frozen credits into escrow", "undo claim reversal"}, reversalShort},
	"a reversal whose ticket was used":         {"reversal", []string{"undo put frozen credits into escrow", "undo claim reversal"}, reversalUsed},
	"a purchase at the marketplace":            {"buy-listing", []string{"claim listing", "escrow buyer's credits", "ask seller"}, bought},
	"one that is too dear":                     {"buy-listing", []string{"undo escrow buyer's credits", "undo claim listing"}, boughtTooDear},
	"the withdrawal of one":                    {"fail-sale", []string{"fail transfer", "return escrow"}, withdrawn},
	"a refund":                                 {"refund-ticket", []string{"void ticket", "refund order", "return credits", "free seat"}, refundedTicket},
	"a refund of what is disputed":             {"refund-ticket", []string{"undo void ticket"}, refundRefused},
	"a cancellation":                           {"cancel-event", []string{"cancel event", "stop sale", "end transfers"}, cancelled},
	"a cancellation's refunds":                 {"refund-batch", []string{"void tickets", "refund orders", "restore tickets", "return credits", "settle tickets"}, cancelledInBatches},
	"the making of an event":                   {"create-event", []string{"draft event", "create seats", "publish event"}, createEvent},
	"the making of an event that is wrong":     {"create-event", []string{"undo draft event"}, createWrongEvent},
}

// The orchestrator is killed (kill -9) before and after every step of every saga, and one of several others takes the
// saga over and ends it correctly.
func TestTheOrchestratorDiesAtEveryStep(t *testing.T) {
	clean(t)
	for name, s := range scenes {
		for _, step := range s.steps {
			for _, when := range []string{"before", "after"} {
				t.Run(fmt.Sprintf("%s %s %s", name, when, step), func(t *testing.T) {
					t.Parallel()
					call, right := s.set(t)
					dying, through := replica(t, "SAGA_CRASH_AT="+s.saga+":"+step+":"+when)
					if a, err := call(through); err == nil && a.Status != http.StatusBadGateway {
						t.Fatalf("it answered, and so did not die there: %d %s", a.Status, a.Raw)
					}
					eventually(t, "the orchestrator is dead", func() bool { _, runs := own.Running(dying); return !runs })
					right(t)
				})
			}
		}
	}
}

func purchase(t *testing.T) (func(*client.App) (client.Answer, error), func(*testing.T)) {
	p, seat := person(t, 50_00), freeSeat(t)
	order := reserve(t, p, seat)
	return func(through *client.App) (client.Answer, error) { return pay(t, via(p, through), order) }, func(t *testing.T) {
		eventually(t, "the order is paid", func() bool { return orderStatus(t, p, order) == "CONFIRMED" })
		eventually(t, "the seat is sold", func() bool { return seatStatus(t, seat) == "SOLD" })
		has(t, p, 30_00)
		owns(t, p, seat)
		a, err := pay(t, p, order)
		refused(t, a, err, http.StatusConflict, "ORDER_ALREADY_CONFIRMED")
	}
}

func tooDear(t *testing.T) (func(*client.App) (client.Answer, error), func(*testing.T)) {
	p := person(t, 5_00)
	order := reserve(t, p, freeSeat(t))
	return func(through *client.App) (client.Answer, error) { return pay(t, via(p, through), order) }, func(t *testing.T) {
		sagaEnds(t, order, "UNDONE")
		has(t, p, 5_00)
		if _, err := p.TopUp(t.Context(), 15_00); err != nil {
			t.Fatal(err)
		}
		a, err := pay(t, p, order) // the hold stayed
		must(t, a, err, http.StatusOK)
		has(t, p, 0)
	}
}

// orderEnded has an order that accepts no payment when its saga gets there: an impossible state, made by hand, from
// which the saga must still recover.
func orderEnded(t *testing.T) (func(*client.App) (client.Answer, error), func(*testing.T)) {
	p, seat := person(t, 50_00), freeSeat(t)
	order := reserve(t, p, seat)
	return func(through *client.App) (client.Answer, error) {
			whileLocked(t, "users_db", `SELECT FROM users WHERE user_id = $1 FOR UPDATE`, p.ID, func() {
				go func() { _, _ = pay(t, via(p, through), order) }()
				eventually(t, "the hold is pinned", func() bool {
					return ask[bool](t, "seats_db", `SELECT pin_id IS NOT NULL FROM seats WHERE seat_id = $1`, seat)
				})
				endOrder(t, order)
			})
			return client.Answer{}, fmt.Errorf("nobody waits for the answer")
		}, func(t *testing.T) {
			sagaEnds(t, order, "UNDONE")
			has(t, p, 50_00)
			if got := orderStatus(t, p, order); got != "FAILED" {
				t.Errorf("the order is %s", got)
			}
		}
}

// endOrder ends an unpaid order behind its saga's back.
func endOrder(t *testing.T, order string) {
	t.Helper()
	addr, err := own.Addr("order-service")
	if err != nil {
		t.Fatal(err)
	}
	a, err := (&client.App{Gateway: "http://" + addr}).Do(t.Context(), client.Call{
		Method: http.MethodPost, Path: "/orders/" + order + "/fail", Token: own.Secret("ORDER_TOKEN"), Body: map[string]string{"reason": "CANCELLED"},
	})
	must(t, a, err, http.StatusOK)
}

func transfer(t *testing.T) (func(*client.App) (client.Answer, error), func(*testing.T)) {
	seller, buyer := person(t, price), person(t, 12_00)
	seat := ticket(t, seller)
	id, confirmation := offer(t, seller, buyer, seat, 7_50)
	return confirming(t, buyer, confirmation), func(t *testing.T) {
		becomes(t, buyer, id, "COMPLETED")
		has(t, seller, 7_50)
		has(t, buyer, 4_50)
		owns(t, buyer, seat)
	}
}

func spent(t *testing.T) (func(*client.App) (client.Answer, error), func(*testing.T)) {
	seller, buyer := person(t, price), person(t, price)
	seat := ticket(t, seller)
	id, confirmation := offer(t, seller, buyer, seat, 7_50)
	ticket(t, buyer)
	return confirming(t, seller, confirmation), func(t *testing.T) { undone(t, id, seller, buyer, seat, 0) }
}

func used(t *testing.T) (func(*client.App) (client.Answer, error), func(*testing.T)) {
	seller, buyer := person(t, price), person(t, 12_00)
	seat := ticket(t, seller)
	id, confirmation := offer(t, seller, buyer, seat, 7_50)
	checkIn(t, seller, seat)
	return confirming(t, buyer, confirmation), func(t *testing.T) { undone(t, id, seller, buyer, "", 12_00) }
}

// undone checks that a transfer left nothing behind. seat is "" for a used one.
func undone(t *testing.T, id string, seller, buyer *client.Person, seat string, buyerHas money.Cents) {
	t.Helper()
	becomes(t, buyer, id, "FAILED")
	sagaEnds(t, id, "UNDONE")
	has(t, seller, 0)
	has(t, buyer, buyerHas)
	if seat != "" {
		owns(t, seller, seat)
	}
}

func dispute(t *testing.T) (func(*client.App) (client.Answer, error), func(*testing.T)) {
	seller, buyer := person(t, price), person(t, 12_00)
	id := handOver(t, seller, buyer, ticket(t, seller), 12_00)
	return acting(t, buyer, "dispute", id), func(t *testing.T) {
		becomes(t, seller, id, "DISPUTED")
		eventually(t, "the amount is frozen", func() bool { b, err := seller.Balance(t.Context()); return err == nil && b == 0 })
		eventually(t, "the dispute can be withdrawn", func() bool { // it is being recorded until its saga is taken up
			a, err := buyer.Post(t.Context(), "/transfer/withdraw", map[string]any{"transfer_id": id})
			return err == nil && a.Status == http.StatusOK
		})
		has(t, seller, 12_00)
	}
}

func disputeTooLate(t *testing.T) (func(*client.App) (client.Answer, error), func(*testing.T)) {
	a, b, c := person(t, price), person(t, 10_00), person(t, 10_00)
	seat := ticket(t, a)
	first := handOver(t, a, b, seat, 10_00)
	handOver(t, b, c, seat, 10_00)
	return acting(t, a, "dispute", first), func(t *testing.T) {
		eventually(t, "its saga ends", func() bool {
			return ask[int](t, "sagas_db", `SELECT count(*) FROM sagas WHERE kind = 'dispute' AND status = 'UNDONE' AND state->'transfer'->>'transfer_id' = $1`, first) == 1
		})
		becomes(t, a, first, "COMPLETED")
		has(t, a, 10_00)
		owns(t, c, seat)
	}
}

func endDispute(t *testing.T) (func(*client.App) (client.Answer, error), func(*testing.T)) {
	seller, buyer := person(t, price), person(t, 12_00)
	id := handOver(t, seller, buyer, ticket(t, seller), 12_00)
	act(t, buyer, "dispute", id)
	return acting(t, buyer, "withdraw", id), func(t *testing.T) {
		becomes(t, seller, id, "COMPLETED")
		eventually(t, "the amount is free", func() bool { b, err := seller.Balance(t.Context()); return err == nil && b == 12_00 })
	}
}

func reversal(t *testing.T) (func(*client.App) (client.Answer, error), func(*testing.T)) {
	seller, buyer := person(t, price), person(t, 12_00)
	seat := ticket(t, seller)
	id := handOver(t, seller, buyer, seat, 12_00)
	act(t, buyer, "dispute", id)
	return acting(t, seller, "reverse", id), func(t *testing.T) {
		becomes(t, seller, id, "REVERSED")
		has(t, seller, 0)
		has(t, buyer, 12_00)
		owns(t, seller, seat)
	}
}

func reversalShort(t *testing.T) (func(*client.App) (client.Answer, error), func(*testing.T)) {
	seller, buyer := person(t, price), person(t, price)
	seat := ticket(t, seller)
	id := handOver(t, seller, buyer, seat, price)
	ticket(t, seller) // the money is gone
	act(t, buyer, "dispute", id)
	return acting(t, seller, "reverse", id), func(t *testing.T) { stillDisputed(t, id, seller, buyer) }
}

func reversalUsed(t *testing.T) (func(*client.App) (client.Answer, error), func(*testing.T)) {
	seller, buyer := person(t, price), person(t, price)
	seat := ticket(t, seller)
	id := handOver(t, seller, buyer, seat, price)
	act(t, seller, "dispute", id)
	checkIn(t, buyer, seat)
	return acting(t, buyer, "reverse", id), func(t *testing.T) {
		stillDisputed(t, id, seller, buyer)
		act(t, admin, "reject", id)
		has(t, seller, price)
	}
}

func stillDisputed(t *testing.T, id string, seller, buyer *client.Person) {
	t.Helper()
	sagaEnds(t, id, "UNDONE")
	becomes(t, seller, id, "DISPUTED")
	has(t, seller, 0)
	has(t, buyer, 0)
}

func bought(t *testing.T) (func(*client.App) (client.Answer, error), func(*testing.T)) {
	seller, buyer := person(t, price), person(t, price)
	seat := ticket(t, seller)
	listing := list(t, seller, seat)
	return atMarket(t, buyer, "buy", listing), func(t *testing.T) {
		listingIs(t, listing, "PENDING_TRANSFER")
		eventually(t, "the price is in escrow", func() bool { b, err := buyer.Balance(t.Context()); return err == nil && b == 0 })
		eventually(t, "the buyer can withdraw", func() bool {
			a, err := buyer.Post(t.Context(), "/marketplace/withdraw", map[string]any{"listing_id": listing})
			return err == nil && a.Status == http.StatusOK
		})
		listingIs(t, listing, "ACTIVE")
		has(t, buyer, price)
		owns(t, seller, seat)
	}
}

func boughtTooDear(t *testing.T) (func(*client.App) (client.Answer, error), func(*testing.T)) {
	seller, buyer := person(t, price), person(t, price-1)
	listing := list(t, seller, ticket(t, seller))
	return atMarket(t, buyer, "buy", listing), func(t *testing.T) {
		eventually(t, "its saga ends", func() bool {
			return ask[int](t, "sagas_db", `SELECT count(*) FROM sagas WHERE kind = 'buy-listing' AND status = 'UNDONE' AND state->'listing'->>'listing_id' = $1`, listing) == 1
		})
		listingIs(t, listing, "ACTIVE")
		has(t, buyer, price-1)
	}
}

func withdrawn(t *testing.T) (func(*client.App) (client.Answer, error), func(*testing.T)) {
	seller, buyer := person(t, price), person(t, price)
	seat := ticket(t, seller)
	listing := list(t, seller, seat)
	a, err := atMarket(t, buyer, "buy", listing)(app)
	must(t, a, err, http.StatusOK)
	return atMarket(t, buyer, "withdraw", listing), func(t *testing.T) {
		listingIs(t, listing, "ACTIVE")
		eventually(t, "the credits are back", func() bool { b, err := buyer.Balance(t.Context()); return err == nil && b == price })
		owns(t, seller, seat)
	}
}

func list(t *testing.T, seller *client.Person, seat string) (listing string) {
	t.Helper()
	a, err := seller.Post(t.Context(), "/marketplace/list", map[string]any{"seat_id": seat, "asking_price": price})
	return must(t, a, err, http.StatusCreated).Text("listing_id")
}

func atMarket(t *testing.T, p *client.Person, what, listing string) func(*client.App) (client.Answer, error) {
	return func(through *client.App) (client.Answer, error) {
		return via(p, through).Post(t.Context(), "/marketplace/"+what, map[string]any{"listing_id": listing})
	}
}

func listingIs(t *testing.T, listing, status string) {
	t.Helper()
	eventually(t, "the listing is "+status, func() bool {
		return ask[string](t, "orders_db", `SELECT status::text FROM listings WHERE listing_id = $1`, listing) == status
	})
}

func createEvent(t *testing.T) (func(*client.App) (client.Answer, error), func(*testing.T)) {
	name := fmt.Sprintf("Concert %d", made.Add(1))
	return making(t, eventBody(name, 120, time.Now().AddDate(0, 2, 0))), func(t *testing.T) {
		eventually(t, "the event is published", func() bool {
			return ask[int](t, "events_db", `SELECT count(*) FROM events WHERE name = $1 AND status = 'PUBLISHED'`, name) == 1
		})
		a, err := app.Do(t.Context(), client.Call{Method: http.MethodGet, Path: "/events/" + ask[string](t, "events_db", `SELECT event_id::text FROM events WHERE name = $1`, name)})
		if n := strings.Count(string(must(t, a, err, http.StatusOK).Data), `"seat_id"`); n != 120 {
			t.Errorf("it has %d seats", n)
		}
	}
}

func createWrongEvent(t *testing.T) (func(*client.App) (client.Answer, error), func(*testing.T)) {
	name := fmt.Sprintf("Concert %d", made.Add(1))
	body := eventBody(name, 120, time.Now().AddDate(0, 2, 0))
	body["pricing_tiers"] = map[string]any{"CAT1": -1}
	return making(t, body), func(t *testing.T) {
		eventually(t, "its saga ends", func() bool {
			return ask[int](t, "sagas_db", `SELECT count(*) FROM sagas WHERE kind = 'create-event' AND status = 'UNDONE' AND state->'body'->>'name' = $1`, name) == 1
		})
		if n := ask[int](t, "events_db", `SELECT count(*) FROM events WHERE name = $1`, name); n != 0 {
			t.Errorf("%d events are left", n)
		}
	}
}

func confirming(t *testing.T, p *client.Person, confirmation map[string]any) func(*client.App) (client.Answer, error) {
	return func(through *client.App) (client.Answer, error) {
		return via(p, through).Post(t.Context(), "/transfer/confirm", confirmation)
	}
}

func acting(t *testing.T, p *client.Person, what, id string) func(*client.App) (client.Answer, error) {
	return func(through *client.App) (client.Answer, error) {
		return via(p, through).Post(t.Context(), "/transfer/"+what, map[string]any{"transfer_id": id, "reason": "it was not me"})
	}
}

func making(t *testing.T, body map[string]any) func(*client.App) (client.Answer, error) {
	return func(through *client.App) (client.Answer, error) {
		return via(admin, through).Post(t.Context(), "/admin/events", body)
	}
}

func becomes(t *testing.T, p *client.Person, id, status string) {
	t.Helper()
	eventually(t, "the transfer is "+status, func() bool { return transferStatus(t, p, id) == status })
}

// sagaEnds waits for the end of the newest saga about something.
func sagaEnds(t *testing.T, subject, status string) {
	t.Helper()
	eventually(t, "the saga is "+status, func() bool {
		return ask[string](t, "sagas_db", `SELECT status::text FROM sagas WHERE subject = $1 ORDER BY created_at DESC LIMIT 1`, subject) == status
	})
}

func checkIn(t *testing.T, owner *client.Person, seat string) {
	t.Helper()
	a, err := staff(t).Post(t.Context(), "/verify", map[string]any{"qr_payload": owns(t, owner, seat), "hall_id": "H1"})
	if must(t, a, err, http.StatusOK).Text("result") != "SUCCESS" {
		t.Fatalf("scan: %s", a.Data)
	}
}
