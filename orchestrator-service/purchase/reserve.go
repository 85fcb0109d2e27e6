package purchase

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/hold"
	"ticketremaster/platform/fault"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// Wanted is what a user asks for: seats, up to 20 different ones.
type Wanted struct {
	Seats []uuid.UUID
	Best  *Best // in the place of seats
}

// Best asks for the best seats of a tier that are free, side by side.
type Best struct {
	EventID  uuid.UUID
	Tier     string
	Quantity int
	Split    bool // several blocks will do if there is no single one
}

// Reservation is the seats of a booking that are held for a user, waiting to be paid.
type Reservation struct {
	BookingID   uuid.UUID
	Orders      []clients.Order
	Seats       map[uuid.UUID]*inventoryv1.Seat // those that were asked for
	TTL         time.Duration                   // what is left of the holds
	OTPRequired bool
}

// Reserve holds seats for a user, all of them or none (docs/architecture.md#reserving); the holds of all accounts of a person
// are counted together. It is no saga, because holds expire by themselves. Reserving seats that the user holds already returns
// the same booking and repairs what a crash left out. A losing request costs one call: the others are made, in parallel, once
// the seats are held.
func (f *Flows) Reserve(ctx context.Context, user, person uuid.UUID, want Wanted) (Reservation, error) {
	res, asked, err := f.hold(ctx, user, person, want)
	if err != nil {
		return Reservation{}, err
	}
	all := append([]*inventoryv1.Seat{res.Seat}, res.More...)
	held := make([]hold.Held, len(all))
	for i, s := range all {
		held[i] = hold.Held{SeatID: clients.ID(s.SeatId), HoldID: clients.ID(s.HoldId)}
	}
	r := Reservation{BookingID: held[0].HoldID, Seats: map[uuid.UUID]*inventoryv1.Seat{}, TTL: time.Duration(res.RemainingMs) * time.Millisecond}
	for _, s := range all {
		r.Seats[clients.ID(s.SeatId)] = s
	}
	if asked > 1 {
		r.BookingID = uuid.Must(uuid.NewV7())
	}
	// More than the TTL is left of an extended hold: a message would come back before its end, and its first one is
	// followed by another.
	if res.RemainingMs <= f.HoldTTL.Milliseconds() {
		f.Holds.Publish(ctx, hold.Message{Held: held[0], More: held[1:], UserID: user, HeldUntil: res.Seat.HeldUntil.AsTime()})
	}
	if err := f.writeDown(ctx, user, all, asked, want.Best == nil && !res.AlreadyHeld, &r); err != nil {
		if !res.AlreadyHeld {
			f.giveBack(ctx, held)
		}
		return Reservation{}, err
	}
	if r.OTPRequired {
		f.sendOTP(ctx, r.Orders)
	}
	return r, nil
}

// hold has the inventory service hold what is wanted, and says how many seats that are.
func (f *Flows) hold(ctx context.Context, user, person uuid.UUID, want Wanted) (*inventoryv1.ReserveSeatResponse, int, error) {
	if want.Best != nil {
		res, err := f.holdBest(ctx, user, person, *want.Best)
		return res, want.Best.Quantity, err
	}
	asked := make([]hold.Held, len(want.Seats))
	for i, seat := range want.Seats {
		asked[i] = hold.Held{SeatID: seat, HoldID: uuid.Must(uuid.NewV7())}
	}
	res, err := f.Inventory.ReserveSeat(ctx, &inventoryv1.ReserveSeatRequest{
		SeatId: asked[0].SeatID.String(), UserId: user.String(), HoldId: asked[0].HoldID.String(), More: further(asked),
		HoldTtlMs: f.HoldTTL.Milliseconds(), MaxHolds: int32(f.MaxHolds), PersonId: person.String(), HoldPauseMs: f.HoldPause.Milliseconds(),
	})
	if fault.Unknown(err) {
		f.lost.add(ctx, asked...)
	}
	return res, len(asked), err
}

// holdBest refuses what the event does not offer before anything is held. Holds whose making was not answered are given to who asks
// again, or end by themselves: nobody here knows their seats.
func (f *Flows) holdBest(ctx context.Context, user, person uuid.UUID, best Best) (*inventoryv1.ReserveSeatResponse, error) {
	event, err := f.Events.Recent(ctx, best.EventID)
	if err == nil && !event.Public() {
		err = fault.New(fault.NotFound, fault.CodeEventNotFound, "There is no such event")
	}
	if err == nil {
		err = onSale(event, time.Now())
	}
	if err != nil {
		return nil, err
	}
	if _, priced := event.PricingTiers[best.Tier]; !priced {
		return nil, fault.Field("tier", "is none of this event's")
	}
	if most := event.MostPerBooking(); best.Quantity > most {
		return nil, fault.Field("quantity", "must be at most %d for this event", most)
	}
	in := &inventoryv1.ReserveBestRequest{
		EventId: best.EventID.String(), Tier: best.Tier, UserId: user.String(), PersonId: person.String(), AllowSplit: best.Split, NoSingles: event.NoSingleSeats,
		HoldTtlMs: f.HoldTTL.Milliseconds(), MaxHolds: int32(f.MaxHolds), HoldPauseMs: f.HoldPause.Milliseconds(),
	}
	for range best.Quantity {
		in.HoldIds = append(in.HoldIds, uuid.Must(uuid.NewV7()).String())
	}
	return f.Inventory.ReserveBest(ctx, in)
}

// leavesNone refuses seats that leave a free one alone in its row, once they are held.
func (f *Flows) leavesNone(ctx context.Context, seats []*inventoryv1.Seat) error {
	in := &inventoryv1.FindSinglesRequest{}
	for _, s := range seats {
		in.SeatIds = append(in.SeatIds, s.SeatId)
	}
	alone, err := f.Inventory.FindSingles(ctx, in)
	if err == nil && len(alone.SeatIds) > 0 {
		err = errLeavesSingle.With("seat_ids", strings.Join(alone.SeatIds, ","))
	}
	return err
}

// further are the seats of a booking but the first, for the inventory service.
func further(booking []hold.Held) (more []*inventoryv1.HeldSeat) {
	for _, h := range booking[1:] {
		more = append(more, &inventoryv1.HeldSeat{SeatId: h.SeatID.String(), HoldId: h.HoldID.String()})
	}
	return more
}

// writeDown records the orders of what is held, and asks whether its user must confirm the purchase. If there was a booking
// of it already, r becomes that one. chosen: the user chose the seats just now.
func (f *Flows) writeDown(ctx context.Context, user uuid.UUID, seats []*inventoryv1.Seat, asked int, chosen bool, r *Reservation) error {
	if len(seats) != asked {
		return fault.Unreachable("the inventory service", fmt.Errorf("%d seats were answered by %d", asked, len(seats)))
	}
	var risk clients.Risk
	both, bothCtx := errgroup.WithContext(ctx)
	both.Go(func() (err error) {
		r.Orders, err = f.writeOrders(bothCtx, user, seats, chosen, r.BookingID)
		return err
	})
	both.Go(func() (err error) { risk, err = f.Users.Risk(bothCtx, user, r.BookingID); return err })
	if err := both.Wait(); err != nil {
		return err
	}
	first := r.Orders[0]
	if slices.ContainsFunc(r.Orders, func(o clients.Order) bool { return o.Booking() != first.Booking() }) {
		return errHeldApart
	}
	if first.Booking() != r.BookingID { // held before, perhaps with more seats than were asked for now
		r.BookingID = first.Booking()
		orders, err := f.Orders.OfBooking(ctx, user, r.BookingID)
		if err != nil {
			return err
		}
		r.Orders = slices.DeleteFunc(orders, func(o clients.Order) bool { return o.Status != clients.OrderPending && o.OrderID != first.OrderID })
		if risk, err = f.Users.Risk(ctx, user, r.BookingID); err != nil {
			return err
		}
	}
	r.OTPRequired = risk.IsFlagged && !risk.OTPVerified
	return nil
}

// writeOrders records the orders of a booking's holds, each at the price of its seat's tier.
func (f *Flows) writeOrders(ctx context.Context, user uuid.UUID, seats []*inventoryv1.Seat, chosen bool, booking uuid.UUID) ([]clients.Order, error) {
	event, err := f.Events.Recent(ctx, clients.ID(seats[0].EventId))
	if fault.Code(err) == fault.CodeEventNotFound {
		return nil, errSeatNotForSale
	}
	if err == nil {
		err = onSale(event, time.Now())
	}
	if err != nil {
		return nil, err
	}
	if most := event.MostPerBooking(); len(seats) > most {
		return nil, fault.Field("seat_ids", "must be at most %d seats of this event", most)
	}
	if chosen && event.NoSingleSeats {
		if err := f.leavesNone(ctx, seats); err != nil {
			return nil, err
		}
	}
	orders := make([]clients.Order, len(seats))
	for i, seat := range seats {
		price, priced := event.PricingTiers[seat.Tier]
		if !priced {
			return nil, errSeatNotForSale
		}
		orders[i] = clients.Order{
			OrderID: clients.ID(seat.HoldId), UserID: user, SeatID: clients.ID(seat.SeatId), EventID: event.EventID,
			Price: price, HeldUntil: seat.HeldUntil.AsTime(), Includes: event.Breakdown(price),
		}
		if len(seats) > 1 {
			orders[i].BookingID = &booking
		}
	}
	if event.MaxPerCustomer == nil {
		return f.Orders.Place(ctx, orders)
	}
	risk, err := f.Users.Risk(ctx, user, booking) // whose accounts are one person's
	if err != nil {
		return nil, err
	}
	return f.Orders.PlaceWithin(ctx, orders, risk.PersonID, event.Rules)
}

// onSale refuses an event that is not on sale at that time: from sales_start, or its publication, until sales_end, or
// its beginning.
func onSale(e clients.Event, now time.Time) error {
	switch {
	case !e.Public():
		return errSeatNotForSale
	case e.Status == clients.EventCancelled:
		return errEventCancelled
	case e.SalesEnd != nil && !now.Before(*e.SalesEnd), e.SalesEnd == nil && !now.Before(e.EventDate):
		return errEventEnded
	case e.SalesStart != nil && now.Before(*e.SalesStart):
		start := e.SalesStart.UTC().Format(time.RFC3339)
		return fault.New(fault.Conflict, clients.CodeSalesNotOpen, "Sales begin at %s", start).With("sales_start", start)
	}
	return nil
}
