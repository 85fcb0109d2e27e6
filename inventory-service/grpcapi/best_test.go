package grpcapi_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"ticketremaster/inventory-service/inventorytest"
	"ticketremaster/platform/fault"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

func bestOf(event, user string, n int) *inventoryv1.ReserveBestRequest {
	r := &inventoryv1.ReserveBestRequest{EventId: event, Tier: "CAT1", UserId: user, HoldTtlMs: 60_000, MaxHolds: 10}
	for range n {
		r.HoldIds = append(r.HoldIds, newID())
	}
	return r
}

func TestBestAvailable(t *testing.T) {
	s := inventorytest.Start(t)
	hall := s.Hall(t, 60)
	event, user := hall[0].EventId, newID()
	place := func(r *inventoryv1.ReserveSeatResponse) string {
		var all []string
		for _, seat := range append([]*inventoryv1.Seat{r.Seat}, r.More...) {
			all = append(all, seat.RowNumber+string(rune('0'+seat.SeatNumber/10))+string(rune('0'+seat.SeatNumber%10)))
		}
		return strings.Join(all, " ")
	}
	first, err := s.ReserveBest(t.Context(), bestOf(event, user, 4))
	if err != nil || place(first) != "A09 A10 A11 A12" || first.AlreadyHeld {
		t.Fatalf("%v, %v", first, err)
	}
	again, err := s.ReserveBest(t.Context(), bestOf(event, user, 4))
	if err != nil || !again.AlreadyHeld || again.Seat.HoldId == "" || len(again.More) != 3 || again.RemainingMs < 1 {
		t.Errorf("asked again: %v, %v", again, err)
	}
	// What others took meanwhile, one by one, is not given twice.
	for _, i := range []int{7, 12, 27, 28, 29, 30, 31, 32} {
		s.Hold(t, hall[i].SeatId, newID())
	}
	next, err := s.ReserveBest(t.Context(), bestOf(event, newID(), 2))
	if err != nil || place(next) != "A06 A07" {
		t.Errorf("%s, %v", place(next), err)
	}
	few := bestOf(event, user, 3)
	few.MaxHolds = 6 // four are held
	_, err = s.ReserveBest(t.Context(), few)
	wantCode(t, err, "TOO_MANY_HOLDS")
	other, err := s.ReserveBest(t.Context(), bestOf(event, newID(), 1)) // the refused one's seats are free
	if err != nil {
		t.Fatal(err)
	}
	// Who gave a seat back is offered another for a while.
	if _, err := s.ReleaseSeat(t.Context(), &inventoryv1.ReleaseSeatRequest{SeatId: other.Seat.SeatId, HoldId: other.Seat.HoldId}); err != nil {
		t.Fatal(err)
	}
	_, err = s.ReserveBest(t.Context(), bestOf(event, newID(), 20))
	if code := fault.Code(err); code != "TOO_MANY_HOLDS" && code != "SEAT_UNAVAILABLE" {
		t.Errorf("%v", err)
	}
	unknown := bestOf(event, newID(), 2)
	unknown.Tier = "CAT9"
	_, err = s.ReserveBest(t.Context(), unknown)
	wantCode(t, err, "SEAT_NOT_FOUND")
	_, err = s.ReserveBest(t.Context(), bestOf(newID(), newID(), 2))
	wantCode(t, err, "SEAT_NOT_FOUND")
	_, err = s.ReserveBest(t.Context(), bestOf(event, newID(), 0))
	wantField(t, err, "hold_ids")
}

// 500 clients ask for the last 300 seats by twos, and others for single ones of them by name: nobody is given a seat twice, and
// nobody is refused while a pair is left.
func TestTheLastSeatsByTwos(t *testing.T) {
	s := inventorytest.Start(t)
	hall := s.Hall(t, 300)
	event := hall[0].EventId
	var mu sync.Mutex
	given := map[string]string{}
	began := time.Now()
	got := together(500, func(int) error {
		user := newID()
		r, err := s.ReserveBest(t.Context(), bestOf(event, user, 2))
		if err == nil {
			mu.Lock()
			defer mu.Unlock()
			for _, seat := range append([]*inventoryv1.Seat{r.Seat}, r.More...) {
				if given[seat.SeatId] != "" {
					t.Errorf("%s was given twice", seat.SeatId)
				}
				given[seat.SeatId] = user
			}
			if r.Seat.RowNumber != r.More[0].RowNumber || r.More[0].SeatNumber != r.Seat.SeatNumber+1 {
				t.Errorf("%v and %v are apart", r.Seat, r.More[0])
			}
		}
		return err
	})
	t.Logf("after %s: %v", time.Since(began), got)
	if got[""] != 150 || got["SEAT_UNAVAILABLE"] != 350 || len(given) != 300 {
		t.Errorf("outcomes %v, %d seats", got, len(given))
	}
	for _, seat := range hall {
		if now := s.Seat(t, seat.SeatId); now.HeldByUserId != given[seat.SeatId] {
			t.Errorf("%s is held by %s, given to %s", seat.SeatId, now.HeldByUserId, given[seat.SeatId])
		}
	}
}

// Two processes choose by themselves; the database gives each seat to one, and all are sold.
func TestTwoReplicasSellOut(t *testing.T) {
	s := inventorytest.Start(t)
	hall := s.Hall(t, 80)
	_, second := inventorytest.Serve(t, inventorytest.Open(t, s.URL))
	got := together(60, func(i int) error {
		client := s.InventoryClient
		if i%2 == 1 {
			client = second
		}
		_, err := client.ReserveBest(t.Context(), bestOf(hall[0].EventId, newID(), 2))
		return err
	})
	if got[""] != 40 || got["SEAT_UNAVAILABLE"] != 20 {
		t.Errorf("outcomes %v", got)
	}
}

// Seats that were chosen for someone who may not have them are not lost to those who came meanwhile: nobody is told that nothing is
// left before that is decided.
func TestAPairThatComesBackIsSold(t *testing.T) {
	s := inventorytest.Start(t)
	event := s.Hall(t, 2)[0].EventId
	tx, err := s.SQL.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	if _, err := tx.Exec(t.Context(), `LOCK TABLE seats IN EXCLUSIVE MODE`); err != nil { // all can read, nobody can reserve
		t.Fatal(err)
	}
	refused, served := make(chan error, 1), make(chan error, 1)
	go func() {
		r := bestOf(event, newID(), 2)
		r.MaxHolds = 1
		_, err := s.ReserveBest(t.Context(), r)
		refused <- err
	}()
	inventorytest.Eventually(t, 5*time.Second, "the first reservation is being decided", func() bool {
		var waiting int
		err := s.SQL.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&waiting)
		return err == nil && waiting > 0
	})
	go func() {
		_, err := s.ReserveBest(t.Context(), bestOf(event, newID(), 2))
		served <- err
	}()
	select {
	case err := <-served:
		t.Errorf("answered before the pair is decided: %v", err)
		served <- err
	case <-time.After(300 * time.Millisecond): // what waits for a lock gives up after a second
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantCode(t, <-refused, "TOO_MANY_HOLDS")
	wantCode(t, <-served, "")
}

func TestSingles(t *testing.T) {
	s := inventorytest.Start(t)
	hall := s.Hall(t, 20)
	for _, i := range []int{1, 4, 6, 9, 17} { // A2, A5, A7, A10, A18
		s.Hold(t, hall[i].SeatId, newID())
	}
	for _, c := range []struct {
		seats []int
		alone []int
	}{
		{[]int{1}, []int{0}}, // at the end of the row
		{[]int{4}, []int{5}}, // between; 2 and 3 are two
		{[]int{4, 6}, []int{5}},
		{[]int{9}, nil}, // 7 and 8 are two
		{[]int{17}, nil},
	} {
		r := &inventoryv1.FindSinglesRequest{}
		for _, i := range c.seats {
			r.SeatIds = append(r.SeatIds, hall[i].SeatId)
		}
		found, err := s.FindSingles(t.Context(), r)
		if err != nil || len(found.SeatIds) != len(c.alone) {
			t.Errorf("%v: %v, %v", c.seats, found, err)
			continue
		}
		for k, i := range c.alone {
			if found.SeatIds[k] != hall[i].SeatId {
				t.Errorf("%v: %v", c.seats, found)
			}
		}
	}
}
