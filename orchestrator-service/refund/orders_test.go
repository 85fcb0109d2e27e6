package refund

import (
	"context"
	"slices"
	"testing"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/web"
)

func (w *world) Lookup(_ context.Context, ids []uuid.UUID, emails []string) (users []clients.User, err error) {
	err = w.call("lookup", func() error {
		for _, o := range w.orders {
			u := clients.User{UserID: o.UserID, Email: o.UserID.String() + "@example.com"}
			if slices.Contains(ids, u.UserID) || slices.Contains(emails, u.Email) {
				users = append(users, u)
			}
		}
		return nil
	})
	return users, err
}

func (o orderService) Find(_ context.Context, f clients.OrderFilter, _ web.Page) (found []clients.Order, total int, err error) {
	err = o.call("find", func() error {
		for _, order := range o.orders {
			if (f.UserID == uuid.Nil || f.UserID == order.UserID) && (f.SeatID == uuid.Nil || f.SeatID == order.SeatID) && (f.EventID == uuid.Nil || f.EventID == order.EventID) &&
				(f.BookingID == uuid.Nil || f.BookingID == order.Booking()) && (f.Status == "" || f.Status == order.Status) {
				found = append(found, *order)
			}
		}
		return nil
	})
	return found, len(found), err
}

func TestOrdersAreFound(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		buyer, seat, order := w.ticket()
		w.ticket()
		for name, c := range map[string]struct {
			filter clients.OrderFilter
			email  string
			found  int
			code   string
		}{
			"by its id":                {filter: clients.OrderFilter{OrderID: order.OrderID}, found: 1},
			"by an unknown id":         {filter: clients.OrderFilter{OrderID: uuid.New()}, code: fault.CodeOrderNotFound},
			"by its buyer":             {filter: clients.OrderFilter{UserID: buyer}, found: 1},
			"by its buyer's address":   {email: buyer.String() + "@example.com", found: 1},
			"by an address nobody has": {email: "nobody@example.com"},
			"by its seat":              {filter: clients.OrderFilter{SeatID: clients.ID(seat.SeatId)}, found: 1},
			"by its event":             {filter: clients.OrderFilter{EventID: w.event.EventID}, found: 2},
			"of another event":         {filter: clients.OrderFilter{EventID: uuid.New()}},
			"by nothing":               {code: fault.CodeValidation},
			"by their status alone":    {filter: clients.OrderFilter{Status: clients.OrderFailed}, code: fault.CodeValidation},
		} {
			found, total, err := w.flows.FindOrders(t.Context(), c.filter, c.email, web.Page{})
			if fault.Code(err) != c.code || len(found) != c.found || total != c.found || err == nil && found == nil {
				t.Errorf("%s: %d of %d, %v", name, len(found), total, err)
			}
			for _, o := range found {
				if o.Email != o.UserID.String()+"@example.com" || string(o.Refunds) != "[]" {
					t.Errorf("%s: %+v", name, o)
				}
			}
		}
	})
}

func TestOrdersAreNotFoundInAnOutage(t *testing.T) {
	for _, call := range []string{"lookup", "find", "refunds of"} {
		inWorld(t, func(t *testing.T, w *world) {
			buyer, _, _ := w.ticket()
			w.fail(call, failure{err: unreachable})
			_, _, err := w.flows.FindOrders(t.Context(), clients.OrderFilter{UserID: buyer}, "", web.Page{})
			want(t, err, fault.CodeUnavailable)
		})
	}
	inWorld(t, func(t *testing.T, w *world) {
		w.fail("lookup", failure{err: unreachable})
		_, _, err := w.flows.FindOrders(t.Context(), clients.OrderFilter{}, "a@example.com", web.Page{})
		want(t, err, fault.CodeUnavailable)
	})
}
