package httpapi

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/google/uuid"

	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
	"ticketremaster/platform/web"
	"ticketremaster/user-service/postgres"
)

// operation has the fields of all calls on credits; each uses some of them.
type operation struct {
	OperationID string          `json:"operation_id"`
	UserID      string          `json:"user_id"`
	DisputeID   string          `json:"dispute_id"`
	Amount      json.RawMessage `json:"amount"`
	Reference   *string         `json:"reference_id"`
	CoverShort  bool            `json:"cover_short"`
	Fee         json.RawMessage `json:"fee"` // of a sale; none: 0
}

// amount reads an amount that may be zero (a gift, a free seat) and never less.
func (o operation) amount() (money.Cents, error) {
	c, err := web.Amount("amount", o.Amount)
	if err == nil && c < 0 {
		err = fault.Field("amount", "must not be negative")
	}
	return c, err
}

func readOperation(r *http.Request) (o operation, id uuid.UUID, err error) {
	if err := web.Decode(r, &o); err != nil {
		return o, id, err
	}
	id, err = web.UUID("operation_id", o.OperationID)
	return o, id, err
}

type takes func(ctx context.Context, operation, userID uuid.UUID, amount money.Cents, reference *uuid.UUID) (money.Cents, error)

// take serves the calls that take credits from a user and answers the balance after.
func (a *API) take(from takes) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		o, id, err := readOperation(r)
		if err != nil {
			return err
		}
		userID, errUser := web.UUID("user_id", o.UserID)
		amount, errAmount := o.amount()
		reference, errReference := optionalID("reference_id", o.Reference)
		if err := first(errUser, errAmount, errReference); err != nil {
			return err
		}
		balance, err := from(r.Context(), id, userID, amount, reference)
		if err != nil {
			return err
		}
		return web.OK(w, map[string]money.Cents{"credit_balance": balance})
	}
}

// undo serves the calls that undo an operation and answers whether there was something to undo.
func (a *API) undo(back func(context.Context, uuid.UUID) (bool, error)) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		_, id, err := readOperation(r)
		if err != nil {
			return err
		}
		returned, err := back(r.Context(), id)
		if err != nil {
			return err
		}
		return web.OK(w, map[string]bool{"returned": returned})
	}
}

func (a *API) releaseEscrow(w http.ResponseWriter, r *http.Request) error {
	o, id, err := readOperation(r)
	if err != nil {
		return err
	}
	userID, err := web.UUID("user_id", o.UserID)
	if err != nil {
		return err
	}
	var fee money.Cents
	if o.Fee != nil {
		if fee, err = web.Amount("fee", o.Fee); err == nil && fee < 0 {
			err = fault.Field("fee", "must not be negative")
		}
		if err != nil {
			return err
		}
	}
	balance, err := a.Store.ReleaseEscrow(r.Context(), id, userID, fee)
	if err != nil {
		return err
	}
	return web.OK(w, map[string]money.Cents{"credit_balance": balance})
}

func (a *API) freeze(w http.ResponseWriter, r *http.Request) error {
	o, id, err := readOperation(r)
	if err != nil {
		return err
	}
	userID, errUser := web.UUID("user_id", o.UserID)
	amount, errAmount := o.amount()
	if err := first(errUser, errAmount); err != nil {
		return err
	}
	frozen, short, err := a.Store.Freeze(r.Context(), id, userID, amount)
	if err != nil {
		return err
	}
	return web.OK(w, map[string]money.Cents{"frozen": frozen, "short": short})
}

func (a *API) freezeToEscrow(w http.ResponseWriter, r *http.Request) error {
	o, id, err := readOperation(r)
	if err != nil {
		return err
	}
	dispute, err := web.UUID("dispute_id", o.DisputeID)
	if err != nil {
		return err
	}
	amount, err := a.Store.FreezeToEscrow(r.Context(), id, dispute, o.CoverShort)
	if err != nil {
		return err
	}
	return web.OK(w, map[string]money.Cents{"amount": amount})
}

// first returns the first error that is not nil.
// maxRefunds is the most refunds that one call gives.
const maxRefunds = 150

// refundTickets returns credits for tickets, all or none.
func (a *API) refundTickets(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Refunds []operation `json:"refunds"`
	}
	if err := web.Decode(r, &in); err != nil {
		return err
	}
	if len(in.Refunds) == 0 || len(in.Refunds) > maxRefunds {
		return fault.Field("refunds", "must be 1 to %d refunds", maxRefunds)
	}
	refunds := make([]postgres.TicketRefund, len(in.Refunds))
	for i, o := range in.Refunds {
		id, errID := web.UUID("operation_id", o.OperationID)
		userID, errUser := web.UUID("user_id", o.UserID)
		amount, errAmount := o.amount()
		order, errOrder := optionalID("reference_id", o.Reference)
		if err := first(errID, errUser, errAmount, errOrder); err != nil {
			return err
		}
		if order == nil {
			return fault.Field("reference_id", "is required: the order")
		}
		refunds[i] = postgres.TicketRefund{ID: id, UserID: userID, OrderID: *order, Amount: amount}
	}
	if err := a.Store.RefundTickets(r.Context(), refunds); err != nil {
		return err
	}
	return web.OK(w, map[string]int{"refunded": len(refunds)})
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
