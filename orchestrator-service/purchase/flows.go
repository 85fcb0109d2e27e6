// Package purchase has the flows from a free seat to a paid ticket (docs/architecture.md#purchase): reserving, paying,
// giving back, expiry, and a flagged user's one-time password.
//
// An order and its hold share one id, the order's: the inventory and the broker call it hold_id, the user service
// reference_id, the saga log subject. One attempt to pay has one id too: attempt_id at the order service, pin_id at the
// inventory, operation_id at the user service; it is the id of the attempt's saga.
//
// Orders that are held together are paid together: they are a booking, and its id is the reference and the subject. An order by
// itself is the booking of its own id, and takes the same way.
package purchase

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/hold"
	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/orchestrator-service/tickets"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
	"ticketremaster/platform/web"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// Inventory is what a purchase needs of the inventory service.
type Inventory interface {
	ReserveSeat(ctx context.Context, in *inventoryv1.ReserveSeatRequest, opts ...grpc.CallOption) (*inventoryv1.ReserveSeatResponse, error)
	ReserveBest(ctx context.Context, in *inventoryv1.ReserveBestRequest, opts ...grpc.CallOption) (*inventoryv1.ReserveSeatResponse, error)
	FindSingles(ctx context.Context, in *inventoryv1.FindSinglesRequest, opts ...grpc.CallOption) (*inventoryv1.FindSinglesResponse, error)
	PinHold(ctx context.Context, in *inventoryv1.PinHoldRequest, opts ...grpc.CallOption) (*inventoryv1.PinHoldResponse, error)
	UnpinHold(ctx context.Context, in *inventoryv1.UnpinHoldRequest, opts ...grpc.CallOption) (*inventoryv1.UnpinHoldResponse, error)
	ConfirmSeat(ctx context.Context, in *inventoryv1.ConfirmSeatRequest, opts ...grpc.CallOption) (*inventoryv1.ConfirmSeatResponse, error)
	ReleaseSeat(ctx context.Context, in *inventoryv1.ReleaseSeatRequest, opts ...grpc.CallOption) (*inventoryv1.ReleaseSeatResponse, error)
	ExtendHolds(ctx context.Context, in *inventoryv1.ExtendHoldsRequest, opts ...grpc.CallOption) (*inventoryv1.ExtendHoldsResponse, error)
}

// Users is what a purchase needs of the user service.
type Users interface {
	Risk(ctx context.Context, user, order uuid.UUID) (clients.Risk, error)
	User(ctx context.Context, id uuid.UUID) (clients.User, error)
	Payers(ctx context.Context, after uuid.UUID) ([]clients.Payer, error)
	Book(ctx context.Context, path string, b clients.Booking) (clients.Booked, error)
	SendOTP(ctx context.Context, c clients.Challenge) error
	VerifyOTP(ctx context.Context, user uuid.UUID, purpose string, reference uuid.UUID, code string, by uuid.UUID) error
}

// Orders is what a purchase needs of the order service.
type Orders interface {
	Place(ctx context.Context, orders []clients.Order) ([]clients.Order, error)
	PlaceWithin(ctx context.Context, orders []clients.Order, person uuid.UUID, rules clients.Rules) ([]clients.Order, error)
	Confirm(ctx context.Context, orders []clients.Order) error
	UndoConfirm(ctx context.Context, booking, attempt uuid.UUID, reason string) error
	Fail(ctx context.Context, order uuid.UUID, reason string) (clients.Order, error)
	Extend(ctx context.Context, order uuid.UUID, until time.Time) (clients.Order, error)
	Get(ctx context.Context, id uuid.UUID) (clients.Order, error)
	OfBooking(ctx context.Context, user, booking uuid.UUID) ([]clients.Order, error)
	OfUser(ctx context.Context, user uuid.UUID, status string, page web.Page) ([]clients.Order, int, error)
	Overdue(ctx context.Context, olderThan time.Duration, limit int) ([]clients.Order, error)
}

// Events reads an event that may be a few seconds old.
type Events interface {
	Recent(ctx context.Context, id uuid.UUID) (clients.Event, error)
}

// Tickets names a seat for a person and makes the QR code of a ticket that is being bought.
type Tickets interface {
	Ticket(ctx context.Context, seat uuid.UUID) (tickets.Ticket, error)
	FirstQR(ctx context.Context, seat, event uuid.UUID, version int64) string
}

// Holds publishes a hold, so that it expires in time.
type Holds interface {
	Publish(ctx context.Context, m hold.Message)
}

// Settings of the purchase; docs/internal-api.md has the variables and defaults.
type Settings struct {
	HoldTTL    time.Duration // TTL of an unpaid hold
	MaxHolds   int           // live holds a person may have
	HoldPause  time.Duration // before a person may hold a seat again whose hold ended without a sale
	SweepGrace time.Duration // how long after its time a hold is left to the broker
}

// Flows runs purchases.
type Flows struct {
	Settings
	Inventory Inventory
	Users     Users
	Orders    Orders
	Events    Events
	Tickets   Tickets
	Holds     Holds
	payments  *saga.Flow[Purchase] // of single orders
	bookings  *saga.Flow[Purchase] // of several
	paying    paying
	lost      lostHolds
	sending   errgroup.Group
}

// Register registers the table of steps; it must be called before the first Pay. The table has a second name for bookings of
// several seats, so that an orchestrator of a former release, which would take the first seat for the whole, takes up none.
func (f *Flows) Register(e *saga.Engine) {
	f.payments = saga.Register(e, "purchase", f.steps())
	f.bookings = saga.Register(e, "booking", f.steps())
	f.sending.SetLimit(sendingAtOnce)
}

// Refusals of a purchase. Those of services are passed on as they are.
var (
	errOrderNotFound  = fault.New(fault.NotFound, fault.CodeOrderNotFound, "There is no such order of yours")
	errOrderConfirmed = fault.New(fault.Conflict, "ORDER_ALREADY_CONFIRMED", "This order is paid already")
	errHoldExpired    = fault.New(fault.Gone, fault.CodeHoldExpired, "The time to pay for this seat is over; please choose a seat again")
	errSeatNotHeld    = fault.New(fault.Conflict, fault.CodeSeatNotHeld, "This seat is not held for you")
	errOTPRequired    = fault.New(fault.ProofRequired, fault.CodeOTPRequired, "Please enter the one-time password that we sent to your phone")
	errEventEnded     = fault.New(fault.Gone, clients.CodeEventEnded, "This event is not on sale any more")
	errEventCancelled = fault.New(fault.Gone, clients.CodeEventEnded, "This event is cancelled")
	errSeatNotForSale = fault.New(fault.Conflict, fault.CodeSeatUnavailable, "This seat is not for sale")
	errHeldApart      = fault.New(fault.Conflict, fault.CodeSeatUnavailable, "You hold these seats already, but not together; pay for them or give them back first")
	errLeavesSingle   = fault.New(fault.Conflict, "SINGLE_SEAT_LEFT", "This would leave a single seat free; please choose others beside it")
	errOfBooking      = fault.New(fault.Conflict, "ORDER_OF_BOOKING", "This order is part of a booking: please pay for the booking")
	errNoBooking      = fault.New(fault.NotFound, fault.CodeOrderNotFound, "There is no such booking of yours")
	errPayUnderWay    = fault.New(fault.Conflict, fault.CodePaymentInProgress, "This order is being paid for right now")
	errNotDue         = fault.New(fault.Unavailable, fault.CodeUnavailable, "The hold's time is not over yet")
)

// Why an order failed, where it is not the code of a refusal.
const (
	reasonCancelled  = "CANCELLED"   // its owner gave it back
	reasonNotOffered = "NOT_OFFERED" // its reservation was answered with a refusal
)

// OwnOrder reads an order of the user's; another's is not found.
func (f *Flows) OwnOrder(ctx context.Context, user, orderID uuid.UUID) (clients.Order, error) {
	order, err := f.Orders.Get(ctx, orderID)
	if err == nil && order.UserID != user {
		err = errOrderNotFound
	}
	return order, err
}

// OrdersOf lists a page of the user's orders, newest first; status "" means all.
func (f *Flows) OrdersOf(ctx context.Context, user uuid.UUID, status string, page web.Page) ([]clients.Order, int, error) {
	return f.Orders.OfUser(ctx, user, status, page)
}

// ownOrders reads an order of the user's, or all orders of a booking; another's are not found.
func (f *Flows) ownOrders(ctx context.Context, user, id uuid.UUID) ([]clients.Order, error) {
	order, err := f.OwnOrder(ctx, user, id)
	if fault.Code(err) != errOrderNotFound.Code {
		return []clients.Order{order}, err
	}
	return f.Booking(ctx, user, id)
}

// Booking reads the orders of a booking of the user's; another's is not found.
func (f *Flows) Booking(ctx context.Context, user, booking uuid.UUID) ([]clients.Order, error) {
	orders, err := f.Orders.OfBooking(ctx, user, booking)
	if err == nil && len(orders) == 0 {
		err = errNoBooking
	}
	slices.SortFunc(orders, func(a, b clients.Order) int { return bytes.Compare(a.OrderID[:], b.OrderID[:]) })
	return orders, err
}

// total is the price of a booking.
func total(booking []clients.Order) (sum money.Cents) {
	for _, o := range booking {
		sum += o.Price
	}
	return sum
}

// flowOf is where a booking is paid for.
func (f *Flows) flowOf(o clients.Order) *saga.Flow[Purchase] {
	if o.BookingID != nil {
		return f.bookings
	}
	return f.payments
}

// Trail returns the steps of an order's latest payment, for people; empty if none was tried.
func (f *Flows) Trail(ctx context.Context, o clients.Order) ([]saga.Entry, error) {
	return f.flowOf(o).Trail(ctx, o.Booking().String())
}
