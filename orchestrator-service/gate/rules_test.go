package gate

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/qr"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// Each line of the gate's table, and that the earlier of two that fit decides.
func TestRules(t *testing.T) {
	now := time.Date(2027, 12, 31, 20, 0, 0, 0, time.UTC)
	event := clients.Event{EventID: uuid.New(), HallID: "H1", EndsAt: now.Add(time.Hour)}
	valid := func() scanned {
		return scanned{
			ticket:    qr.Ticket{SeatID: uuid.New(), EventID: event.EventID, HallID: "H1", IssuedAt: now.Add(-10 * time.Second), OwnershipVersion: 3},
			staffHall: "H1",
			seat:      &inventoryv1.Seat{EventId: event.EventID.String(), Status: inventoryv1.SeatStatus_SOLD, OwnershipVersion: 3},
			paid:      true, event: event, now: now, skew: 3 * time.Second,
		}
	}
	for _, c := range []struct {
		name   string
		change func(s *scanned)
		want   inventoryv1.ScanResult
	}{
		{"a valid ticket", func(*scanned) {}, inventoryv1.ScanResult_SUCCESS},
		{"no such seat", func(s *scanned) { s.seat = nil }, inventoryv1.ScanResult_NOT_FOUND},
		{"a seat of another event", func(s *scanned) { s.seat.EventId = uuid.NewString() }, inventoryv1.ScanResult_NOT_FOUND},
		{"a seat that nobody bought", func(s *scanned) { s.seat.Status = inventoryv1.SeatStatus_AVAILABLE }, inventoryv1.ScanResult_NOT_FOUND},
		{"a former owner's QR", func(s *scanned) { s.ticket.OwnershipVersion = 2 }, inventoryv1.ScanResult_NOT_FOUND},
		{"a former owner's QR of a used ticket", func(s *scanned) {
			s.ticket.OwnershipVersion, s.seat.Status = 2, inventoryv1.SeatStatus_CHECKED_IN
		}, inventoryv1.ScanResult_NOT_FOUND},
		{"checked in", func(s *scanned) { s.seat.Status = inventoryv1.SeatStatus_CHECKED_IN }, inventoryv1.ScanResult_DUPLICATE},
		{"a SUCCESS in the log", func(s *scanned) { s.entered = true }, inventoryv1.ScanResult_DUPLICATE},
		{"checked in, and in the wrong hall with an old QR", func(s *scanned) {
			s.entered, s.staffHall, s.ticket.IssuedAt = true, "H2", now.Add(-time.Hour)
		}, inventoryv1.ScanResult_DUPLICATE},
		{"held, not paid", func(s *scanned) { s.seat.Status, s.seat.OwnershipVersion = inventoryv1.SeatStatus_HELD, 0 }, inventoryv1.ScanResult_UNPAID},
		{"no confirmed order", func(s *scanned) { s.paid = false }, inventoryv1.ScanResult_UNPAID},
		{"unpaid and in the wrong hall", func(s *scanned) { s.paid, s.staffHall = false, "H2" }, inventoryv1.ScanResult_UNPAID},
		{"the staff's hall", func(s *scanned) { s.staffHall = "H2" }, inventoryv1.ScanResult_WRONG_HALL},
		{"the QR's hall", func(s *scanned) { s.ticket.HallID = "H2" }, inventoryv1.ScanResult_WRONG_HALL},
		{"the wrong hall with an old QR", func(s *scanned) { s.staffHall, s.ticket.IssuedAt = "H2", now.Add(-time.Hour) }, inventoryv1.ScanResult_WRONG_HALL},
		{"60 s old and the clocks apart", func(s *scanned) { s.ticket.IssuedAt = now.Add(-63 * time.Second) }, inventoryv1.ScanResult_SUCCESS},
		{"older than 60 s", func(s *scanned) { s.ticket.IssuedAt = now.Add(-64 * time.Second) }, inventoryv1.ScanResult_EXPIRED},
		{"the gate's clock a little behind", func(s *scanned) { s.ticket.IssuedAt = now.Add(3 * time.Second) }, inventoryv1.ScanResult_SUCCESS},
		{"from the future", func(s *scanned) { s.ticket.IssuedAt = now.Add(4 * time.Second) }, inventoryv1.ScanResult_EXPIRED},
		{"the event is over", func(s *scanned) { s.event.EndsAt = now.Add(-time.Second) }, inventoryv1.ScanResult_EXPIRED},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := valid()
			c.change(&s)
			got, message := decide(s)
			if got != c.want || message == "" {
				t.Errorf("%s %q, want %s", got, message, c.want)
			}
			if got == inventoryv1.ScanResult_WRONG_HALL && message != "Go to Hall H1" {
				t.Errorf("the app looks for the hall in %q", message)
			}
		})
	}
}
