package seatmap

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/platform/money"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

const available, held, sold = byte(inventoryv1.SeatStatus_AVAILABLE), byte(inventoryv1.SeatStatus_HELD), byte(inventoryv1.SeatStatus_SOLD)

// smallHall is an event of three seats whose tier's name needs escapes.
func smallHall() (clients.Event, *hall) {
	e := clients.Event{EventID: uuid.New(), Name: `"Loud" <Live>`, EventDate: time.Now(), EndsAt: time.Now(), TotalSeats: 3, Status: "PUBLISHED",
		PricingTiers: map[string]money.Cents{"Été \"A\"\\": 120_50, "B": 0}}
	h := &hall{}
	for _, name := range e.Tiers() {
		t, err := newTier(name, e.PricingTiers[name])
		if err != nil {
			panic(err)
		}
		h.tiers = append(h.tiers, t)
	}
	h.places = []place{{uuid.New(), "A", 1, 0}, {uuid.New(), "A", 2, 0}, {uuid.New(), "AB", 1, 1}}
	return e, h
}

type shownSeat struct {
	ID       uuid.UUID   `json:"seat_id"`
	Row      string      `json:"row_number"`
	Number   int32       `json:"seat_number"`
	Status   string      `json:"status"`
	Category string      `json:"category"`
	Price    money.Cents `json:"price"`
}

func unzip(t *testing.T, x *seatMap) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(x.zipped))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

func TestAMapShowsEverySeat(t *testing.T) {
	e, h := smallHall()
	x, err := h.render(e, []byte{available, held, sold})
	if err != nil {
		t.Fatal(err)
	}
	plain := unzip(t, x)
	if len(plain) != x.length {
		t.Errorf("%d bytes are announced as %d", len(plain), x.length)
	}
	var shown struct {
		Success bool
		Data    struct {
			Name      string
			Available int `json:"available_seats"`
			Seats     []shownSeat
		}
	}
	if err := json.Unmarshal(plain, &shown); err != nil {
		t.Fatalf("%v: %s", err, plain)
	}
	if d := shown.Data; !shown.Success || d.Name != e.Name || d.Available != 1 || len(d.Seats) != 3 ||
		d.Seats[0] != (shownSeat{h.places[0].id, "A", 1, "AVAILABLE", "Été \"A\"\\", 120_50}) ||
		d.Seats[1].Status != "HELD" || d.Seats[2] != (shownSeat{h.places[2].id, "AB", 1, "SOLD", "B", 0}) {
		t.Errorf("%s", plain)
	}
}

// A map is made anew when anything in it has changed, and has another tag then; and only then.
func TestAMapIsMadeAnewOnlyIfItChanged(t *testing.T) {
	e, h := smallHall()
	first, err := h.render(e, []byte{available, available, available})
	if err != nil {
		t.Fatal(err)
	}
	h.last = first
	same, _ := h.render(e, []byte{available, available, available})
	if same.tag != first.tag || &same.zipped[0] != &first.zipped[0] {
		t.Error("an unchanged hall was written again")
	}
	seat, _ := h.render(e, []byte{available, available, held})
	e.Image = "new.png"
	image, _ := h.render(e, []byte{available, available, available})
	if seat.tag == first.tag || image.tag == first.tag || bytes.Equal(unzip(t, seat), unzip(t, first)) || bytes.Equal(unzip(t, image), unzip(t, first)) {
		t.Error("a changed hall looks as before")
	}
	if !h.fits(e, make([]byte, 3)) || h.fits(e, make([]byte, 2)) {
		t.Error("a hall with another number of seats fits")
	}
	e.PricingTiers["B"] = 5
	if h.fits(e, make([]byte, 3)) {
		t.Error("a hall with another price fits")
	}
	delete(e.PricingTiers, "B")
	if h.fits(e, make([]byte, 3)) {
		t.Error("a hall with another tier fits")
	}
}

// Halls that nobody looks at are given up, and so are all when they are too many.
func TestHallsAreNotKeptForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m Maps
		keep := func(id uuid.UUID, seats int) { m.keep(id, &hall{places: make([]place, seats), last: &seatMap{}}) }
		kept := func(id uuid.UUID) bool {
			m.mu.Lock()
			defer m.mu.Unlock()
			return m.halls[id] != nil
		}
		quiet, busy := uuid.New(), uuid.New()
		keep(quiet, 10)
		keep(busy, 10)
		time.Sleep(hallLife / 2)
		keep(busy, 10)
		time.Sleep(hallLife * 3 / 4)
		if kept(quiet) || !kept(busy) {
			t.Errorf("the quiet hall is kept: %v, the busy one: %v", kept(quiet), kept(busy))
		}
		large := uuid.New()
		keep(large, mostSeats-5)
		if kept(busy) || !kept(large) {
			t.Errorf("too many seats: the older hall is kept: %v, the new one: %v", kept(busy), kept(large))
		}
	})
}
