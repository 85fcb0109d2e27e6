package httpapi_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	order "ticketremaster/order-service"
)

func newListing() body {
	return body{
		"listing_id": newID(), "seat_id": newID(), "event_id": newID(), "seller_user_id": newID(), "asking_price": 80.5,
		"check_from": time.Now().Add(24 * time.Hour).UTC(),
	}
}

// listed records a listing.
func (s *service) listed(changes ...body) body {
	s.t.Helper()
	b := newListing()
	for _, c := range changes {
		b = b.with(c)
	}
	s.must(s.post("/listings", b, nil))
	return b
}

// purchase is who buys and under which transfer.
func purchase() body {
	return body{"transfer_id": newID(), "buyer_user_id": newID(), "expires_at": time.Now().Add(24 * time.Hour).UTC()}
}

func (s *service) buy(b, p body) error { return s.onListing(b, "buy", p) }

func (s *service) abortBuy(b, p body, reason string) error {
	return s.onListing(b, "abort-buy", p.with(body{"reason": reason}))
}

func (s *service) onListing(b body, address string, in body) error {
	return s.post("/listings/"+b["listing_id"].(string)+"/"+address, in, nil)
}

// wantListing fails the test unless the listing has that status, and that reason for its end.
func (s *service) wantListing(b body, status order.ListingStatus, reason string) {
	s.t.Helper()
	var l order.Listing
	s.must(s.get("/listings/"+b["listing_id"].(string), &l))
	got := ""
	if l.EndReason != nil {
		got = *l.EndReason
	}
	if l.Status != status || got != reason {
		s.t.Errorf("the listing is %s %q, want %s %q", l.Status, got, status, reason)
	}
}

func TestAListingIsSold(t *testing.T) {
	s := start(t)
	b, p := s.listed(), purchase()
	s.must(s.post("/listings", b, nil)) // a repeat
	s.wantListing(b, order.Active, "")
	s.must(s.buy(b, p), s.buy(b, p)) // and its repeat
	s.wantListing(b, order.PendingTransfer, "")
	x := s.transferOf(p)
	if x.Status != order.PendingOTP || !x.BuyerOTPVerified || x.SellerOTPVerified || x.CreditsAmount != 80_50 || x.ListingID == nil ||
		x.BuyerUserID.String() != p["buyer_user_id"] || x.SellerUserID.String() != b["seller_user_id"] || x.InitiatedBy != x.BuyerUserID {
		t.Errorf("the transfer is %+v", x)
	}
	want(t, s.buy(b, purchase()), "LISTING_UNAVAILABLE")
	want(t, s.onListing(b, "end", body{"reason": "x"}), "LISTING_UNAVAILABLE")
	want(t, s.post("/transfers", newTransfer().with(body{"seat_id": b["seat_id"]}), nil), "TRANSFER_IN_PROGRESS")
	want(t, s.act(p, "begin-swap"), "TRANSFER_INVALID_STATE") // the seller has not approved
	s.must(s.act(p, "otp-verified", "party", "seller"), s.act(p, "begin-swap"))
	want(t, s.abortBuy(b, p, order.BuyerWithdrew), "TRANSFER_INVALID_STATE")
	s.must(s.act(p, "complete"))
	s.wantListing(b, order.Sold, "")
	s.must(s.dispute(p.with(body{"buyer_user_id": p["buyer_user_id"]}), newID())) // as any transfer
}

// How a listing's transfer ends decides whether the listing is active again.
func TestWhatBecomesOfAListingWhosePurchaseFails(t *testing.T) {
	s := start(t)
	for _, c := range []struct {
		reason, end string
		status      order.ListingStatus
	}{
		{order.BuyerWithdrew, "", order.Active},
		{order.BuyerIsShort, "", order.Active},
		{"OTP_MAX_RETRIES", "OTP_MAX_RETRIES", order.Cancelled},
		{"EXPIRED", "EXPIRED", order.Cancelled},
		{"SEAT_UNAVAILABLE", "SEAT_UNAVAILABLE", order.Cancelled},
	} {
		for _, address := range []string{"fail", "abort-swap"} {
			b, p := s.listed(), purchase()
			s.must(s.buy(b, p), s.act(p, address, "reason", c.reason))
			s.wantListing(b, c.status, c.end)
			want(t, s.buy(b, p), "LISTING_UNAVAILABLE") // under its id never again
			if c.status == order.Active {
				s.must(s.buy(b, purchase()))
			}
		}
	}
}

func TestAPurchaseThatIsUndone(t *testing.T) {
	s := start(t)
	b, p := s.listed(), purchase()
	s.must(s.buy(b, p), s.abortBuy(b, p, order.BuyerIsShort), s.abortBuy(b, p, order.BuyerIsShort))
	s.wantListing(b, order.Active, "")
	if x := s.transferOf(p); x.Status != order.TransferFailed || !x.Refused {
		t.Errorf("the seller, who was never asked, sees %+v", x)
	}
	other := purchase() // undone for whatever reason, it is for sale again: the seller was never asked
	s.must(s.buy(b, other), s.abortBuy(b, other, "LISTING_UNAVAILABLE"))
	s.wantListing(b, order.Active, "")
	late := purchase() // undone before it came
	s.must(s.abortBuy(b, late, "USER_NOT_FOUND"))
	want(t, s.buy(b, late), "LISTING_UNAVAILABLE")
	s.wantListing(b, order.Active, "")
}

func TestFiftyBuyersOneWins(t *testing.T) {
	s := start(t)
	b, won := s.listed(), 0
	for _, err := range atOnce(50, func() error { return s.buy(b, purchase()) }) {
		switch {
		case err == nil:
			won++
		default:
			want(t, err, "LISTING_UNAVAILABLE")
		}
	}
	if won != 1 {
		t.Errorf("%d buyers won", won)
	}
}

func TestWhatCannotBeListedOrBought(t *testing.T) {
	s := start(t)
	b := s.listed()
	want(t, s.post("/listings", newListing().with(body{"seat_id": b["seat_id"]}), nil), "ALREADY_LISTED")
	for _, state := range []string{"INITIATED", "PENDING_OTP", "DISPUTED"} {
		x := s.reach(newTransfer(), state)
		want(t, s.post("/listings", newListing().with(body{"seat_id": x["seat_id"]}), nil), "TRANSFER_IN_PROGRESS")
	}
	want(t, s.buy(b, purchase().with(body{"buyer_user_id": b["seller_user_id"]})), "LISTING_UNAVAILABLE")
	s.initiate(newTransfer().with(body{"seat_id": b["seat_id"]}))
	want(t, s.buy(b, purchase()), "TRANSFER_IN_PROGRESS")
	s.wantListing(b, order.Active, "")
	want(t, s.buy(newListing(), purchase()), "LISTING_NOT_FOUND")
	wantField(t, s.post("/listings", newListing().with(body{"asking_price": 0}), nil), "asking_price")
	wantField(t, s.post("/listings", newListing().with(body{"asking_price": -1}), nil), "asking_price")
	wantField(t, s.post("/listings", newListing().with(body{"check_from": nil}), nil), "check_from")
}

// A listing ends when its ticket is transferred in another way or disputed; one that is bought ends with its transfer.
func TestAListingEndsWithTheOwnership(t *testing.T) {
	s := start(t)
	for state, reason := range map[string]string{"COMPLETED": "TICKET_COMPLETED", "DISPUTED": "TICKET_DISPUTED", "REVERSED": "TICKET_DISPUTED"} {
		x := newTransfer()
		b := newListing().with(body{"seat_id": x["seat_id"]})
		if state == "COMPLETED" { // listed while nothing is live, then handed on in private
			s.must(s.post("/listings", b, nil))
			s.reach(x, state)
		} else {
			s.reach(x, "COMPLETED")
			s.must(s.post("/listings", b, nil), s.dispute(x, theDispute))
		}
		s.wantListing(b, order.Cancelled, reason)
	}
	x := s.reach(newTransfer(), "COMPLETED")
	b, p := s.listed(body{"seat_id": x["seat_id"], "seller_user_id": x["buyer_user_id"]}), purchase()
	s.must(s.buy(b, p))
	var answer struct{ Cancelled *order.Transfer }
	s.must(s.post("/transfers/"+x["transfer_id"].(string)+"/dispute", body{"dispute_id": newID(), "by": x["seller_user_id"], "reason": "x"}, &answer))
	if answer.Cancelled == nil || answer.Cancelled.ListingID == nil || answer.Cancelled.ListingID.String() != b["listing_id"] {
		t.Errorf("it does not tell that credits are in escrow: %+v", answer.Cancelled)
	}
	s.wantListing(b, order.Cancelled, "an earlier transfer of this ticket is disputed")
}

func TestListingsAreEnded(t *testing.T) {
	s := start(t)
	b := s.listed()
	other := s.listed(body{"event_id": b["event_id"]})
	s.must(s.onListing(b, "end", body{"reason": "SELLER"}), s.onListing(b, "end", body{"reason": "again"}))
	s.wantListing(b, order.Cancelled, "SELLER")
	var ended struct{ Ended int }
	s.must(s.post("/listings/end", body{"event_id": b["event_id"], "reason": "EVENT_CANCELLED"}, &ended))
	if ended.Ended != 1 {
		t.Errorf("%d were ended", ended.Ended)
	}
	s.wantListing(other, order.Cancelled, "EVENT_CANCELLED")
}

func TestListingsToCheck(t *testing.T) {
	s := start(t)
	s.listed()
	due := s.listed(body{"check_from": time.Now().Add(-time.Second).UTC()})
	check := func() (ids []string) {
		var list []order.Listing
		s.must(s.post("/listings/check?limit=10", body{}, &list))
		for _, l := range list {
			ids = append(ids, l.ID.String())
		}
		return ids
	}
	if got := check(); got != nil {
		t.Errorf("just made, it is looked at: %v", got)
	}
	s.exec(`UPDATE listings SET checked_at = checked_at - interval '31 seconds'`)
	if got := check(); !slices.Equal(got, []string{due["listing_id"].(string)}) {
		t.Errorf("looked at %v", got)
	}
	if got := check(); got != nil {
		t.Errorf("looked at twice: %v", got)
	}
}

func TestListOfListings(t *testing.T) {
	s := start(t)
	b := s.listed()
	sold := s.listed(body{"event_id": b["event_id"]})
	s.must(s.buy(sold, purchase()))
	for query, want := range map[string]int{
		"": 2, "?status=ACTIVE": 1, "?status=active": 1, "?status=PENDING_TRANSFER": 1, "?status=COMPLETED": 0,
		"?event_id=" + b["event_id"].(string): 2, "?event_id=" + newID(): 0, "?seller_user_id=" + b["seller_user_id"].(string): 1, "?per_page=1": 1,
		"?seat_id=" + b["seat_id"].(string): 1,
	} {
		var list []order.Listing
		s.must(s.get("/listings"+query, &list))
		if len(list) != want {
			t.Errorf("%q lists %d, want %d", query, len(list), want)
		}
	}
	wantField(t, s.get("/listings?status=NEW", nil), "status")
}

func TestSchemaGuardsListings(t *testing.T) {
	s := start(t)
	active, bought, cancelled := s.listed(), s.listed(), s.listed()
	s.must(s.buy(bought, purchase()), s.onListing(cancelled, "end", body{"reason": "x"}))
	for _, change := range []string{"seat_id = gen_random_uuid()", "seller_user_id = gen_random_uuid()", "asking_price = 1", "event_id = gen_random_uuid()"} {
		s.refuses("listings_immutable", `UPDATE listings SET `+change+` WHERE listing_id = $1`, active["listing_id"])
	}
	for _, status := range []string{"ACTIVE", "PENDING_TRANSFER", "COMPLETED"} {
		s.refuses("listings_transition", fmt.Sprintf(`UPDATE listings SET status = '%s', end_reason = NULL WHERE listing_id = $1`, status), cancelled["listing_id"])
	}
	s.refuses("listings_transition", `UPDATE listings SET status = 'COMPLETED' WHERE listing_id = $1`, active["listing_id"])
	s.refuses("listings_transfer_if_bought", `UPDATE listings SET transfer_id = NULL WHERE listing_id = $1`, bought["listing_id"])
	s.refuses("listings_never_deleted", `DELETE FROM listings`)
}
