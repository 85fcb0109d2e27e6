package httpapi_test

import (
	"net/http"
	"reflect"
	"testing"
	"time"

	order "ticketremaster/order-service"
)

func TestTransfersList(t *testing.T) {
	s := start(t)
	first := s.reach(newTransfer(), "COMPLETED")
	second := s.reach(onward(first), "COMPLETED")
	third := s.reach(onward(second), "INITIATED")
	s.initiate(newTransfer())
	seat, b := first["seat_id"].(string), first["buyer_user_id"].(string)
	for _, c := range []struct {
		query string
		want  []body
		total int
	}{
		{"seat_id=" + seat, []body{third, second, first}, 3},
		{"seat_id=" + seat + "&per_page=1&page=2", []body{second}, 3},
		{"seat_id=" + seat + "&status=COMPLETED", []body{second, first}, 2},
		{"user_id=" + b, []body{second, first}, 2},
		{"user_id=" + b + "&role=seller", []body{second}, 1},
		{"user_id=" + b + "&role=buyer", []body{first}, 1},
		{"user_id=" + b + "&role=buyer&seat_id=" + newID(), nil, 0},
	} {
		var transfers []order.Transfer
		page, err := s.Page(t.Context(), http.MethodGet, "/transfers?"+c.query, nil, &transfers)
		s.must(err)
		var got, wanted []any
		for _, x := range transfers {
			got = append(got, x.ID.String())
		}
		for _, x := range c.want {
			wanted = append(wanted, x["transfer_id"])
		}
		if !reflect.DeepEqual(got, wanted) || page.Total != c.total {
			t.Errorf("%s: %v of %d, want %v of %d", c.query, got, page.Total, wanted, c.total)
		}
	}
}

func TestOverdueTransfers(t *testing.T) {
	s := start(t)
	ago := func(d time.Duration, state string) any {
		return s.reach(newTransfer().with(body{"expires_at": time.Now().Add(-d)}), state)["transfer_id"]
	}
	later, sooner := ago(time.Minute, "INITIATED"), ago(time.Hour, "verified")
	ago(2*time.Hour, "FAILED")
	s.reach(newTransfer(), "PENDING_OTP")
	s.expire(s.reach(newTransfer(), "swapping"))
	for query, wanted := range map[string][]any{"": {sooner, later}, "?limit=1": {sooner}} {
		var transfers []order.Transfer
		s.must(s.get("/transfers/overdue"+query, &transfers))
		var got []any
		for _, x := range transfers {
			got = append(got, x.ID.String())
		}
		if !reflect.DeepEqual(got, wanted) {
			t.Errorf("%s: %v, want %v", query, got, wanted)
		}
	}
}

func TestOrdersList(t *testing.T) {
	s := start(t)
	user, event, seat := newID(), newID(), newID()
	var ids []string
	for range 5 {
		b := pendingOrder().with(body{"user_id": user, "event_id": event})
		s.place(b)
		ids = append([]string{b["order_id"].(string)}, ids...)
	}
	sold := paid(pendingOrder().with(body{"seat_id": seat, "event_id": event}))
	s.place(sold)
	s.place(pendingOrder())
	soldID := sold["order_id"].(string)
	for _, c := range []struct {
		query string
		want  []string
		total int
	}{
		{"user_id=" + user, ids, 5},
		{"user_id=" + user + "&per_page=2", ids[:2], 5},
		{"user_id=" + user + "&per_page=2&page=3", ids[4:], 5},
		{"user_id=" + user + "&per_page=5", ids, 5},
		{"user_id=" + user + "&per_page=2&page=9", nil, 5},
		{"user_id=" + user + "&status=CONFIRMED", nil, 0},
		{"user_id=" + newID(), nil, 0},
		{"seat_id=" + seat + "&status=CONFIRMED", []string{soldID}, 1},
		{"seat_id=" + seat + "&status=PENDING", nil, 0},
		{"event_id=" + event, append([]string{soldID}, ids...), 6},
		{"event_id=" + event + "&user_id=" + user + "&status=PENDING", ids, 5},
		{"event_id=" + newID() + "&user_id=" + user, nil, 0},
	} {
		var orders []order.Order
		page, err := s.Page(t.Context(), http.MethodGet, "/orders?"+c.query, nil, &orders)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, o := range orders {
			got = append(got, o.ID.String())
		}
		if !reflect.DeepEqual(got, c.want) || page.Total != c.total {
			t.Errorf("%s: %v of %d, want %v of %d", c.query, got, page.Total, c.want, c.total)
		}
	}
}

func TestOverdueOrders(t *testing.T) {
	s := start(t)
	held := func(ago time.Duration) body {
		b := pendingOrder().with(body{"held_until": time.Now().Add(-ago)})
		s.place(b)
		return b
	}
	old, older, failed := held(time.Minute), held(time.Hour), held(2*time.Hour)
	held(-time.Minute)
	if err := s.failOrder(failed); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		query string
		want  []any
	}{
		{"", []any{older["order_id"], old["order_id"]}},
		{"?older_than_ms=1800000", []any{older["order_id"]}},
		{"?limit=1", []any{older["order_id"]}},
		{"?older_than_ms=86400000", nil},
	} {
		var orders []order.Order
		if err := s.get("/orders/overdue"+c.query, &orders); err != nil {
			t.Fatal(err)
		}
		var got []any
		for _, o := range orders {
			got = append(got, o.ID.String())
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, want %v", c.query, got, c.want)
		}
	}
}
