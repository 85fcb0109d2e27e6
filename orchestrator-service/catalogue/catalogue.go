// Package catalogue has the flows around events: their creation by an administrator, the public's view, and an
// administrator's view.
package catalogue

import (
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/repeat"
	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
	"ticketremaster/platform/web"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// Inventory is what the catalogue needs of the inventory service.
type Inventory interface {
	CreateSeats(ctx context.Context, in *inventoryv1.CreateSeatsRequest, opts ...grpc.CallOption) (*inventoryv1.CreateSeatsResponse, error)
	DeleteSeats(ctx context.Context, in *inventoryv1.DeleteSeatsRequest, opts ...grpc.CallOption) (*inventoryv1.DeleteSeatsResponse, error)
	CountSeats(ctx context.Context, in *inventoryv1.CountSeatsRequest, opts ...grpc.CallOption) (*inventoryv1.CountSeatsResponse, error)
	ListSeats(ctx context.Context, in *inventoryv1.ListSeatsRequest, opts ...grpc.CallOption) (*inventoryv1.ListSeatsResponse, error)
	ListStatuses(ctx context.Context, in *inventoryv1.ListStatusesRequest, opts ...grpc.CallOption) (*inventoryv1.ListStatusesResponse, error)
	BlockSeats(ctx context.Context, in *inventoryv1.BlockSeatsRequest, opts ...grpc.CallOption) (*inventoryv1.BlockSeatsResponse, error)
	AddRows(ctx context.Context, in *inventoryv1.AddRowsRequest, opts ...grpc.CallOption) (*inventoryv1.AddRowsResponse, error)
	ListScans(ctx context.Context, in *inventoryv1.ListScansRequest, opts ...grpc.CallOption) (*inventoryv1.ListScansResponse, error)
}

// Events is what the catalogue needs of the event service.
type Events interface {
	Get(ctx context.Context, id uuid.UUID) (clients.Event, error)
	Recent(ctx context.Context, id uuid.UUID) (clients.Event, error)
	List(ctx context.Context, page web.Page, f clients.EventFilter) ([]clients.Event, int, error)
	Draft(ctx context.Context, body map[string]json.RawMessage) (clients.Event, error)
	Publish(ctx context.Context, id uuid.UUID, by *clients.EventChange) error
	DeleteDraft(ctx context.Context, id uuid.UUID) error
	Change(ctx context.Context, id uuid.UUID, how string, c clients.EventChange) (clients.Event, error)
	Note(ctx context.Context, id uuid.UUID, n clients.EventNote) error
	Changes(ctx context.Context, id uuid.UUID, page web.Page) (json.RawMessage, int, error)
}

// Users finds the owners of tickets.
type Users interface {
	Lookup(ctx context.Context, ids []uuid.UUID, emails []string) ([]clients.User, error)
}

// Flows makes and reads events.
type Flows struct {
	Inventory Inventory
	Events    Events
	Users     Users
	Requests  repeat.Store
	creations *saga.Flow[NewEvent]
	additions *saga.Flow[Addition]
	blockings *saga.Flow[Blocking]
}

// Register tells the engine the table of steps; it comes before the first CreateEvent.
func (f *Flows) Register(e *saga.Engine) {
	f.creations = saga.Register(e, "create-event", f.createSteps())
	f.additions = saga.Register(e, "add-rows", f.addRowsSteps())
	f.blockings = saga.Register(e, "block-seats", f.blockSteps())
}

var errEventNotFound = fault.New(fault.NotFound, fault.CodeEventNotFound, "There is no such event")

// View is an event as the public sees it.
type View struct {
	EventID        uuid.UUID              `json:"event_id"`
	Name           string                 `json:"name"`
	Status         string                 `json:"status"`
	EventDate      string                 `json:"event_date"`
	EventDateLocal string                 `json:"event_date_local"`
	Timezone       string                 `json:"timezone"`
	EndsAt         string                 `json:"ends_at"`
	DoorsOpenAt    *string                `json:"doors_open_at"`
	SalesStart     *string                `json:"sales_start"`
	SalesEnd       *string                `json:"sales_end"`
	RefundUntil    *string                `json:"refund_until"`
	Venue          clients.Venue          `json:"venue"`
	HallID         string                 `json:"hall_id"`
	PricingTiers   map[string]money.Cents `json:"pricing_tiers"`
	TotalSeats     int                    `json:"total_seats"`
	AvailableSeats int                    `json:"available_seats"`
	Image          string                 `json:"image"`
	Featured       bool                   `json:"featured"`
	clients.Rules
}

// ViewOf returns the public's view of an event with that many free seats.
func ViewOf(e clients.Event, available int) View {
	return View{
		EventID: e.EventID, Name: e.Name, Status: e.Status,
		EventDate: moment(e.EventDate), EventDateLocal: e.DateLocal, Timezone: e.Timezone, EndsAt: moment(e.EndsAt),
		DoorsOpenAt: optional(e.DoorsOpenAt), SalesStart: optional(e.SalesStart), SalesEnd: optional(e.SalesEnd), RefundUntil: optional(e.RefundUntil),
		Venue: e.Venue, HallID: e.HallID, PricingTiers: e.PricingTiers, TotalSeats: e.TotalSeats, AvailableSeats: available,
		Image: e.Image, Featured: e.Featured, Rules: e.Rules,
	}
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

func optional(t *time.Time) *string {
	if t == nil {
		return nil
	}
	s := moment(*t)
	return &s
}

// List returns a page of events, the next first, with the number of their free seats: two calls, however many events.
func (f *Flows) List(ctx context.Context, page web.Page, filter clients.EventFilter) ([]View, int, error) {
	events, total, err := f.Events.List(ctx, page, filter)
	if err != nil || len(events) == 0 {
		return []View{}, total, err
	}
	counts, err := f.countSeats(ctx, events...)
	if err != nil {
		return nil, 0, err
	}
	views := make([]View, len(events))
	for i, e := range events {
		views[i] = ViewOf(e, int(counts[e.EventID].GetAvailable()))
	}
	return views, total, nil
}

func (f *Flows) countSeats(ctx context.Context, events ...clients.Event) (map[uuid.UUID]*inventoryv1.SeatCount, error) {
	req := &inventoryv1.CountSeatsRequest{}
	for _, e := range events {
		req.EventIds = append(req.EventIds, e.EventID.String())
	}
	res, err := f.Inventory.CountSeats(ctx, req)
	if err != nil {
		return nil, err
	}
	counts := map[uuid.UUID]*inventoryv1.SeatCount{}
	for _, c := range res.Counts {
		counts[clients.ID(c.EventId)] = c
	}
	return counts, nil
}

// PublicEvent reads an event that the public may see; it may be some seconds old.
func (f *Flows) PublicEvent(ctx context.Context, id uuid.UUID) (clients.Event, error) {
	event, err := f.Events.Recent(ctx, id)
	if err == nil && !event.Public() {
		err = errEventNotFound
	}
	return event, err
}

// PublicEventNow reads an event that the public may see, as it is now.
func (f *Flows) PublicEventNow(ctx context.Context, id uuid.UUID) (clients.Event, error) {
	event, err := f.Events.Get(ctx, id)
	if err == nil && !event.Public() {
		err = errEventNotFound
	}
	return event, err
}

// EachSeat reads all seats of an event, by row then number, in portions.
func (f *Flows) EachSeat(ctx context.Context, event uuid.UUID, each func(*inventoryv1.Seat)) error {
	const portion = 1_000 // seats: an answer of some 150 KB
	next := &inventoryv1.ListSeatsRequest{EventId: event.String(), Limit: portion}
	for {
		list, err := f.Inventory.ListSeats(ctx, next)
		if err != nil {
			return err
		}
		for _, seat := range list.Seats {
			each(seat)
		}
		if len(list.Seats) < portion {
			return nil
		}
		last := list.Seats[portion-1]
		next.AfterRow, next.AfterNumber = last.RowNumber, last.SeatNumber
	}
}

// Statuses reads the status of each of an event's seats, in EachSeat's order: one inventoryv1.SeatStatus a byte.
func (f *Flows) Statuses(ctx context.Context, event uuid.UUID) ([]byte, error) {
	list, err := f.Inventory.ListStatuses(ctx, &inventoryv1.ListStatusesRequest{EventId: event.String()})
	return list.GetStatuses(), err
}
