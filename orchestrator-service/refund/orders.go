package refund

import (
	"context"
	"encoding/json"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/web"
)

// FoundOrder is an order as an administrator sees it. Email is empty if the user service does not know its buyer.
type FoundOrder struct {
	clients.Order
	Email   string
	Refunds json.RawMessage // oldest first, as the order service writes them
}

// FindOrders lists a page of orders, newest first. One of order, user, seat, event and the buyer's e-mail address must
// be given.
func (f *Flows) FindOrders(ctx context.Context, filter clients.OrderFilter, email string, page web.Page) ([]FoundOrder, int, error) {
	if email != "" {
		users, err := f.Users.Lookup(ctx, nil, []string{email})
		if err != nil || len(users) == 0 {
			return []FoundOrder{}, 0, err
		}
		filter.UserID = users[0].UserID
	}
	var orders []clients.Order
	var total int
	var err error
	switch {
	case filter.OrderID != uuid.Nil:
		var order clients.Order
		if order, err = f.Orders.Get(ctx, filter.OrderID); err == nil {
			orders, total = []clients.Order{order}, 1
		}
	case filter.UserID == uuid.Nil && filter.SeatID == uuid.Nil && filter.EventID == uuid.Nil:
		return nil, 0, fault.Field("order_id", "is required, or email, user_id, seat_id or event_id")
	default:
		orders, total, err = f.Orders.Find(ctx, filter, page)
	}
	if err != nil {
		return nil, 0, err
	}
	return f.describe(ctx, orders, total)
}

// describe adds the buyers' addresses and the refunds.
func (f *Flows) describe(ctx context.Context, orders []clients.Order, total int) ([]FoundOrder, int, error) {
	ids := make([]uuid.UUID, 0, len(orders))
	for _, o := range orders {
		ids = append(ids, o.UserID)
	}
	emails := map[uuid.UUID]string{}
	if len(ids) > 0 {
		users, err := f.Users.Lookup(ctx, ids, nil)
		if err != nil {
			return nil, 0, err
		}
		for _, u := range users {
			emails[u.UserID] = u.Email
		}
	}
	found := make([]FoundOrder, len(orders))
	for i, o := range orders {
		refunds, err := f.Orders.RefundsOf(ctx, o.OrderID)
		if err != nil {
			return nil, 0, err
		}
		found[i] = FoundOrder{o, emails[o.UserID], refunds}
	}
	return found, total, nil
}
