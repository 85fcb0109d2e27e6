package clients

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

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
	reads  gather.Shared[Event]
	fresh  gather.Group[uuid.UUID, Event]
}

// Venue is where an event takes place.
type Venue struct {
	VenueID    uuid.UUID `json:"venue_id,omitzero"`
	Name       string    `json:"name"`
	Address    string    `json:"address"`
	City       string    `json:"city"`
	TotalHalls int       `json:"total_halls,omitempty"`
	Timezone   string    `json:"timezone"`
}

// Event is one entry of the catalogue. Its times are UTC, nil where a default applies.
type Event struct {
	EventID      uuid.UUID              `json:"event_id"`
	Name         string                 `json:"name"`
	Venue        Venue                  `json:"venue"`
	HallID       string                 `json:"hall_id"`
	EventDate    time.Time              `json:"event_date"`
	Timezone     string                 `json:"timezone"`
	DateLocal    string                 `json:"event_date_local"` // event_date in the venue's time zone
	EndsAt       time.Time              `json:"ends_at"`
	PricingTiers map[string]money.Cents `json:"pricing_tiers"`
	TotalSeats   int                    `json:"total_seats"`
	SeatsPerRow  int                    `json:"seats_per_row"`
	Image        string                 `json:"image"`
	Featured     bool                   `json:"featured"`
	Status       string                 `json:"status"`
	Version      int                    `json:"version"`

	DoorsOpenAt *time.Time `json:"doors_open_at"` // nil: the gate's default
	SalesStart  *time.Time `json:"sales_start"`   // nil: from the moment it is published
	SalesEnd    *time.Time `json:"sales_end"`     // nil: until it begins
	RefundUntil *time.Time `json:"refund_until"`  // of a postponed event: until when every holder may have a refund
	Rules

	Warnings []Warning `json:"warnings,omitempty"` // in the answer to a change
}

// Rules are the rules of sale that an organiser turned on.
type Rules struct {
	MaxPerCustomer    *int   `json:"max_per_customer"`
	MaxPerBooking     *int   `json:"max_per_booking"`
	NoSingleSeats     bool   `json:"no_single_seats"` // a booking may not leave a free seat alone
	TransfersCount    bool   `json:"transfers_count"`
	ResaleCapPercent  *int   `json:"resale_cap_percent"` // of what a ticket cost at first; nil: 100
	RefundHoursBefore *int   `json:"refund_hours_before"`
	RefundFeePercent  int    `json:"refund_fee_percent"`
	Includes          []Part `json:"includes"`
	ReentryAllowed    bool   `json:"reentry_allowed"`
}

// usualPerBooking is how many seats may be booked together where the organiser set nothing.
const usualPerBooking = 10

// MostPerBooking is how many seats may be held and paid for together.
func (r Rules) MostPerBooking() int {
	if r.MaxPerBooking == nil {
		return usualPerBooking
	}
	return *r.MaxPerBooking
}

// Part is a fee or tax that a price includes: a fixed amount, or a percentage of the net price.
type Part struct {
	Name    string       `json:"name"`
	Amount  *money.Cents `json:"amount,omitempty"`
	Percent *money.Cents `json:"percent,omitempty"` // in hundredths
}

// Included is what a fee or tax comes to in one price.
type Included struct {
	Name   string      `json:"name"`
	Amount money.Cents `json:"amount"`
}

// Breakdown says what a price includes. Percentages are of what is net: of the price without the fixed amounts and all percentages.
// Each is rounded by itself, to the nearest cent.
func (r Rules) Breakdown(price money.Cents) []Included {
	var fixed, percent money.Cents
	for _, p := range r.Includes {
		if p.Amount != nil {
			fixed += *p.Amount
		} else if p.Percent != nil {
			percent += *p.Percent
		}
	}
	var parts []Included
	for _, p := range r.Includes {
		part := Included{Name: p.Name}
		switch {
		case price == 0: // a free ticket includes nothing
		case p.Amount != nil:
			part.Amount = *p.Amount
		case p.Percent != nil:
			whole := 100_00 + percent
			part.Amount = ((price-fixed)**p.Percent + whole/2) / whole
		}
		parts = append(parts, part)
	}
	return parts
}

// Warning is something about a change that the administrator should look at.
type Warning struct {
	Code    string    `json:"code"`
	Message string    `json:"message"`
	EventID uuid.UUID `json:"event_id"`
}

// Statuses of an event.
const (
	EventDraft     = "DRAFT"
	EventPublished = "PUBLISHED"
	EventPostponed = "POSTPONED"
	EventCancelled = "CANCELLED"
)

// Public reports whether the public may see the event.
func (e Event) Public() bool { return e.Status != "" && e.Status != EventDraft }

// Stands reports whether the event is public and will take place, possibly on another date than announced.
func (e Event) Stands() bool { return e.Public() && e.Status != EventCancelled }

// Tiers returns the names of the tiers by falling price, equal prices by name: the order of the blocks of seats.
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
	eventLife  = 3 * time.Second // how long an event may be cached
	mostEvents = 1000            // cached at once
)

// Get reads an event, fresh.
func (e *Events) Get(ctx context.Context, id uuid.UUID) (out Event, err error) {
	err = e.Do(ctx, http.MethodGet, "/events/"+id.String(), nil, &out)
	return out, err
}

// Fresh reads an event as it is now; concurrent callers share one call.
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

// Recent reads an event that may be a few seconds old, once it is public; concurrent callers share one call.
func (e *Events) Recent(ctx context.Context, id uuid.UUID) (Event, error) {
	e.mu.Lock()
	c, ok := e.cached[id]
	e.mu.Unlock()
	if ok && time.Now().Before(c.until) {
		return c.event, nil
	}
	return e.reads.Do(ctx, id.String(), "the event service", func(ctx context.Context) (Event, error) {
		event, err := e.Get(ctx, id)
		if err != nil || !event.Public() { // a draft is not cached: it is about to change
			return event, err
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.cached == nil || len(e.cached) >= mostEvents {
			e.cached = map[uuid.UUID]cachedEvent{}
		}
		e.cached[id] = cachedEvent{event, time.Now().Add(eventLife)}
		return event, nil
	})
}

// EventFilter narrows a list of events; the zero EventFilter selects public events that are not over.
type EventFilter struct {
	Date     string // a day of the venue's calendar, such as 2027-12-31
	Featured string // true or false
	Past     string // true: past events too
	Status   string
}

// List returns a page of events, the next first.
func (e *Events) List(ctx context.Context, page web.Page, f EventFilter) (events []Event, total int, err error) {
	q := pageQuery(page)
	for k, v := range map[string]string{"date": f.Date, "featured": f.Featured, "past": f.Past, "status": f.Status} {
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

// EventChange is a change of an event by an administrator.
type EventChange struct {
	By          uuid.UUID                  `json:"changed_by"`
	Reason      string                     `json:"reason"`
	OperationID uuid.UUID                  `json:"operation_id,omitzero"` // a repeat under it changes nothing
	Version     int                        `json:"version,omitempty"`     // that the administrator saw; 0: any
	AllowPast   bool                       `json:"allow_past,omitempty"`
	Fields      map[string]json.RawMessage `json:"fields,omitempty"`
	// Of GrowEvent only.
	Seats int          `json:"seats,omitempty"`
	Tier  string       `json:"tier,omitempty"`
	Price *money.Cents `json:"price,omitempty"`
}

// What Change does: see docs/internal-api.md.
const (
	PatchEvent    = ""
	PostponeEvent = "/postpone"
	PublishEvent  = "/publish"
	CancelEvent   = "/cancel"
	GrowEvent     = "/capacity"
)

// Change changes an event; how is one of the constants above. Callers of this process see the change at once.
func (e *Events) Change(ctx context.Context, id uuid.UUID, how string, c EventChange) (out Event, err error) {
	method := http.MethodPost
	if how == PatchEvent {
		method = http.MethodPatch
	}
	err = e.Do(ctx, method, "/events/"+id.String()+how, c, &out)
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.cached, id)
	return out, err
}

// EventNote is a change of an event that was made outside the catalogue, for its history.
type EventNote struct {
	EventChange
	Field string          `json:"field"`
	From  json.RawMessage `json:"from,omitempty"`
	To    json.RawMessage `json:"to,omitempty"`
}

// Note records in an event's history.
func (e *Events) Note(ctx context.Context, id uuid.UUID, n EventNote) error {
	return e.Do(ctx, http.MethodPost, "/events/"+id.String()+"/notes", n, nil)
}

// Changes returns a page of an event's history, newest first, in the event service's form.
func (e *Events) Changes(ctx context.Context, id uuid.UUID, page web.Page) (changes json.RawMessage, total int, err error) {
	p, err := e.Page(ctx, http.MethodGet, "/events/"+id.String()+"/changes?"+pageQuery(page).Encode(), nil, &changes)
	return changes, totalOf(p), err
}

// Publish shows a draft to the public; by is nil for one that is published as it is made.
func (e *Events) Publish(ctx context.Context, id uuid.UUID, by *EventChange) error {
	if by == nil {
		return e.Do(ctx, http.MethodPost, "/events/"+id.String()+"/publish", nil, nil)
	}
	_, err := e.Change(ctx, id, PublishEvent, *by)
	return err
}

// DeleteDraft undoes Draft, also one that has not arrived yet.
func (e *Events) DeleteDraft(ctx context.Context, id uuid.UUID) error {
	return e.Do(ctx, http.MethodDelete, "/events/"+id.String(), nil, nil)
}
