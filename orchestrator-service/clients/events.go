package clients

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/singleflight"

	"ticketremaster/platform/call"
	"ticketremaster/platform/gather"
	"ticketremaster/platform/money"
	"ticketremaster/platform/web"
)

// Events is the event service.
type Events struct {
	call.Client
	mu     sync.Mutex
	cached map[uuid.UUID]cachedEvent
	flight singleflight.Group
	fresh  gather.Group[uuid.UUID, Event]
}

// Venue is where an event takes place.
type Venue struct {
	VenueID    uuid.UUID `json:"venue_id,omitzero"`
	Name       string    `json:"name"`
	Address    string    `json:"address"`
	City       string    `json:"city"`
	TotalHalls int       `json:"total_halls,omitempty"`
}

// Event is one entry of the catalogue.
type Event struct {
	EventID      uuid.UUID              `json:"event_id"`
	Name         string                 `json:"name"`
	Venue        Venue                  `json:"venue"`
	HallID       string                 `json:"hall_id"`
	EventDate    time.Time              `json:"event_date"`
	EndsAt       time.Time              `json:"ends_at"`
	PricingTiers map[string]money.Cents `json:"pricing_tiers"`
	TotalSeats   int                    `json:"total_seats"`
	SeatsPerRow  int                    `json:"seats_per_row"`
	Image        string                 `json:"image"`
	Featured     bool                   `json:"featured"`
	Status       string                 `json:"status"`
}

// Published reports whether the public may see the event.
func (e Event) Published() bool { return e.Status == "PUBLISHED" }

// Tiers gives the names of the tiers by falling price, equal prices by name: the order of the blocks of seats.
func (e Event) Tiers() []string {
	names := make([]string, 0, len(e.PricingTiers))
	for name := range e.PricingTiers {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if d := e.PricingTiers[b] - e.PricingTiers[a]; d != 0 {
			return int(d)
		}
		if a < b {
			return -1
		}
		return 1
	})
	return names
}

type cachedEvent struct {
	event Event
	until time.Time
}

const (
	eventLife  = 3 * time.Second // an event's price or date changes no oftener than a person looks
	mostEvents = 1000            // kept at once
)

// Get reads an event, fresh.
func (e *Events) Get(ctx context.Context, id uuid.UUID) (out Event, err error) {
	err = e.Do(ctx, http.MethodGet, "/events/"+id.String(), nil, &out)
	return out, err
}

// Fresh reads an event as it is now; those who ask for it at once share one call.
func (e *Events) Fresh(ctx context.Context, id uuid.UUID) (Event, error) {
	event, err := e.fresh.Do(ctx, id, func(ctx context.Context, ids []uuid.UUID) ([]Event, error) {
		events, read := make([]Event, len(ids)), map[uuid.UUID]Event{}
		for i, id := range ids {
			event, ok := read[id]
			if !ok {
				var err error
				if event, err = e.Get(ctx, id); err != nil {
					return nil, err
				}
				read[id] = event
			}
			events[i] = event
		}
		return events, nil
	})
	return event, late(e.Client, ctx, err)
}

// Recent reads an event that may be a few seconds old, once it is published; callers that come at once share one call.
func (e *Events) Recent(ctx context.Context, id uuid.UUID) (Event, error) {
	e.mu.Lock()
	c, ok := e.cached[id]
	e.mu.Unlock()
	if ok && time.Now().Before(c.until) {
		return c.event, nil
	}
	v, err, _ := e.flight.Do(id.String(), func() (any, error) {
		// The first caller may give up; the others must not fail with it.
		event, err := e.Get(context.WithoutCancel(ctx), id)
		if err != nil {
			return Event{}, err
		}
		if !event.Published() {
			return event, nil // not to be kept: it is about to change
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.cached == nil || len(e.cached) >= mostEvents {
			e.cached = map[uuid.UUID]cachedEvent{}
		}
		e.cached[id] = cachedEvent{event, time.Now().Add(eventLife)}
		return event, nil
	})
	return v.(Event), err
}

// List gives a page of the published events, soonest first.
func (e *Events) List(ctx context.Context, page web.Page, date, featured string) (events []Event, total int, err error) {
	q := pageQuery(page)
	for k, v := range map[string]string{"date": date, "featured": featured} {
		if v != "" {
			q.Set(k, v)
		}
	}
	p, err := e.Page(ctx, http.MethodGet, "/events?"+q.Encode(), nil, &events)
	return events, totalOf(p), err
}

// Draft creates an event that nobody sees yet. body is the administrator's own JSON object with event_id set.
func (e *Events) Draft(ctx context.Context, body map[string]json.RawMessage) (out Event, err error) {
	err = e.Do(ctx, http.MethodPost, "/events", body, &out)
	return out, err
}

// Publish shows a draft to the public.
func (e *Events) Publish(ctx context.Context, id uuid.UUID) error {
	return e.Do(ctx, http.MethodPost, "/events/"+id.String()+"/publish", nil, nil)
}

// DeleteDraft undoes Draft, also one that has not come yet.
func (e *Events) DeleteDraft(ctx context.Context, id uuid.UUID) error {
	return e.Do(ctx, http.MethodDelete, "/events/"+id.String(), nil, nil)
}
