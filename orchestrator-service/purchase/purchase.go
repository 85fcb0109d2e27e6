package purchase

import (
	"context"

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

// Purchase is the state of one attempt to pay an order.
type Purchase struct {
	AttemptID uuid.UUID     `json:"attempt_id"`
	Order     clients.Order `json:"order"`
	// What the steps learn.
	Balance money.Cents `json:"balance"`
	Version int64       `json:"version"` // of the ownership that begins
	QR      string      `json:"qr"`      // the first one, valid for a minute
}

func (f *Flows) pinHold(ctx context.Context, p *Purchase) error {
	pinned, err := f.Inventory.PinHold(ctx, &inventoryv1.PinHoldRequest{
		SeatId: p.Order.SeatID.String(), HoldId: p.Order.OrderID.String(), UserId: p.Order.UserID.String(), PinId: p.AttemptID.String(),
	})
	p.Version = pinned.GetSeat().GetOwnershipVersion() + 1
	return err
}

func (f *Flows) unpinHold(ctx context.Context, p *Purchase) error {
	_, err := f.Inventory.UnpinHold(ctx, &inventoryv1.UnpinHoldRequest{
		SeatId: p.Order.SeatID.String(), HoldId: p.Order.OrderID.String(), PinId: p.AttemptID.String(),
	})
	return err
}

func (f *Flows) deductCredits(ctx context.Context, p *Purchase) error {
	if p.Order.Price == 0 { // a free ticket: nothing to book, but the answer has a balance
		user, err := f.Users.User(ctx, p.Order.UserID)
		p.Balance = user.CreditBalance
		return err
	}
	booked, err := f.Users.Book(ctx, clients.Deduct, clients.Booking{
		OperationID: p.AttemptID, UserID: p.Order.UserID, Amount: p.Order.Price, ReferenceID: p.Order.OrderID,
	})
	p.Balance = booked.CreditBalance
	return err
}

func (f *Flows) returnCredits(ctx context.Context, p *Purchase) error {
	if p.Order.Price == 0 {
		return nil
	}
	_, err := f.Users.Book(ctx, clients.Return, clients.Booking{OperationID: p.AttemptID})
	return err
}

func (f *Flows) confirmOrder(ctx context.Context, p *Purchase) error {
	o := p.Order
	o.AttemptID, o.CreditsCharged = &p.AttemptID, o.Price
	return f.Orders.Confirm(ctx, o)
}

func (f *Flows) undoConfirmOrder(ctx context.Context, p *Purchase) error {
	return f.Orders.UndoConfirm(ctx, p.Order.OrderID, p.AttemptID, saga.Refusal(ctx).Code)
}

func (f *Flows) confirmSeat(ctx context.Context, p *Purchase) error {
	p.QR = f.Tickets.FirstQR(ctx, p.Order.SeatID, p.Order.EventID, p.Version)
	_, err := f.Inventory.ConfirmSeat(ctx, &inventoryv1.ConfirmSeatRequest{
		SeatId: p.Order.SeatID.String(), HoldId: p.Order.OrderID.String(), UserId: p.Order.UserID.String(),
		PinId: p.AttemptID.String(), PriceCents: int64(p.Order.Price), QrSha256: qr.Hash(p.QR),
	})
	if err != nil && !fault.Unknown(err) {
		return errHoldExpired.Because(err) // the seat is lost all the same: the credits go back
	}
	return err
}

// Payment is the outcome of Pay.
type Payment struct {
	Order   clients.Order
	Pending bool // the saga is running: GET /orders/{id} gives the outcome
	Balance money.Cents
	QR      string
}

// Pay pays an order of the user's. Repeated or concurrent calls charge once: a request that finds a payment of the
// order in progress in this process only waits up to 1 s for its outcome.
func (f *Flows) Pay(ctx context.Context, user, orderID uuid.UUID) (Payment, error) {
	mine, other := f.paying.enter(user, orderID)
	if other != nil {
		return f.payToo(ctx, user, orderID, other)
	}
	defer f.paying.leave(user, orderID, mine)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), payWithin) // others may wait for the outcome
	defer cancel()
	mine.payment, mine.err = f.pay(ctx, user, orderID)
	return mine.payment, mine.err
}

func (f *Flows) pay(ctx context.Context, user, orderID uuid.UUID) (Payment, error) {
	var order clients.Order
	var risk clients.Risk
	both, bothCtx := errgroup.WithContext(ctx)
	both.Go(func() (err error) { order, err = f.OwnOrder(bothCtx, user, orderID); return err })
	both.Go(func() (err error) { risk, err = f.Users.Risk(bothCtx, user, orderID); return err })
	if err := both.Wait(); err != nil {
		return Payment{}, err
	}
	if err := payable(order); err != nil {
		return Payment{}, err
	}
	if risk.IsFlagged && !risk.OTPVerified {
		if !risk.OTPPending {
			if err := f.askOTP(ctx, order); err != nil {
				return Payment{}, err
			}
		}
		return Payment{}, errOTPRequired
	}
	attempt := Purchase{AttemptID: uuid.Must(uuid.NewV7()), Order: order}
	paid, err := f.payments.Settle(ctx, attempt.AttemptID, orderID.String(), attempt)
	switch {
	case err != nil:
		return Payment{}, err
	case paid.Pending:
		return Payment{Order: order, Pending: true}, nil
	case paid.Joined:
		return Payment{}, errOrderConfirmed // by the other attempt
	}
	order.Status, order.CreditsCharged = clients.OrderConfirmed, order.Price
	return Payment{Order: order, Balance: paid.State.Balance, QR: paid.State.QR}, nil
}

// payable refuses an order that is past paying.
func payable(o clients.Order) error {
	switch {
	case o.Status == clients.OrderConfirmed:
		return errOrderConfirmed
	case o.Status == clients.OrderFailed && o.FailureReason == reasonCancelled:
		return errSeatNotHeld
	case o.Status != clients.OrderPending:
		return errHoldExpired
	}
	return nil
}
