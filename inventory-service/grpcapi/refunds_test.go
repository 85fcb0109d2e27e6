package grpcapi_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	inventoryv1 "ticketremaster/proto/inventory/v1"

	"ticketremaster/inventory-service/inventorytest"
)

func TestBlockedSeatsAreNotForSale(t *testing.T) {
	s := inventorytest.Start(t)
	hall := s.Hall(t, 4)
	event, a, b := hall[0].EventId, hall[0].SeatId, hall[1].SeatId
	block := func(blocked bool, seats ...string) (int32, error) {
		res, err := s.BlockSeats(t.Context(), &inventoryv1.BlockSeatsRequest{EventId: event, SeatIds: seats, Blocked: blocked})
		return res.GetChanged(), err
	}
	for i, want := range []int32{2, 0} { // the repeat changes nothing
		if n, err := block(true, a, b); err != nil || n != want {
			t.Fatalf("call %d changed %d (%v)", i, n, err)
		}
	}
	_, err := s.Reserve(t.Context(), a, newID())
	wantCode(t, err, "SEAT_UNAVAILABLE")
	list, err := s.ListStatuses(t.Context(), &inventoryv1.ListStatusesRequest{EventId: event})
	if err != nil || list.Statuses[0] != byte(inventoryv1.SeatStatus_HELD) || list.Statuses[2] != byte(inventoryv1.SeatStatus_AVAILABLE) {
		t.Fatalf("statuses %v (%v)", list.GetStatuses(), err)
	}
	if c := count(t, s, event); c.Available != 2 || c.Blocked != 2 || c.Held != 0 || c.Total != 4 {
		t.Fatalf("counts %v", c)
	}
	// All or none: a seat that is held or sold, or of another event, keeps the others as they are.
	s.Buy(t, hall[2].SeatId, newID())
	_, err = block(true, hall[3].SeatId, hall[2].SeatId)
	wantCode(t, err, "SEATS_IN_USE")
	_, err = block(true, hall[3].SeatId, newID())
	wantCode(t, err, "SEAT_NOT_FOUND")
	_, err = block(true, hall[3].SeatId, hall[3].SeatId)
	wantCode(t, err, "VALIDATION_ERROR")
	if _, err := s.Reserve(t.Context(), hall[3].SeatId, newID()); err != nil {
		t.Fatalf("the seat beside: %v", err)
	}
	if n, err := block(false, a); err != nil || n != 1 {
		t.Fatalf("released %d (%v)", n, err)
	}
	if _, err := s.Reserve(t.Context(), a, newID()); err != nil {
		t.Fatal(err)
	}
}

// Of blocking and reserving a seat at once one succeeds.
func TestBlockAndReserveRace(t *testing.T) {
	s := inventorytest.Start(t)
	hall := s.Hall(t, 20)
	for _, seat := range hall {
		codes := together(2, func(i int) error {
			if i == 0 {
				_, err := s.Reserve(t.Context(), seat.SeatId, newID())
				return err
			}
			_, err := s.BlockSeats(t.Context(), &inventoryv1.BlockSeatsRequest{EventId: seat.EventId, SeatIds: []string{seat.SeatId}, Blocked: true})
			return err
		})
		if codes[""] != 1 {
			t.Fatalf("outcomes %v", codes)
		}
	}
}

func TestRowsAreAddedBehindTheLast(t *testing.T) {
	s := inventorytest.Start(t)
	hall := s.Hall(t, 45) // rows A and B of 20, C of 5
	request := &inventoryv1.AddRowsRequest{EventId: hall[0].EventId, OperationId: newID(), Rows: 2, SeatsPerRow: 10, Tier: "BOX"}
	codes := together(5, func(int) error {
		res, err := s.AddRows(t.Context(), request)
		if err == nil && (res.SeatsAdded != 20 || res.FirstRow != "D" || res.LastRow != "E") {
			t.Errorf("added %v", res)
		}
		return err
	})
	if codes[""] != 5 {
		t.Fatalf("outcomes %v", codes)
	}
	if c := count(t, s, hall[0].EventId); c.Total != 65 || c.Available != 65 {
		t.Fatalf("counts %v", c)
	}
	list, err := s.ListSeats(t.Context(), &inventoryv1.ListSeatsRequest{EventId: hall[0].EventId})
	if err != nil || len(list.Seats) != 65 || list.Seats[45].RowNumber != "D" || list.Seats[64].SeatNumber != 10 || list.Seats[64].Tier != "BOX" {
		t.Fatalf("%d seats (%v)", len(list.GetSeats()), err)
	}
	_, err = s.AddRows(t.Context(), &inventoryv1.AddRowsRequest{EventId: newID(), OperationId: newID(), Rows: 1, SeatsPerRow: 1, Tier: "BOX"})
	wantCode(t, err, "SEAT_NOT_FOUND")
	_, err = s.AddRows(t.Context(), &inventoryv1.AddRowsRequest{EventId: hall[0].EventId, OperationId: newID(), Rows: 100, SeatsPerRow: 1000, Tier: "BOX"})
	wantCode(t, err, "VALIDATION_ERROR")
}

func TestTicketIsGivenBackAndSoldAgain(t *testing.T) {
	s := inventorytest.Start(t)
	hall := s.Hall(t, 2)
	seat, owner, refund := hall[0].SeatId, newID(), newID()
	order, _ := s.Buy(t, seat, owner)
	void := func(order, refund string) error {
		_, err := s.VoidTicket(t.Context(), &inventoryv1.VoidTicketRequest{SeatId: seat, OrderId: order, RefundId: refund})
		return err
	}
	free := func(refund string) error {
		_, err := s.FreeTicket(t.Context(), &inventoryv1.FreeTicketRequest{SeatId: seat, RefundId: refund})
		return err
	}
	wantCode(t, void(newID(), refund), "TICKET_NOT_SOLD")
	wantCode(t, free(refund), "TICKET_NOT_SOLD")
	for range 2 {
		wantCode(t, void(order, refund), "")
	}
	wantCode(t, void(order, newID()), "TICKET_REFUNDED")
	// A void ticket can be neither shown, used nor transferred.
	_, err := s.RecordQR(t.Context(), &inventoryv1.RecordQRRequest{SeatId: seat, UserId: owner, OwnershipVersion: 1, Sha256: make([]byte, 32)})
	wantCode(t, err, "SEAT_UNAVAILABLE")
	_, err = s.UpdateOwner(t.Context(), &inventoryv1.UpdateOwnerRequest{SeatId: seat, ExpectedOwnerUserId: owner, NewOwnerUserId: newID(), OperationId: newID(), Cause: "TRANSFER"})
	wantCode(t, err, "SEAT_UNAVAILABLE")
	if got := checkIn(t, s, seat, owner, 1).Result; got != inventoryv1.ScanResult_UNPAID {
		t.Fatalf("at the gate it is %v", got)
	}
	// The refund is abandoned: all is as before.
	if _, err := s.RestoreTickets(t.Context(), &inventoryv1.RestoreTicketsRequest{SeatIds: []string{seat}, RefundIds: []string{refund}}); err != nil {
		t.Fatal(err)
	}
	second := newID()
	wantCode(t, void(order, second), "")
	wantCode(t, free(refund), "TICKET_NOT_SOLD") // the first refund's
	for range 2 {
		wantCode(t, free(second), "")
	}
	wantCode(t, void(order, second), "") // late repeats
	next := newID()
	secondOrder, _ := s.Buy(t, seat, next)
	if again := s.Seat(t, seat); again.OwnershipVersion != 3 || again.OwnerUserId != next {
		t.Fatalf("sold again: %v", again)
	}
	for range 2 {
		wantCode(t, free(second), "") // a late repeat leaves the new owner alone
	}
	if got, err := s.GetSeatOwner(t.Context(), &inventoryv1.GetSeatOwnerRequest{SeatId: seat}); err != nil || got.OwnerUserId != next {
		t.Fatalf("the late repeat left %v (%v)", got, err)
	}
	if got := checkIn(t, s, seat, owner, 1).Result; got != inventoryv1.ScanResult_NOT_FOUND {
		t.Fatalf("the former owner's QR code is %v", got)
	}
	chain, err := s.ListOwnership(t.Context(), &inventoryv1.ListOwnershipRequest{SeatId: seat})
	if err != nil || len(chain.Changes) != 3 || chain.Changes[1].Cause != "REFUND" || chain.Changes[1].ToUserId != "" || chain.Changes[2].Cause != "PURCHASE" {
		t.Fatalf("chain %v (%v)", chain, err)
	}
	// A ticket that is checked in gets no refund.
	if got := checkIn(t, s, seat, next, 3).Result; got != inventoryv1.ScanResult_SUCCESS {
		t.Fatalf("the new owner is %v", got)
	}
	wantCode(t, void(secondOrder, newID()), "TICKET_ALREADY_USED")
}

// Of the entry and the refund of a ticket at once one succeeds.
func TestEntryAndRefundRace(t *testing.T) {
	s := inventorytest.Start(t)
	for _, place := range s.Hall(t, 15) {
		owner := newID()
		order, _ := s.Buy(t, place.SeatId, owner)
		entered := false
		codes := together(2, func(i int) error {
			if i == 0 {
				entered = checkIn(t, s, place.SeatId, owner, 1).Result == inventoryv1.ScanResult_SUCCESS
				return nil
			}
			_, err := s.VoidTicket(t.Context(), &inventoryv1.VoidTicketRequest{SeatId: place.SeatId, OrderId: order, RefundId: newID()})
			return err
		})
		if entered != (codes["TICKET_ALREADY_USED"] == 1) {
			t.Fatalf("entered %v, and the refund %v", entered, codes)
		}
	}
}

func TestCancellationOfAnEvent(t *testing.T) {
	s := inventorytest.Start(t)
	hall := s.Hall(t, 8)
	event := hall[0].EventId
	var owners []string
	for i := range 4 {
		owners = append(owners, newID())
		s.Buy(t, hall[i].SeatId, owners[i])
	}
	if got := checkIn(t, s, hall[3].SeatId, owners[3], 1).Result; got != inventoryv1.ScanResult_SUCCESS {
		t.Fatal(got)
	}
	held, err := s.Reserve(t.Context(), hall[4].SeatId, newID())
	if err != nil {
		t.Fatal(err)
	}
	paying, err := s.Reserve(t.Context(), hall[5].SeatId, newID())
	if err != nil {
		t.Fatal(err)
	}
	pin := newID()
	pinned := &inventoryv1.PinHoldRequest{SeatId: hall[5].SeatId, HoldId: paying.Seat.HoldId, UserId: paying.Seat.HeldByUserId, PinId: pin}
	if _, err := s.PinHold(t.Context(), pinned); err != nil {
		t.Fatal(err)
	}
	closing := func() (int32, int32) {
		res, err := s.CloseEvent(t.Context(), &inventoryv1.CloseEventRequest{EventId: event})
		if err != nil {
			t.Fatal(err)
		}
		return res.Released, res.Pinned
	}
	if released, under := closing(); released != 1 || under != 1 {
		t.Fatalf("released %d, %d are being paid for", released, under)
	}
	_, err = s.PinHold(t.Context(), &inventoryv1.PinHoldRequest{SeatId: hall[4].SeatId, HoldId: held.Seat.HoldId, UserId: held.Seat.HeldByUserId, PinId: newID()})
	wantCode(t, err, "HOLD_EXPIRED")
	_, err = s.Reserve(t.Context(), hall[6].SeatId, newID())
	wantCode(t, err, "SEAT_UNAVAILABLE")
	// The payment fails, so that its hold can no longer be paid for and is released by the next call.
	if _, err := s.UnpinHold(t.Context(), &inventoryv1.UnpinHoldRequest{SeatId: hall[5].SeatId, HoldId: pinned.HoldId, PinId: pin}); err != nil {
		t.Fatal(err)
	}
	pinned.PinId = newID()
	_, err = s.PinHold(t.Context(), pinned)
	wantCode(t, err, "HOLD_EXPIRED")
	if released, under := closing(); released != 1 || under != 0 {
		t.Fatalf("released %d, %d are being paid for", released, under)
	}

	left := func() *inventoryv1.CountUnsettledResponse {
		c, err := s.CountUnsettled(t.Context(), &inventoryv1.CountUnsettledRequest{EventId: event})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if c := left(); c.Tickets != 4 || c.Owners != 4 || c.ValueCents != 4*12_050 || c.Refunded != 0 || c.Held != 0 {
		t.Fatalf("to refund: %v", c)
	}
	some := func(limit int32, spare ...string) []*inventoryv1.Seat {
		res, err := s.VoidTickets(t.Context(), &inventoryv1.VoidTicketsRequest{EventId: event, SpareSeatIds: spare, Limit: limit})
		if err != nil {
			t.Fatal(err)
		}
		return res.Seats
	}
	first := some(2, hall[0].SeatId)
	again := some(2, hall[0].SeatId)
	if len(first) != 2 || len(again) != 2 || first[0].VoidId == "" || ids(first) != ids(again) {
		t.Fatalf("void %v, then %v", first, again)
	}
	settle := func(seats []*inventoryv1.Seat) {
		var in inventoryv1.SettleRefundsRequest
		for _, seat := range seats {
			in.SeatIds, in.RefundIds = append(in.SeatIds, seat.SeatId), append(in.RefundIds, seat.VoidId)
		}
		if _, err := s.SettleRefunds(t.Context(), &in); err != nil {
			t.Fatal(err)
		}
	}
	settle(first)
	settle(some(10, hall[0].SeatId)) // one
	if c := left(); c.Tickets != 1 || c.Refunded != 3 {
		t.Fatalf("without the spared one: %v", c)
	}
	settle(some(10))
	if c := left(); c.Tickets != 0 || c.Refunded != 4 || len(some(10)) != 0 {
		t.Fatalf("in the end: %v", c)
	}
	if c := count(t, s, event); c.Sold != 0 || c.Refunded != 4 || c.RevenueCents != 0 || c.Available != 0 || c.Blocked != 4 {
		t.Fatalf("counts %v", c)
	}
	// A settled refund can no longer be abandoned.
	if _, err := s.RestoreTickets(t.Context(), &inventoryv1.RestoreTicketsRequest{SeatIds: []string{first[0].SeatId}, RefundIds: []string{first[0].VoidId}}); err != nil {
		t.Fatal(err)
	}
	if c := left(); c.Refunded != 4 {
		t.Fatalf("restored a settled one: %v", c)
	}
}

func count(t *testing.T, s *inventorytest.Service, event string) *inventoryv1.SeatCount {
	t.Helper()
	res, err := s.CountSeats(t.Context(), &inventoryv1.CountSeatsRequest{EventIds: []string{event}})
	if err != nil {
		t.Fatal(err)
	}
	return res.Counts[0]
}

func ids(seats []*inventoryv1.Seat) string {
	seen := map[string]bool{}
	for _, s := range seats {
		seen[s.SeatId+s.VoidId] = true
	}
	return strings.Join(slices.Sorted(maps.Keys(seen)), " ")
}
