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
func (f *Flows) sendOTP(ctx context.Context, booking []clients.Order) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	sending := f.sending.TryGo(func() error {
		defer cancel()
		if err := f.askOTP(ctx, booking); err != nil {
			slog.WarnContext(ctx, "the one-time password could not be sent", "booking", booking[0].Booking(), "error", err)
		}
		return nil
	})
	if !sending {
		cancel()
		slog.WarnContext(ctx, "too many one-time passwords are being sent; this one is sent when it is asked for", "booking", booking[0].Booking())
	}
}

// askOTP sends a flagged user's one-time password for a booking unless one is pending.
func (f *Flows) askOTP(ctx context.Context, booking []clients.Order) error {
	first, what := booking[0], "a seat"
	if t, err := f.Tickets.Ticket(ctx, first.SeatID); err == nil {
		what = t.String()
	}
	if len(booking) > 1 {
		what += fmt.Sprintf(" and %d more", len(booking)-1)
	}
	return f.Users.SendOTP(ctx, clients.Challenge{
		UserID: first.UserID, Purpose: clients.PurposePurchase, ReferenceID: first.Booking(), IfNonePending: true,
		Message: fmt.Sprintf("TicketRemaster: confirm your purchase of %s for %s credits.", what, total(booking)),
	})
}

// VerifyOTP checks a flagged user's one-time password for an order or a booking, and returns the booking's id. Without one it
// means the one that waits; several are ambiguous.
func (f *Flows) VerifyOTP(ctx context.Context, user, id uuid.UUID, code string) (uuid.UUID, error) {
	if id == uuid.Nil {
		waiting, err := f.waitingForOTP(ctx, user)
		switch {
		case err != nil:
			return uuid.Nil, err
		case len(waiting) == 0:
			return uuid.Nil, fault.Field("otp_code", "no one-time password is pending")
		case len(waiting) > 1:
			return uuid.Nil, fault.Field("reference_id", "is required: several of your orders wait for a one-time password")
		}
		id = waiting[0]
	} else {
		orders, err := f.ownOrders(ctx, user, id)
		if err != nil {
			return uuid.Nil, err
		}
		id = orders[0].Booking()
	}
	return id, f.Users.VerifyOTP(ctx, user, clients.PurposePurchase, id, code, user)
}

// firstPage is enough where the number is limited otherwise: a user's live holds.
var firstPage = web.Page{Number: 1, Size: 100}

func (f *Flows) waitingForOTP(ctx context.Context, user uuid.UUID) ([]uuid.UUID, error) {
	orders, _, err := f.Orders.OfUser(ctx, user, clients.OrderPending, firstPage)
	if err != nil {
		return nil, err
	}
	var waiting []uuid.UUID
	asked := map[uuid.UUID]bool{}
	for _, o := range orders {
		if o.HeldUntil.Before(time.Now()) || asked[o.Booking()] {
			continue
		}
		asked[o.Booking()] = true
		risk, err := f.Users.Risk(ctx, user, o.Booking())
		if err != nil {
			return nil, err
		}
		if risk.IsFlagged && !risk.OTPVerified {
			waiting = append(waiting, o.Booking())
		}
	}
	return waiting, nil
}
