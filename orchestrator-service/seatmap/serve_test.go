package seatmap

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/platform/money"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// theatre is a catalogue of one event, in memory.
type theatre struct {
	mu       sync.Mutex
	event    clients.Event
	seats    []*inventoryv1.Seat
	statuses []byte
	grown    *clients.Event // the event as it is now, if it was changed since it was read
	away     error
	reads    int // of statuses
	halls    int // of all seats
}

func newTheatre() *theatre {
	c := &theatre{event: clients.Event{
		EventID: uuid.New(), Name: "Concert", TotalSeats: 3, Status: clients.EventPublished, PricingTiers: map[string]money.Cents{"A": 80_00},
	}}
	for i := range 3 {
		c.seats = append(c.seats, &inventoryv1.Seat{SeatId: uuid.NewString(), RowNumber: "A", SeatNumber: int32(i + 1), Tier: "A"})
		c.statuses = append(c.statuses, available)
	}
	return c
}

func (c *theatre) PublicEvent(context.Context, uuid.UUID) (clients.Event, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.event, c.away
}

func (c *theatre) PublicEventNow(context.Context, uuid.UUID) (clients.Event, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.grown != nil {
		return *c.grown, c.away
	}
	return c.event, c.away
}

func (c *theatre) Statuses(context.Context, uuid.UUID) ([]byte, error) {
	time.Sleep(20 * time.Millisecond)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reads++
	return append([]byte{}, c.statuses...), nil
}

func (c *theatre) EachSeat(_ context.Context, _ uuid.UUID, each func(*inventoryv1.Seat)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.halls++
	for _, s := range c.seats {
		each(s)
	}
	return nil
}

// ask answers as a client sees it: status, body as it reads it, and the header.
func ask(t *testing.T, m *Maps, id uuid.UUID, header ...string) (int, string, http.Header) {
	t.Helper()
	r, w := httptest.NewRequest(http.MethodGet, "/events/"+id.String(), nil), httptest.NewRecorder()
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	if err := m.Serve(w, r, id); err != nil {
		return 0, err.Error(), nil
	}
	body := io.Reader(w.Body)
	if w.Header().Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(w.Body)
		if err != nil {
			t.Fatal(err)
		}
		body = z
	}
	text, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, string(text), w.Header()
}

// Thousands who look at once cost one reading; nobody sees a map that is older than a second.
func TestAMapIsReadOnceForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTheatre()
		m := &Maps{Catalogue: c}
		var all sync.WaitGroup
		for range 500 {
			all.Go(func() { _, _, _ = ask(t, m, c.event.EventID) })
		}
		all.Wait()
		if c.reads != 1 || c.halls != 1 {
			t.Errorf("%d readings of the statuses, %d of the hall", c.reads, c.halls)
		}
		_, before, header := ask(t, m, c.event.EventID)
		c.statuses[1] = sold
		time.Sleep(mapLife)
		status, after, changed := ask(t, m, c.event.EventID)
		if status != http.StatusOK || after == before || changed.Get("ETag") == header.Get("ETag") || c.halls != 1 {
			t.Errorf("%d %s, the hall was read %d times", status, after, c.halls)
		}
		time.Sleep(2 * hallLife)
		synctest.Wait()
		if len(m.halls) != 0 {
			t.Error("the hall is kept though nobody looks")
		}
	})
}

func TestWhoHasTheMapIsToldSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTheatre()
		m := &Maps{Catalogue: c}
		_, _, header := ask(t, m, c.event.EventID)
		tag := header.Get("ETag")
		for _, match := range []string{tag, "*", `"other", ` + tag, tag[len("W/"):]} {
			if status, body, _ := ask(t, m, c.event.EventID, "If-None-Match", match); status != http.StatusNotModified || body != "" {
				t.Errorf("%s: %d %s", match, status, body)
			}
		}
		if status, _, _ := ask(t, m, c.event.EventID, "If-None-Match", `"other"`); status != http.StatusOK {
			t.Errorf("another map: %d", status)
		}
		time.Sleep(2 * hallLife)
	})
}

// The compressed map and the plain one read the same, and a client that takes no compressed one gets none.
func TestWhoTakesACompressedMapGetsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTheatre()
		m := &Maps{Catalogue: c}
		_, plain, _ := ask(t, m, c.event.EventID)
		for accept, zipped := range map[string]bool{"gzip": true, "br, gzip;q=0.5": true, "gzip;q=0": false, "gzip;q=x": false, "br": false, "": false} {
			_, body, header := ask(t, m, c.event.EventID, "Accept-Encoding", accept)
			if body != plain || (header.Get("Content-Encoding") == "gzip") != zipped || header.Get("Vary") != "Accept-Encoding" {
				t.Errorf("%q: %v", accept, header)
			}
		}
		time.Sleep(2 * hallLife)
	})
}

// Rows of a new tier are shown though the event was read before they were added.
func TestRowsThatWereJustAdded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTheatre()
		grown := c.event
		grown.PricingTiers = map[string]money.Cents{"A": 80_00, "B": 10_00}
		c.grown, c.seats[2].Tier = &grown, "B"
		m := &Maps{Catalogue: c}
		if status, body, _ := ask(t, m, c.event.EventID); status != http.StatusOK || !strings.Contains(body, `"category":"B","price":10`) {
			t.Errorf("%d %s", status, body)
		}
		time.Sleep(2 * hallLife)
	})
}

// A hall that was changed is read again; one that does not fit its statuses is an error, not a wrong map.
func TestAHallThatChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTheatre()
		m := &Maps{Catalogue: c}
		_, _, _ = ask(t, m, c.event.EventID)
		c.event.PricingTiers = map[string]money.Cents{"A": 90_00}
		time.Sleep(mapLife)
		if _, _, _ = ask(t, m, c.event.EventID); c.halls != 2 {
			t.Errorf("after another price the hall was read %d times", c.halls)
		}
		c.statuses = append(c.statuses, available)
		time.Sleep(mapLife)
		if status, text, _ := ask(t, m, c.event.EventID); status != 0 {
			t.Errorf("a status of no seat: %d %s", status, text)
		}
		c.statuses = c.statuses[:3]
		c.seats[2] = &inventoryv1.Seat{SeatId: "?", Tier: "B"}
		time.Sleep(2 * hallLife)
		if status, text, _ := ask(t, m, c.event.EventID); status != 0 {
			t.Errorf("a seat of no tier: %d %s", status, text)
		}
		c.away = errors.New("away")
		if status, _, _ := ask(t, m, c.event.EventID); status != 0 {
			t.Errorf("without the event service: %d", status)
		}
		time.Sleep(2 * hallLife)
	})
}
