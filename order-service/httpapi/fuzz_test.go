package httpapi

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/uuid"

	order "ticketremaster/order-service"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
)

// A decoder either refuses a body as the caller's mistake or returns something that the schema accepts.
func FuzzBodies(f *testing.F) {
	const id = `"0192aaaa-0000-7000-8000-000000000001"`
	order1 := `{"status":"CONFIRMED","order_id":` + id + `,"user_id":` + id + `,"seat_id":` + id + `,"event_id":` + id +
		`,"price":12.5,"held_until":"2027-12-31T20:00:00+08:00","attempt_id":` + id + `,"credits_charged":12.50}`
	transfer := `{"status":"FAILED","transfer_id":` + id + `,"seat_id":` + id + `,"event_id":` + id + `,"seller_user_id":` + id +
		`,"buyer_user_id":"0192aaaa-0000-7000-8000-000000000002","initiated_by":` + id + `,"credits_amount":0,"expires_at":"2027-12-31T20:00:00Z","failure_reason":"x"}`
	for _, seed := range []string{
		order1, transfer, strings.Replace(order1, "{", `{"booking_id":`+id+`,"more":[`+order1+`],`, 1), strings.ReplaceAll(order1, "12.5", "-12.5"), strings.ReplaceAll(order1, "12.5", "1e400"), strings.ReplaceAll(transfer, `"x"`, `"\u0000"`),
		`{"dispute_id":` + id + `,"by":` + id + `,"reason":"phished"}`, `{"dispute_id":{}}`, `{"reason":"\ud800"}`, `{"party":"seller"}`, `{"party":["seller"]}`,
		``, ` `, `null`, `[]`, `{}`, `{"status":`, `"x"`, "\xff", `{"price":null}`, `{"reason":"` + strings.Repeat("é", 600) + `"}`,
	} {
		f.Add(seed)
	}
	reason := func(t *testing.T, s string, most int) {
		if s == "" || utf8.RuneCountInString(s) > most || strings.ContainsRune(s, 0) || !utf8.ValidString(s) {
			t.Errorf("accepted the reason %q", s)
		}
	}
	amount := func(t *testing.T, c money.Cents) {
		if c < 0 || c > money.Max {
			t.Errorf("accepted the amount %s", c)
		}
	}
	f.Fuzz(func(t *testing.T, body string) {
		request := func() *http.Request { return httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body)) }
		if orders, payment, err := readOrders(request()); accepted(t, err) {
			for i, o := range orders {
				amount(t, o.Price)
				if o.ID == uuid.Nil || o.UserID == uuid.Nil || o.SeatID == uuid.Nil || o.EventID == uuid.Nil || payment != nil && payment.AttemptID == uuid.Nil {
					t.Errorf("accepted %+v, %+v", o, payment)
				}
				if payment != nil {
					amount(t, payment.CreditsCharged[i])
				}
			}
		}
		if x, err := readTransfer(request()); accepted(t, err) {
			amount(t, x.CreditsAmount)
			if x.SellerUserID == x.BuyerUserID || x.InitiatedBy != x.SellerUserID && x.InitiatedBy != x.BuyerUserID {
				t.Errorf("accepted %+v", x)
			}
			if x.FailureReason != "" {
				reason(t, x.FailureReason, maxFailureReason)
			}
		}
		if m, err := readDispute(request()); accepted(t, err) {
			reason(t, m.Reason, maxDisputeReason)
			if m.Operation == uuid.Nil || m.By == uuid.Nil {
				t.Errorf("accepted %+v", m)
			}
		}
		for address, read := range moves {
			m, err := read(request())
			if !accepted(t, err) {
				continue
			}
			switch m.Action {
			case order.Fail, order.AbortSwap:
				reason(t, m.Reason, maxFailureReason)
			case order.EndDispute, order.BeginReversal, order.AbortReversal, order.Reverse:
				if m.Operation == uuid.Nil {
					t.Errorf("%s accepted %+v", address, m)
				}
			}
		}
	})
}

func FuzzQueries(f *testing.F) {
	for _, seed := range []string{
		"", "user_id=0192aaaa-0000-7000-8000-000000000001&status=PENDING", "seat_id=x", "role=seller", "status=%00", "user_id=%zz", "user_id=a;b", "role=seller'--&user_id=0192aaaa-0000-7000-8000-000000000001",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		r := &http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/", RawQuery: query}}
		if x, err := readOrderFilter(r); accepted(t, err) && (x.UserID == nil && x.SeatID == nil && x.EventID == nil || x.Status != "" && !x.Status.Valid()) {
			t.Errorf("accepted %+v", x)
		}
		// The role becomes the name of a column.
		if x, err := readTransferFilter(r); accepted(t, err) && (x.UserID == nil && x.SeatID == nil || x.Role != "" && x.Role != "seller" && x.Role != "buyer") {
			t.Errorf("accepted %+v", x)
		}
	})
}

// accepted reports whether there is no error, and fails the test if the error is not the caller's mistake.
func accepted(t *testing.T, err error) bool {
	t.Helper()
	if err == nil {
		return true
	}
	if e := fault.From(err); e.Kind != fault.Invalid && e.Kind != fault.TooLarge {
		t.Errorf("malformed input is answered by %v", err)
	}
	return false
}
