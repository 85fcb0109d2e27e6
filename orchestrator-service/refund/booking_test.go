package refund

import (
	"testing"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// booking sells n tickets for 80 credits each, together.
func (w *world) booking(n int) (id, holder uuid.UUID, seats []*inventoryv1.Seat, orders []*clients.Order) {
	id, holder = uuid.New(), uuid.New()
	for range n {
		_, seat, order := w.ticket()
		order.UserID, order.BookingID, seat.OwnerUserId = holder, &id, holder.String()
		seats, orders = append(seats, seat), append(orders, order)
	}
	return id, holder, seats, orders
}

// One ticket of a booking, or the rest of it: each gives back its own price, to who holds it.
func TestABookingIsGivenBack(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		_, holder, seats, orders := w.booking(4)
		friend := uuid.New()
		seats[3].OwnerUserId = friend.String() // handed on: not the holder's to give back
		_, err := w.flows.GiveBack(t.Context(), holder, orders[0].SeatID)
		want(t, err, "")
		w.wantRefunded(holder, seats[0], orders[0], 72_00)
		shares, err := w.flows.GiveBackBooking(t.Context(), holder, orders[1].SeatID)
		want(t, err, "")
		for _, s := range shares {
			if refused := s.Order.OrderID == orders[3].OrderID; refused != (s.Refusal != nil) {
				t.Errorf("%+v", s)
			}
		}
		if len(shares) != 3 || w.credits[holder] != 3*72_00 || w.credits[friend] != 0 || orders[3].Status != clients.OrderConfirmed {
			t.Errorf("%d shares, %s returned", len(shares), w.credits[holder])
		}
		_, err = w.flows.GiveBackBooking(t.Context(), holder, orders[3].SeatID)
		want(t, err, fault.CodeNotSeatOwner)
	})
}

func TestAnAdministratorRefundsABooking(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		id, holder, seats, orders := w.booking(3)
		seats[1].Status = inventoryv1.SeatStatus_CHECKED_IN // who is inside gets no refund; the others do
		shares, err := w.flows.RefundBooking(t.Context(), uuid.New(), id, Request{Reason: "sorry"})
		want(t, err, "")
		var returned money.Cents
		refused := 0
		for _, s := range shares {
			returned += s.Outcome.State.Amount
			if s.Refusal != nil {
				refused++
			}
		}
		if len(shares) != 3 || refused != 1 || w.credits[holder] != 160_00 || returned != 160_00 || orders[1].Status != clients.OrderConfirmed {
			t.Errorf("%+v; %s returned", shares, w.credits[holder])
		}
		_, err = w.flows.RefundBooking(t.Context(), uuid.New(), id, Request{Reason: "sorry"})
		want(t, err, fault.CodeTicketAlreadyUsed) // of what is left
		_, err = w.flows.RefundBooking(t.Context(), uuid.New(), uuid.New(), Request{Reason: "sorry"})
		want(t, err, fault.CodeOrderNotFound)
	})
}
