package purchase

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/web"
)

// sendingAtOnce is how many one-time passwords are sent at once behind the answers of reservations.
const sendingAtOnce = 32

// sendOTP is askOTP behind the answer. If too many are being sent, or this one fails, /pay sends it again.
func (f *Flows) sendOTP(ctx context.Context, o clients.Order) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	sending := f.sending.TryGo(func() error {
		defer cancel()
		if err := f.askOTP(ctx, o); err != nil {
			slog.WarnContext(ctx, "the one-time password could not be sent", "order", o.OrderID, "error", err)
		}
		return nil
	})
	if !sending {
		cancel()
		slog.WarnContext(ctx, "too many one-time passwords are being sent; this one is sent when it is asked for", "order", o.OrderID)
	}
}

// askOTP sends a flagged user's one-time password for an order unless one is pending.
func (f *Flows) askOTP(ctx context.Context, o clients.Order) error {
	what := "a seat"
	if t, err := f.Tickets.Ticket(ctx, o.SeatID); err == nil {
		what = t.String()
	}
	return f.Users.SendOTP(ctx, clients.Challenge{
		UserID: o.UserID, Purpose: clients.PurposePurchase, ReferenceID: o.OrderID, IfNonePending: true,
		Message: fmt.Sprintf("TicketRemaster: confirm your purchase of %s for %s credits.", what, o.Price),
	})
}

// VerifyOTP checks a flagged user's one-time password. Without an order it means the one that waits; several
// are ambiguous.
func (f *Flows) VerifyOTP(ctx context.Context, user, orderID uuid.UUID, code string) (uuid.UUID, error) {
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
	return orderID, f.Users.VerifyOTP(ctx, user, clients.PurposePurchase, orderID, code, user)
}

// firstPage is enough where the number is limited otherwise: a user's live holds.
var firstPage = web.Page{Number: 1, Size: 100}

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
