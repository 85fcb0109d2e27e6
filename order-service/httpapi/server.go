// Package httpapi serves orders and transfers to the other services, as docs/internal-api.md says.
package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"ticketremaster/order-service/postgres"
	"ticketremaster/platform/database"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
	"ticketremaster/platform/web"
)

const (
	// requestLimit bounds a request, the wait for a connection to the database included.
	requestLimit = 5 * time.Second
	// maxFailureReason and maxDisputeReason are in characters, as in the schema.
	maxFailureReason = 500
	maxDisputeReason = 1000
	// maxOverdue is the longest list of overdue entries, defaultOverdue its length by default.
	maxOverdue     = 1000
	defaultOverdue = 100
	// maxTogether is the most orders or seats that one call names.
	maxTogether = 100
)

type server struct{ ledger postgres.Store }

// New returns the service's handler. Every address but /health wants the bearer secret, one of secrets.
func New(ledger postgres.Store, secrets ...string) http.Handler {
	s := server{ledger}
	r := web.NewRouter(ledger.Pool.Ping)
	r.Group(func(r chi.Router) {
		r.Use(web.RequireService(secrets...))
		r.Method(http.MethodPost, "/orders", edge(s.placeOrConfirm))
		r.Method(http.MethodPost, "/orders/batch", edge(s.placeAll))
		r.Method(http.MethodPost, "/orders/limited", edge(s.placeWithin))
		r.Method(http.MethodPost, "/orders/confirmed", edge(s.confirmed))
		r.Method(http.MethodGet, "/orders", edge(s.orders))
		r.Method(http.MethodGet, "/orders/overdue", edge(s.overdueOrders))
		r.Method(http.MethodGet, "/orders/{id}", edge(byID(ledger.Order)))
		r.Method(http.MethodPost, "/orders/{id}/undo-confirm", edge(s.undoConfirm))
		r.Method(http.MethodPost, "/orders/{id}/fail", edge(byIDAndReason(ledger.Fail)))
		r.Method(http.MethodPost, "/orders/{id}/extend", edge(s.extendOrder))

		r.Method(http.MethodPost, "/refunds", edge(s.refund))
		r.Method(http.MethodGet, "/orders/{id}/refunds", edge(byID(ledger.Refunds)))
		r.Method(http.MethodPost, "/events/{id}/fail-pending", edge(s.failPending))
		r.Method(http.MethodGet, "/events/{id}/unsettled", edge(byID(ledger.Unsettled)))
		r.Method(http.MethodGet, "/events/{id}/live-transfers", edge(s.liveTransfers))

		r.Method(http.MethodPost, "/offers", edge(s.beginOffer))
		r.Method(http.MethodPost, "/offers/{id}/refuse", edge(s.refuseOffer))

		r.Method(http.MethodPost, "/transfers", edge(s.initiate))
		r.Method(http.MethodGet, "/transfers", edge(s.transfers))
		r.Method(http.MethodGet, "/transfers/overdue", edge(byLimit(ledger.OverdueTransfers)))
		r.Method(http.MethodGet, "/transfers/{id}", edge(byID(ledger.Transfer)))
		r.Method(http.MethodPost, "/transfers/{id}/dispute", edge(s.dispute))

		r.Method(http.MethodPost, "/listings", edge(s.list))
		r.Method(http.MethodGet, "/listings", edge(s.listings))
		r.Method(http.MethodPost, "/listings/check", edge(byLimit(ledger.ListingsToCheck)))
		r.Method(http.MethodPost, "/listings/end", edge(s.endListingsOfEvent))
		r.Method(http.MethodGet, "/listings/{id}", edge(byID(ledger.Listing)))
		r.Method(http.MethodPost, "/listings/{id}/buy", edge(s.buy))
		r.Method(http.MethodPost, "/listings/{id}/abort-buy", edge(s.abortBuy))
		r.Method(http.MethodPost, "/listings/{id}/end", edge(byIDAndReason(ledger.EndListing)))

		for address, read := range moves {
			r.Method(http.MethodPost, "/transfers/{id}/"+address, edge(s.move(read)))
		}
	})
	return r
}

// edge sets a handler's deadline and is the one place where errors of the database become faults.
func edge(h web.Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		ctx, cancel := context.WithTimeout(r.Context(), requestLimit)
		defer cancel()
		return database.Fault(h(w, r.WithContext(ctx)), "the order ledger")
	}
}

// byID serves what needs the id of the path alone.
func byID[T any](do func(context.Context, uuid.UUID) (T, error)) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		id, err := web.PathUUID(r, "id")
		if err != nil {
			return err
		}
		answer, err := do(r.Context(), id)
		if err != nil {
			return err
		}
		return web.OK(w, answer)
	}
}

// byIDAndReason serves what needs the id of the path and a reason.
func byIDAndReason[T any](do func(ctx context.Context, id uuid.UUID, reason string) (T, error)) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		return byID(func(ctx context.Context, id uuid.UUID) (answer T, err error) {
			reason, err := web.ReadReason(r, maxFailureReason)
			if err != nil {
				return answer, err
			}
			return do(ctx, id, reason)
		})(w, r)
	}
}

// byLimit serves a list that a sweep works off: ?limit is how many it takes.
func byLimit[T any](list func(context.Context, int) ([]T, error)) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		limit, err := web.QueryInt(r, "limit", defaultOverdue, 1, maxOverdue)
		if err != nil {
			return err
		}
		answer, err := list(r.Context(), limit)
		if err != nil {
			return err
		}
		return web.OK(w, answer)
	}
}

// fields reads the fields of one body and keeps the first thing that is wrong with them, so that a decoder is a
// list of its fields.
type fields struct{ err error }

func (f *fields) uuid(name, value string) uuid.UUID {
	id, err := web.UUID(name, value)
	f.fail(err)
	return id
}

// amount reads an amount of credits, 0 or more.
func (f *fields) amount(name string, raw []byte) money.Cents {
	c, err := web.Amount(name, raw)
	if err == nil && c < 0 {
		err = fault.Field(name, "must not be negative")
	}
	f.fail(err)
	return c
}

func (f *fields) time(name, value string) time.Time {
	t, err := time.Parse(time.RFC3339, value)
	switch {
	case value == "":
		f.fail(fault.Field(name, "is required"))
	case err != nil:
		f.fail(fault.Field(name, "must be a time in RFC 3339 such as 2027-12-31T20:00:00Z"))
	}
	return t
}

func (f *fields) text(name, value string, most int) string {
	s, err := web.Text(name, value, most)
	f.fail(err)
	return s
}

func (f *fields) fail(err error) {
	if f.err == nil {
		f.err = err
	}
}

// queryUUID reads an id from the query, nil if it is not given.
func (f *fields) queryUUID(r *http.Request, name string) *uuid.UUID {
	value := r.URL.Query().Get(name)
	if value == "" {
		return nil
	}
	id := f.uuid(name, value)
	return &id
}
