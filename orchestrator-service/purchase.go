package orchestrator

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/qr"
	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// purchaseSteps is what POST /pay does (design §3 Purchase). Pinned first, a payment begun before the hold ends
// never loses its seat to the expiry.
func (f *Flows) purchaseSteps() []saga.Step[Purchase] {
	return []saga.Step[Purchase]{
		{Name: "pin hold", Do: f.pinHold, Undo: f.unpinHold},
		{Name: "deduct credits", Do: f.deductCredits, Undo: f.returnCredits},
		{Name: "confirm order", Do: f.confirmOrder, Undo: f.undoConfirmOrder},
		{Name: "confirm seat", Do: f.confirmSeat},
	}
}

// Purchase is the state of one attempt to pay an order. The saga's id is the attempt's.
type Purchase struct {
	AttemptID uuid.UUID     `json:"attempt_id"`
	Order     clients.Order `json:"order"`
	// What the steps learn.
	Balance money.Cents `json:"balance"`
	QR      string      `json:"qr"` // the first one: it lives a minute
}

func (f *Flows) pinHold(ctx context.Context, p *Purchase) error {
	_, err := f.Inventory.PinHold(ctx, &inventoryv1.PinHoldRequest{
		SeatId: p.Order.SeatID.String(), HoldId: p.Order.OrderID.String(), UserId: p.Order.UserID.String(), PinId: p.AttemptID.String(),
	})
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
	p.QR = f.firstQR(ctx, p.Order)
	_, err := f.Inventory.ConfirmSeat(ctx, &inventoryv1.ConfirmSeatRequest{
		SeatId: p.Order.SeatID.String(), HoldId: p.Order.OrderID.String(), UserId: p.Order.UserID.String(),
		PinId: p.AttemptID.String(), PriceCents: int64(p.Order.Price), QrSha256: qr.Hash(p.QR),
	})
	if err != nil && !fault.Unknown(err) {
		return errHoldExpired.Because(err) // lost all the same: the money goes back
	}
	return err
}

// Refusals of a purchase. Others come from the services as they are.
var (
	errOrderNotFound  = fault.New(fault.NotFound, "ORDER_NOT_FOUND", "there is no such order of yours")
	errOrderConfirmed = fault.New(fault.Conflict, "ORDER_ALREADY_CONFIRMED", "this order is paid already")
	errHoldExpired    = fault.New(fault.Gone, "HOLD_EXPIRED", "the time to pay for this seat is over; please choose a seat again")
	errSeatNotHeld    = fault.New(fault.Conflict, "SEAT_NOT_HELD", "this seat is not held for you")
	errOTPRequired    = fault.New(fault.ProofRequired, "OTP_REQUIRED", "please enter the one-time password that we sent to your phone")
	errEventEnded     = fault.New(fault.Gone, "EVENT_ENDED", "this event is not on sale any more")
	errSeatNotForSale = fault.New(fault.Conflict, "SEAT_UNAVAILABLE", "this seat is not for sale")
	errPayUnderWay    = fault.New(fault.Conflict, "PAYMENT_IN_PROGRESS", "this order is being paid for right now")
)

func (f *Flows) sendPurchaseOTP(ctx context.Context, o clients.Order) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := f.askPurchaseOTP(ctx, o); err != nil {
		slog.WarnContext(ctx, "the one-time password could not be sent", "order", o.OrderID, "error", err)
	}
}

// askPurchaseOTP sends a flagged user's one-time password for an order unless one is pending.
func (f *Flows) askPurchaseOTP(ctx context.Context, o clients.Order) error {
	what := "a seat"
	if seat, event, err := f.seatAndEvent(ctx, o.SeatID); err == nil {
		what = describe(seat, event)
	}
	return f.Users.SendOTP(ctx, clients.Challenge{
		UserID: o.UserID, Purpose: clients.PurposePurchase, ReferenceID: o.OrderID, IfNonePending: true,
		Message: fmt.Sprintf("TicketRemaster: confirm your purchase of %s for %s credits.", what, o.Price),
	})
}

// Payment is the outcome of Pay.
type Payment struct {
	Order   clients.Order
	Pending bool // written down and under way: GET /orders/{id} tells the outcome
	Balance money.Cents
	QR      string
}

// Pay pays an order of the user's. Repeated or doubled, it charges once.
func (f *Flows) Pay(ctx context.Context, user, orderID uuid.UUID) (Payment, error) {
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
			if err := f.askPurchaseOTP(ctx, order); err != nil {
				return Payment{}, err
			}
		}
		return Payment{}, errOTPRequired
	}
	attempt := Purchase{AttemptID: newID(), Order: order}
	end, pending, err := f.runSaga(ctx, kindPurchase, attempt.AttemptID, orderID.String(), attempt)
	if inTheWay(err) {
		end, pending, err = f.joinSaga(ctx, err)
		if err == nil && !pending {
			return Payment{}, errOrderConfirmed // by the other attempt
		}
	}
	if err != nil || pending {
		return Payment{Order: order, Pending: pending}, err
	}
	if err := json.Unmarshal(end.State, &attempt); err != nil {
		return Payment{}, err
	}
	order.Status, order.CreditsCharged = clients.OrderConfirmed, order.Price
	return Payment{Order: order, Balance: attempt.Balance, QR: attempt.QR}, nil
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

// OwnOrder reads an order of the user's; another's is not found.
func (f *Flows) OwnOrder(ctx context.Context, user, orderID uuid.UUID) (clients.Order, error) {
	order, err := f.Orders.Get(ctx, orderID)
	if err == nil && order.UserID != user {
		err = errOrderNotFound
	}
	return order, err
}

// VerifyPurchaseOTP checks a flagged user's one-time password. Without an order it means the one that waits; several
// are ambiguous.
func (f *Flows) VerifyPurchaseOTP(ctx context.Context, user, orderID uuid.UUID, code string) (uuid.UUID, error) {
	if orderID == uuid.Nil {
		waiting, err := f.waitingForOTP(ctx, user)
		switch {
		case err != nil:
			return uuid.Nil, err
		case len(waiting) == 0:
			return uuid.Nil, fault.Field("otp_code", "no one-time password is pending")
		case len(waiting) > 1:
			return uuid.Nil, fault.Field("reference_id", "is required: several of your orders wait for a one-time password")
		}
		orderID = waiting[0]
	} else if _, err := f.OwnOrder(ctx, user, orderID); err != nil {
		return uuid.Nil, err
	}
	return orderID, f.Users.VerifyOTP(ctx, user, clients.PurposePurchase, orderID, code)
}

func (f *Flows) waitingForOTP(ctx context.Context, user uuid.UUID) ([]uuid.UUID, error) {
	orders, _, err := f.Orders.OfUser(ctx, user, clients.OrderPending, firstPage)
	if err != nil {
		return nil, err
	}
	var waiting []uuid.UUID
	for _, o := range orders {
		if o.HeldUntil.Before(time.Now()) {
			continue
		}
		risk, err := f.Users.Risk(ctx, user, o.OrderID)
		if err != nil {
			return nil, err
		}
		if risk.IsFlagged && !risk.OTPVerified {
			waiting = append(waiting, o.OrderID)
		}
	}
	return waiting, nil
}

// OrderTrail gives what was done of an order's latest payment, for a person; empty if none was tried.
func (f *Flows) OrderTrail(ctx context.Context, orderID uuid.UUID) ([]saga.Entry, error) {
	r, err := f.Sagas.Latest(ctx, kindPurchase, orderID.String())
	if err != nil || r == nil {
		return nil, err
	}
	return r.Trail, nil
}
