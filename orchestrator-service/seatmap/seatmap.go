// Package seatmap answers with an event and the state of each of its seats.
package seatmap

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/platform/gather"
	"ticketremaster/platform/money"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// Catalogue is where the events and seats are read.
type Catalogue interface {
	PublicEvent(ctx context.Context, id uuid.UUID) (clients.Event, error)
	PublicEventNow(ctx context.Context, id uuid.UUID) (clients.Event, error)
	Statuses(ctx context.Context, event uuid.UUID) ([]byte, error)
	EachSeat(ctx context.Context, event uuid.UUID, each func(*inventoryv1.Seat)) error
}

// Maps caches seat maps: when thousands look at one hall, its statuses are read, rendered and compressed at most once
// in mapLife. What does not change of a hall is read once and cached.
type Maps struct {
	Catalogue Catalogue

	mu    sync.Mutex
	halls map[uuid.UUID]*hall
	reads gather.Shared[*seatMap]
}

const (
	mapLife  = 800 * time.Millisecond // a map is at most a second old when it is sent, the time of reading included
	hallLife = 5 * time.Second        // of an unused hall
	// mostSeats is how many seats are kept over all halls: 40 bytes each, and half as much for the map.
	mostSeats = 500_000
)

// hall has an event's seats and their latest map. The map is replaced, never changed.
type hall struct {
	places []place
	tiers  []tier
	last   *seatMap
}

// place is the constant part of a seat.
type place struct {
	id     uuid.UUID
	row    string
	number int32
	tier   int32 // index of hall.tiers
}

type tier struct {
	name  string
	price money.Cents
	json  []byte // "category":…,"price":… as it appears in each seat
}

// seatMap is a map as it is sent; most clients take it compressed.
type seatMap struct {
	zipped   []byte
	length   int // when unzipped
	tag      string
	readAt   time.Time
	head     []byte
	statuses []byte
}

func (m *Maps) get(ctx context.Context, id uuid.UUID) (*seatMap, error) {
	m.mu.Lock()
	if h := m.halls[id]; h != nil && time.Since(h.last.readAt) < mapLife {
		defer m.mu.Unlock()
		return h.last, nil
	}
	m.mu.Unlock()
	return m.reads.Do(ctx, id.String(), "the seat map", func(ctx context.Context) (*seatMap, error) { return m.read(ctx, id) })
}

// read makes the present map, from the cached hall if it is still the event's.
func (m *Maps) read(ctx context.Context, id uuid.UUID) (*seatMap, error) {
	readAt := time.Now()
	event, err := m.Catalogue.PublicEvent(ctx, id)
	if err != nil {
		return nil, err
	}
	statuses, err := m.Catalogue.Statuses(ctx, id)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	known := m.halls[id]
	m.mu.Unlock()
	if known == nil || !known.fits(event, statuses) {
		known, err = m.readHall(ctx, event)
		if errors.Is(err, errUnknownTier) { // the event was read before its rows were added
			if event, err = m.Catalogue.PublicEventNow(ctx, id); err == nil {
				known, err = m.readHall(ctx, event)
			}
		}
		if err != nil {
			return nil, err
		}
		if !known.fits(event, statuses) {
			return nil, fmt.Errorf("the hall of event %s has %d seats, their statuses are %d", id, len(known.places), len(statuses))
		}
	}
	x, err := known.render(event, statuses)
	if err != nil {
		return nil, err
	}
	x.readAt = readAt
	m.keep(id, &hall{known.places, known.tiers, x})
	return x, nil
}

// readHall reads the constant part of an event's seats.
func (m *Maps) readHall(ctx context.Context, event clients.Event) (*hall, error) {
	h, row := &hall{places: make([]place, 0, event.TotalSeats)}, ""
	for _, name := range event.Tiers() {
		t, err := newTier(name, event.PricingTiers[name])
		if err != nil {
			return nil, err
		}
		h.tiers = append(h.tiers, t)
	}
	var wrong error
	err := m.Catalogue.EachSeat(ctx, event.EventID, func(s *inventoryv1.Seat) {
		if s.RowNumber != row {
			row = strings.Clone(s.RowNumber) // one string for a row's seats, so that the message can be freed
		}
		id, err := uuid.Parse(s.SeatId)
		t := slices.IndexFunc(h.tiers, func(t tier) bool { return t.name == s.Tier })
		if err != nil || t < 0 {
			wrong = fmt.Errorf("event %s: seat %s of tier %q: %w", event.EventID, s.SeatId, s.Tier, errUnknownTier)
			return
		}
		h.places = append(h.places, place{id, row, s.SeatNumber, int32(t)})
	})
	return h, errors.Join(err, wrong)
}

var errUnknownTier = errors.New("the event has no such tier")

func newTier(name string, price money.Cents) (tier, error) {
	fields, err := json.Marshal(struct {
		Category string      `json:"category"`
		Price    money.Cents `json:"price"`
	}{name, price})
	if err != nil {
		return tier{}, err
	}
	return tier{name, price, fields[1 : len(fields)-1]}, nil
}

// fits reports whether the hall is the event's, and the statuses are those of its seats.
func (h *hall) fits(event clients.Event, statuses []byte) bool {
	return len(h.places) == len(statuses) && len(h.tiers) == len(event.PricingTiers) &&
		!slices.ContainsFunc(h.tiers, func(t tier) bool { price, ok := event.PricingTiers[t.name]; return !ok || price != t.price })
}

// keep caches a hall until nobody looks at it for hallLife, or too many seats are cached.
func (m *Maps) keep(id uuid.UUID, h *hall) {
	m.mu.Lock()
	defer m.mu.Unlock()
	seats := len(h.places)
	for other, kept := range m.halls {
		if other != id {
			seats += len(kept.places)
		}
	}
	if m.halls == nil || seats > mostSeats {
		m.halls = map[uuid.UUID]*hall{}
	}
	m.halls[id] = h
	time.AfterFunc(hallLife, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.halls[id] == h { // no newer map was made
			delete(m.halls, id)
		}
	})
}
