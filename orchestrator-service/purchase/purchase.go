package purchase

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/qr"
	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// steps is what POST /pay does (docs/architecture.md#paying). Because the hold is pinned first, a payment that begins
// in time never loses its seat to the expiry.
func (f *Flows) steps() []saga.Step[Purchase] {
	return []saga.Step[Purchase]{
		{Name: "pin hold", Do: f.pinHold, Undo: f.unpinHold},
		{Name: "deduct credits", Do: f.deductCredits, Undo: f.returnCredits},
		{Name: "confirm order", Do: f.confirmOrder, Undo: f.undoConfirmOrder},
		{Name: "confirm seat", Do: f.confirmSeat},
	}
}

// Purchase is the state of one attempt to pay a booking. Its first seat is written as that of a single order always was.
type Purchase struct {
	AttemptID uuid.UUID `json:"attempt_id"`
	Sale
	More    []Sale      `json:"more,omitempty"` // the further seats of the booking
	Balance money.Cents `json:"balance"`        // learnt by a step
}

// Sale is what becomes of one seat.
type Sale struct {
	Order clients.Order `json:"order"`
	// What the steps learn.
	Version int64  `json:"version"` // of the ownership that begins
	QR      string `json:"qr"`      // the first one, valid for a minute
}

// sales are all seats of the booking.
func (p *Purchase) sales() []*Sale {
	all := []*Sale{&p.Sale}
	for i := range p.More {
		all = append(all, &p.More[i])
	}
	return all
}

func (p *Purchase) orders() []clients.Order {
	var orders []clients.Order
	for _, s := range p.sales() {
		orders = append(orders, s.Order)
	}
	return orders
}

// further are the seats but the first, for the inventory service.
func (p *Purchase) further() (more []*inventoryv1.HeldSeat) {
	for _, s := range p.More {
		more = append(more, &inventoryv1.HeldSeat{
			SeatId: s.Order.SeatID.String(), HoldId: s.Order.OrderID.String(), PriceCents: int64(s.Order.Price), QrSha256: qr.Hash(s.QR),
		})
	}
	return more
}

// all is the error of an answer of the inventory service about so many further seats. One of a former release looks at the
// first alone: then the outcome is not known before another answers.
func (p *Purchase) all(further int) error {
	if further != len(p.More) {
		return fault.Unreachable("the inventory service", fmt.Errorf("%d further seats were answered by %d", len(p.More), further))
	}
	return nil
}

func (f *Flows) pinHold(ctx context.Context, p *Purchase) error {
	pinned, err := f.Inventory.PinHold(ctx, &inventoryv1.PinHoldRequest{
		SeatId: p.Order.SeatID.String(), HoldId: p.Order.OrderID.String(), UserId: p.Order.UserID.String(), PinId: p.AttemptID.String(), More: p.further(),
	})
	if err != nil {
		return err
	}
	if err := p.all(len(pinned.More)); err != nil {
		return err
	}
	for i, seat := range append([]*inventoryv1.Seat{pinned.Seat}, pinned.More...) {
		p.sales()[i].Version = seat.OwnershipVersion + 1
	}
	return nil
}

func (f *Flows) unpinHold(ctx context.Context, p *Purchase) error {
	unpinned, err := f.Inventory.UnpinHold(ctx, &inventoryv1.UnpinHoldRequest{
		SeatId: p.Order.SeatID.String(), HoldId: p.Order.OrderID.String(), PinId: p.AttemptID.String(), More: p.further(),
	})
	if err != nil {
		return err
	}
	return p.all(int(unpinned.More))
}

func (f *Flows) deductCredits(ctx context.Context, p *Purchase) error {
	price := total(p.orders())
	if price == 0 { // free tickets: nothing to book, but the answer has a balance
		user, err := f.Users.User(ctx, p.Order.UserID)
		p.Balance = user.CreditBalance
		return err
	}
	booked, err := f.Users.Book(ctx, clients.Deduct, clients.Booking{
		OperationID: p.AttemptID, UserID: p.Order.UserID, Amount: price, ReferenceID: p.Order.Booking(),
	})
	p.Balance = booked.CreditBalance
	return err
}

func (f *Flows) returnCredits(ctx context.Context, p *Purchase) error {
	if total(p.orders()) == 0 {
		return nil
	}
	_, err := f.Users.Book(ctx, clients.Return, clients.Booking{OperationID: p.AttemptID})
	return err
}

func (f *Flows) confirmOrder(ctx context.Context, p *Purchase) error {
	orders := p.orders()
	for i, o := range orders {
		orders[i].AttemptID, orders[i].CreditsCharged = &p.AttemptID, o.Price
	}
	return f.Orders.Confirm(ctx, orders)
}

func (f *Flows) undoConfirmOrder(ctx context.Context, p *Purchase) error {
	return f.Orders.UndoConfirm(ctx, p.Order.Booking(), p.AttemptID, saga.Refusal(ctx).Code)
}

func (f *Flows) confirmSeat(ctx context.Context, p *Purchase) error {
	for _, s := range p.sales() {
		s.QR = f.Tickets.FirstQR(ctx, s.Order.SeatID, s.Order.EventID, s.Version)
	}
	sold, err := f.Inventory.ConfirmSeat(ctx, &inventoryv1.ConfirmSeatRequest{
		SeatId: p.Order.SeatID.String(), HoldId: p.Order.OrderID.String(), UserId: p.Order.UserID.String(),
		PinId: p.AttemptID.String(), PriceCents: int64(p.Order.Price), QrSha256: qr.Hash(p.QR), More: p.further(),
	})
	switch {
	case err == nil:
		return p.all(len(sold.More))
	case !fault.Unknown(err):
		return errHoldExpired.Because(err) // a seat is lost all the same: the credits go back
	}
	return err
}

// Payment is the outcome of Pay.
type Payment struct {
	Orders  []clients.Order // that were paid
	Pending bool            // the saga is running: GET /orders/{id} gives the outcome
	Balance money.Cents
	QR      []string // of each of the orders
}

// Pay pays an order of the user's that is held by itself; see PayBooking.
func (f *Flows) Pay(ctx context.Context, user, orderID uuid.UUID) (Payment, error) {
	return f.payOnce(ctx, user, orderID, func(ctx context.Context) ([]clients.Order, error) {
		order, err := f.OwnOrder(ctx, user, orderID)
		if err == nil && order.BookingID != nil {
			err = errOfBooking.With("booking_id", order.BookingID.String())
		}
		return []clients.Order{order}, err
	})
}

// PayBooking pays all orders of a booking of the user's that were not given back, or none. Repeated or concurrent calls charge
// once: a request that finds a payment of the booking in progress in this process only waits up to 1 s for its outcome.
func (f *Flows) PayBooking(ctx context.Context, user, booking uuid.UUID) (Payment, error) {
	return f.payOnce(ctx, user, booking, func(ctx context.Context) ([]clients.Order, error) { return f.Booking(ctx, user, booking) })
}

func (f *Flows) payOnce(ctx context.Context, user, booking uuid.UUID, find func(context.Context) ([]clients.Order, error)) (Payment, error) {
	mine, other := f.paying.enter(user, booking)
	if other != nil {
		return f.payToo(ctx, find, other)
	}
	defer f.paying.leave(user, booking, mine)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), payWithin) // others may wait for the outcome
	defer cancel()
	mine.payment, mine.err = f.pay(ctx, user, booking, find)
	return mine.payment, mine.err
}

func (f *Flows) pay(ctx context.Context, user, booking uuid.UUID, find func(context.Context) ([]clients.Order, error)) (Payment, error) {
	var orders []clients.Order
	var risk clients.Risk
	both, bothCtx := errgroup.WithContext(ctx)
	both.Go(func() (err error) { orders, err = find(bothCtx); return err })
	both.Go(func() (err error) { risk, err = f.Users.Risk(bothCtx, user, booking); return err })
	if err := both.Wait(); err != nil {
		return Payment{}, err
	}
	orders, err := payable(orders)
	if err != nil {
		return Payment{}, err
	}
	if risk.IsFlagged && !risk.OTPVerified {
		if !risk.OTPPending {
			if err := f.askOTP(ctx, orders); err != nil {
				return Payment{}, err
			}
		}
		return Payment{}, errOTPRequired
	}
	attempt := Purchase{AttemptID: uuid.Must(uuid.NewV7()), Sale: Sale{Order: orders[0]}}
	for _, o := range orders[1:] {
		attempt.More = append(attempt.More, Sale{Order: o})
	}
	paid, err := f.flowOf(orders[0]).Settle(ctx, attempt.AttemptID, booking.String(), attempt)
	switch {
	case err != nil:
		return Payment{}, err
	case paid.Pending:
		return Payment{Orders: orders, Pending: true}, nil
	case paid.Joined:
		return Payment{}, errOrderConfirmed // by the other attempt
	}
	p := Payment{Orders: orders, Balance: paid.State.Balance}
	for i, s := range paid.State.sales() {
		p.Orders[i].Status, p.Orders[i].CreditsCharged = clients.OrderConfirmed, s.Order.Price
		p.QR = append(p.QR, s.QR)
	}
	return p, nil
}

// payable returns what is to be paid of a booking: all that was not given back. It refuses one that is past paying.
func payable(booking []clients.Order) ([]clients.Order, error) {
	if slices.ContainsFunc(booking, func(o clients.Order) bool { return o.Status == clients.OrderConfirmed }) {
		return nil, errOrderConfirmed
	}
	var open []clients.Order
	for _, o := range booking {
		switch {
		case o.Status == clients.OrderFailed && o.FailureReason == reasonCancelled:
		case o.Status != clients.OrderPending:
			return nil, errHoldExpired
		default:
			open = append(open, o)
		}
	}
	if len(open) == 0 {
		return nil, errSeatNotHeld
	}
	return open, nil
}
