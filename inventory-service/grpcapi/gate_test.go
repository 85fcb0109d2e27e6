package grpcapi_test

import (
	"strings"
	"testing"
	"time"

	inventoryv1 "ticketremaster/proto/inventory/v1"

	"ticketremaster/inventory-service/inventorytest"
)

// checkIn scans a ticket once, with a new scan id.
func checkIn(t *testing.T, s *inventorytest.Service, seat, owner string, version int64) *inventoryv1.MarkCheckedInResponse {
	t.Helper()
	answer, err := s.MarkCheckedIn(t.Context(), &inventoryv1.MarkCheckedInRequest{
		Scan:        &inventoryv1.Scan{ScanId: newID(), SeatId: seat, EventId: newID(), StaffId: newID(), HallIdPresented: "H1", HallIdExpected: "H1"},
		OwnerUserId: owner, OwnershipVersion: version,
	})
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func TestHundredScansOfOneTicket(t *testing.T) {
	s := inventorytest.Start(t)
	for round, seat := range s.Hall(t, 5) { // the later ones on warm connections
		owner, scans := newID(), make([]string, 100)
		s.Buy(t, seat.SeatId, owner)
		for i := range scans {
			scans[i] = newID()
		}
		results := make([]inventoryv1.ScanResult, len(scans))
		failed := together(len(scans), func(i int) error {
			answer, err := s.MarkCheckedIn(t.Context(), &inventoryv1.MarkCheckedInRequest{
				Scan:        &inventoryv1.Scan{ScanId: scans[i], SeatId: seat.SeatId, EventId: newID(), StaffId: newID()},
				OwnerUserId: owner, OwnershipVersion: 1,
			})
			results[i] = answer.GetResult()
			return err
		})
		if failed[""] != 100 {
			t.Fatalf("errors: %v", failed)
		}
		count := map[inventoryv1.ScanResult]int{}
		for _, r := range results {
			count[r]++
		}
		if count[inventoryv1.ScanResult_SUCCESS] != 1 || count[inventoryv1.ScanResult_DUPLICATE] != 99 {
			t.Fatalf("results %v, want 1 × SUCCESS, 99 × DUPLICATE", count)
		}
		// A scan is logged for the seat's event, whichever it names.
		log, err := s.ListScans(t.Context(), &inventoryv1.ListScansRequest{EventId: seat.EventId, Page: 1, PerPage: 200})
		if err != nil {
			t.Fatal(err)
		}
		if n := int32(round + 1); log.Total != 100*n || log.Counts["SUCCESS"] != n || log.Counts["DUPLICATE"] != 99*n {
			t.Fatalf("logged %d, %v", log.Total, log.Counts)
		}
	}
}

func TestMarkCheckedInDecides(t *testing.T) {
	s := inventorytest.Start(t)
	seats := s.Hall(t, 5)
	owner, buyer := newID(), newID()
	sold, passedOn, held, over, free := seats[0].SeatId, seats[1].SeatId, seats[2].SeatId, seats[3].SeatId, seats[4].SeatId
	s.Buy(t, sold, owner)
	s.Buy(t, passedOn, owner)
	if _, err := s.UpdateOwner(t.Context(), &inventoryv1.UpdateOwnerRequest{SeatId: passedOn, ExpectedOwnerUserId: owner, NewOwnerUserId: buyer, OperationId: newID(), Cause: "TRANSFER"}); err != nil {
		t.Fatal(err)
	}
	s.Hold(t, held, owner)
	s.Hold(t, over, owner)
	s.Expire(t, over, time.Second)
	for _, c := range []struct {
		name, seat, owner string
		version           int64
		want              inventoryv1.ScanResult
	}{
		{"sold, but to someone else", sold, buyer, 1, inventoryv1.ScanResult_NOT_FOUND},
		{"sold, of another version", sold, owner, 2, inventoryv1.ScanResult_NOT_FOUND},
		{"sold", sold, owner, 1, inventoryv1.ScanResult_SUCCESS},
		{"entered already", sold, owner, 1, inventoryv1.ScanResult_DUPLICATE},
		{"entered already, a former owner's", sold, buyer, 1, inventoryv1.ScanResult_NOT_FOUND},
		{"former owner", passedOn, owner, 1, inventoryv1.ScanResult_NOT_FOUND},
		{"present owner", passedOn, buyer, 2, inventoryv1.ScanResult_SUCCESS},
		{"held", held, owner, 1, inventoryv1.ScanResult_UNPAID},
		{"hold is over", over, owner, 1, inventoryv1.ScanResult_NOT_FOUND},
		{"available", free, owner, 1, inventoryv1.ScanResult_NOT_FOUND},
		{"no such seat", newID(), owner, 1, inventoryv1.ScanResult_NOT_FOUND},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := checkIn(t, s, c.seat, c.owner, c.version); got.Result != c.want {
				t.Fatalf("%v, want %v", got, c.want)
			}
		})
	}
	wantStatus(t, s.Seat(t, sold), inventoryv1.SeatStatus_CHECKED_IN)
	ticket, err := s.VerifyTicket(t.Context(), &inventoryv1.VerifyTicketRequest{SeatId: sold})
	if err != nil || !ticket.HasSuccessLog {
		t.Fatalf("%v, %v", ticket, err)
	}
	if ticket, err = s.VerifyTicket(t.Context(), &inventoryv1.VerifyTicketRequest{SeatId: held}); err != nil || ticket.HasSuccessLog {
		t.Fatalf("%v, %v", ticket, err)
	}
	_, err = s.VerifyTicket(t.Context(), &inventoryv1.VerifyTicketRequest{SeatId: newID()})
	wantCode(t, err, "SEAT_NOT_FOUND")
}

func TestAScanRepeatedAnswersWhatWasLogged(t *testing.T) {
	s := inventorytest.Start(t)
	seats, owner := s.Hall(t, 2), newID()
	s.Buy(t, seats[0].SeatId, owner)
	request := &inventoryv1.MarkCheckedInRequest{OwnerUserId: owner, OwnershipVersion: 1,
		Scan: &inventoryv1.Scan{ScanId: newID(), SeatId: seats[0].SeatId, EventId: seats[0].EventId, StaffId: newID()}}
	got := together(20, func(int) error {
		answer, err := s.MarkCheckedIn(t.Context(), request)
		if err == nil && answer.Result != inventoryv1.ScanResult_SUCCESS {
			t.Errorf("a repeat of the scan that succeeded answers %v", answer.Result)
		}
		return err
	})
	if got[""] != 20 {
		t.Fatalf("errors: %v", got)
	}
	var rows int
	if err := s.SQL.QueryRow(t.Context(), `SELECT count(*) FROM entry_logs`).Scan(&rows); err != nil || rows != 1 {
		t.Fatalf("%d rows logged (%v)", rows, err)
	}
	request.Scan.SeatId = seats[1].SeatId
	_, err := s.MarkCheckedIn(t.Context(), request)
	wantCode(t, err, "VALIDATION_ERROR")
}

// A scan that was refused before the payment is refused when repeated after it: it is the same scan.
func TestARefusedScanStaysRefused(t *testing.T) {
	s := inventorytest.Start(t)
	seat, user, pin := s.Hall(t, 1)[0].SeatId, newID(), newID()
	hold := s.Hold(t, seat, user)
	scan := &inventoryv1.MarkCheckedInRequest{OwnerUserId: user, OwnershipVersion: 1, Scan: &inventoryv1.Scan{ScanId: newID(), SeatId: seat, StaffId: newID()}}
	result := func() inventoryv1.ScanResult {
		answer, err := s.MarkCheckedIn(t.Context(), scan)
		if err != nil {
			t.Fatal(err)
		}
		return answer.Result
	}
	if got := result(); got != inventoryv1.ScanResult_UNPAID {
		t.Fatalf("a held seat is %v", got)
	}
	if _, err := s.PinHold(t.Context(), &inventoryv1.PinHoldRequest{SeatId: seat, HoldId: hold, UserId: user, PinId: pin}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ConfirmSeat(t.Context(), &inventoryv1.ConfirmSeatRequest{SeatId: seat, HoldId: hold, UserId: user, PinId: pin}); err != nil {
		t.Fatal(err)
	}
	if got := result(); got != inventoryv1.ScanResult_UNPAID {
		t.Fatalf("the repeat is %v", got)
	}
	wantStatus(t, s.Seat(t, seat), inventoryv1.SeatStatus_SOLD)
	if got := checkIn(t, s, seat, user, 1).Result; got != inventoryv1.ScanResult_SUCCESS {
		t.Fatalf("a new scan is %v", got)
	}
}

func TestRecordScanAndList(t *testing.T) {
	s := inventorytest.Start(t)
	seat := s.Hall(t, 1)[0]
	unknown, event, staff := newID(), seat.EventId, newID()
	record := func(scan *inventoryv1.Scan) error {
		_, err := s.RecordScan(t.Context(), &inventoryv1.RecordScanRequest{Scan: scan})
		return err
	}
	first := &inventoryv1.Scan{ScanId: newID(), SeatId: seat.SeatId, EventId: event, StaffId: staff, Result: inventoryv1.ScanResult_WRONG_HALL, HallIdPresented: "H2", HallIdExpected: "H1"}
	for range 3 {
		wantCode(t, record(first), "")
	}
	wantCode(t, record(&inventoryv1.Scan{ScanId: newID(), SeatId: unknown, EventId: event, StaffId: staff, Result: inventoryv1.ScanResult_NOT_FOUND}), "")
	wantCode(t, record(&inventoryv1.Scan{ScanId: newID(), PresentedSeatId: unknown, EventId: event, StaffId: staff, Result: inventoryv1.ScanResult_NOT_FOUND}), "")
	wantCode(t, record(&inventoryv1.Scan{ScanId: newID(), StaffId: staff, Result: inventoryv1.ScanResult_NOT_FOUND}), "") // unreadable

	page, err := s.ListScans(t.Context(), &inventoryv1.ListScansRequest{EventId: event, Page: 1, PerPage: 2})
	if err != nil {
		t.Fatal(err)
	}
	if page.Total != 3 || len(page.Scans) != 2 || page.Counts["WRONG_HALL"] != 1 || page.Counts["NOT_FOUND"] != 2 {
		t.Fatalf("page %v", page)
	}
	if top := page.Scans[0]; top.SeatId != "" || top.PresentedSeatId != unknown {
		t.Fatalf("newest first, an unknown seat as presented only: %v", top)
	}
	page, err = s.ListScans(t.Context(), &inventoryv1.ListScansRequest{EventId: event, Page: 1, PerPage: 2, Result: inventoryv1.ScanResult_WRONG_HALL})
	if err != nil {
		t.Fatal(err)
	}
	if page.Total != 1 || len(page.Scans) != 1 || page.Counts["NOT_FOUND"] != 2 {
		t.Fatalf("filtered page %v", page)
	}
	got := page.Scans[0]
	if got.ScanId != first.ScanId || got.SeatId != seat.SeatId || got.PresentedSeatId != seat.SeatId || got.StaffId != staff ||
		got.HallIdPresented != "H2" || got.HallIdExpected != "H1" || time.Since(got.ScannedAt.AsTime()) > time.Minute {
		t.Fatalf("logged %v", got)
	}
	if page, err = s.ListScans(t.Context(), &inventoryv1.ListScansRequest{EventId: event, Page: 2, PerPage: 2}); err != nil || len(page.Scans) != 1 {
		t.Fatalf("second page %v (%v)", page, err)
	}

	// Only the check-in logs SUCCESS; a text that the column cannot hold is the caller's error.
	wantCode(t, record(&inventoryv1.Scan{ScanId: newID(), SeatId: seat.SeatId, StaffId: staff, Result: inventoryv1.ScanResult_SUCCESS}), "VALIDATION_ERROR")
	wantCode(t, record(&inventoryv1.Scan{ScanId: newID(), SeatId: seat.SeatId, StaffId: staff}), "VALIDATION_ERROR")
	wantCode(t, record(&inventoryv1.Scan{ScanId: newID(), StaffId: staff, Result: inventoryv1.ScanResult_EXPIRED, HallIdPresented: strings.Repeat("é", 21)}), "VALIDATION_ERROR")
	wantCode(t, record(&inventoryv1.Scan{ScanId: newID(), StaffId: staff, Result: inventoryv1.ScanResult_EXPIRED, HallIdPresented: strings.Repeat("é", 20)}), "")
	for _, r := range []*inventoryv1.ListScansRequest{{EventId: event, PerPage: 1}, {EventId: event, Page: 1}, {EventId: event, Page: 1, PerPage: 201}} {
		_, err := s.ListScans(t.Context(), r)
		wantCode(t, err, "VALIDATION_ERROR")
	}
}

func TestRecordQR(t *testing.T) {
	s := inventorytest.Start(t)
	seats, owner, buyer := s.Hall(t, 2), newID(), newID()
	sold := seats[0].SeatId
	s.Buy(t, sold, owner)
	hash := make([]byte, 32)
	hash[0] = 0xab
	record := func(seat, user string, version int64, sum []byte) error {
		_, err := s.RecordQR(t.Context(), &inventoryv1.RecordQRRequest{SeatId: seat, UserId: user, OwnershipVersion: version, Sha256: sum})
		return err
	}
	kept := func() (hash *string) {
		t.Helper()
		if err := s.SQL.QueryRow(t.Context(), `SELECT qr_code_hash FROM seats WHERE seat_id = $1`, sold).Scan(&hash); err != nil {
			t.Fatal(err)
		}
		seat, err := s.GetSeatOwner(t.Context(), &inventoryv1.GetSeatOwnerRequest{SeatId: sold})
		if err != nil || seat.Seat.QrRecorded != (hash != nil) {
			t.Errorf("recorded: %v, %v; the column is %v", seat.GetSeat().GetQrRecorded(), err, hash)
		}
		return hash
	}
	wantCode(t, record(sold, buyer, 1, hash), "NOT_SEAT_OWNER")
	wantCode(t, record(sold, owner, 2, hash), "NOT_SEAT_OWNER")
	wantCode(t, record(seats[1].SeatId, owner, 1, hash), "NOT_SEAT_OWNER")
	wantCode(t, record(newID(), owner, 1, hash), "SEAT_NOT_FOUND")
	wantCode(t, record(sold, owner, 1, hash[:31]), "VALIDATION_ERROR")
	if kept() != nil {
		t.Fatal("a refused payload was kept")
	}
	wantCode(t, record(sold, owner, 1, hash), "")
	if h := kept(); h == nil || *h != "ab"+strings.Repeat("00", 31) {
		t.Fatalf("kept %v", h)
	}
	if _, err := s.UpdateOwner(t.Context(), &inventoryv1.UpdateOwnerRequest{SeatId: sold, ExpectedOwnerUserId: owner, NewOwnerUserId: buyer, OperationId: newID(), Cause: "TRANSFER"}); err != nil {
		t.Fatal(err)
	}
	if kept() != nil {
		t.Fatal("the former owner's payload was kept")
	}
	checkIn(t, s, sold, buyer, 2)
	wantCode(t, record(sold, buyer, 2, hash), "SEAT_UNAVAILABLE")
}
