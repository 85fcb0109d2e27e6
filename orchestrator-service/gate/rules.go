package gate

import (
	"time"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/qr"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// scanned is all that a decision at the gate looks at.
type scanned struct {
	ticket    qr.Ticket
	staffHall string
	seat      *inventoryv1.Seat // nil: there is no such seat
	entered   bool              // entry_logs has a SUCCESS for the seat
	paid      bool              // a CONFIRMED order exists
	event     clients.Event
	now       time.Time
	skew      time.Duration
}

// rule is one line of the gate's table: the result if what it says is so, and what the staff read.
type rule struct {
	result  inventoryv1.ScanResult
	when    func(s scanned) bool
	message func(s scanned) string
}

// rules are the table of docs/architecture.md#verification: the first that applies decides, and without one it is SUCCESS.
var rules = []rule{
	{inventoryv1.ScanResult_NOT_FOUND, func(s scanned) bool { return s.seat == nil }, say("Possible Counterfeit: there is no such ticket")},
	{inventoryv1.ScanResult_NOT_FOUND, func(s scanned) bool { return s.seat.EventId != s.ticket.EventID.String() }, say("Possible Counterfeit: the ticket is not of this event")},
	{inventoryv1.ScanResult_NOT_FOUND, func(s scanned) bool { return s.seat.Status == inventoryv1.SeatStatus_AVAILABLE }, say("Possible Counterfeit: this seat is not sold")},
	{inventoryv1.ScanResult_NOT_FOUND, formerOwners, say("This ticket was handed on: ask for the present owner's QR code")},
	{inventoryv1.ScanResult_DUPLICATE, func(s scanned) bool {
		return s.entered || s.seat.Status == inventoryv1.SeatStatus_CHECKED_IN
	}, say("Already Checked In")},
	{inventoryv1.ScanResult_UNPAID, func(s scanned) bool { return s.seat.VoidId != "" || s.event.Status == clients.EventCancelled }, say("This ticket was cancelled and refunded")},
	{inventoryv1.ScanResult_UNPAID, func(s scanned) bool { return s.seat.Status == inventoryv1.SeatStatus_HELD || !s.paid }, say("Incomplete Payment")},
	{inventoryv1.ScanResult_WRONG_HALL, func(s scanned) bool {
		return s.staffHall != s.event.HallID || s.ticket.HallID != s.event.HallID
	}, func(s scanned) string { return "Go to Hall " + s.event.HallID }},
	{inventoryv1.ScanResult_EXPIRED, func(s scanned) bool { return s.now.Sub(s.ticket.IssuedAt) > qr.Life+s.skew }, say("Expired QR: refresh the ticket")},
	{inventoryv1.ScanResult_EXPIRED, func(s scanned) bool { return s.ticket.IssuedAt.Sub(s.now) > s.skew }, say("This QR code is from the future: check the clocks and refresh the ticket")},
	{inventoryv1.ScanResult_EXPIRED, func(s scanned) bool { return s.now.After(s.event.EndsAt) }, say("This event is over")},
}

func say(text string) func(scanned) string { return func(scanned) string { return text } }

// formerOwners is a QR that was made before the ticket changed hands; it dies with the change, though its
// 60 seconds are not over.
func formerOwners(s scanned) bool {
	sold := s.seat.Status == inventoryv1.SeatStatus_SOLD || s.seat.Status == inventoryv1.SeatStatus_CHECKED_IN
	return sold && s.ticket.OwnershipVersion != s.seat.OwnershipVersion
}

// decide runs the table.
func decide(s scanned) (inventoryv1.ScanResult, string) {
	for _, r := range rules {
		if r.when(s) {
			return r.result, r.message(s)
		}
	}
	return inventoryv1.ScanResult_SUCCESS, "Welcome"
}
