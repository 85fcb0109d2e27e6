package httpapi_test

import (
	"testing"

	order "ticketremaster/order-service"
)

func (s *service) offer(user string) (string, error) {
	id := newID()
	return id, s.post("/offers", body{"offer_id": id, "user_id": user}, nil)
}

// refused makes n offers of the user's that are refused.
func (s *service) refused(user string, n int) {
	s.t.Helper()
	for range n {
		id, err := s.offer(user)
		s.must(err, s.post("/offers/"+id+"/refuse", body{}, nil))
	}
}

func TestRefusedOffersHaveALimit(t *testing.T) {
	s := start(t)
	user := newID()
	s.refused(user, order.MaxRefusedOffers)
	_, err := s.offer(user)
	want(t, err, "TOO_MANY_OFFERS")
	_, err = s.offer(newID()) // another user's are their own
	want(t, err, "")
	s.exec(`UPDATE offers SET created_at = created_at - interval '61 minutes'`)
	_, err = s.offer(user)
	want(t, err, "")
}

// An offer that became a transfer is no refusal; one that was never settled counts for a minute.
func TestWhatCountsAsRefused(t *testing.T) {
	s := start(t)
	b := newTransfer()
	user := b["initiated_by"].(string)
	s.must(s.post("/offers", body{"offer_id": b["transfer_id"], "user_id": user}, nil))
	s.initiate(b)
	s.must(s.post("/offers/"+b["transfer_id"].(string)+"/refuse", body{}, nil)) // too late to say so
	s.refused(user, order.MaxRefusedOffers-1)
	unsettled, err := s.offer(user)
	s.must(err, s.post("/offers", body{"offer_id": unsettled, "user_id": user}, nil)) // a repeat is the same offer
	_, err = s.offer(user)
	want(t, err, "TOO_MANY_OFFERS")
	s.exec(`UPDATE offers SET created_at = created_at - interval '61 seconds' WHERE outcome IS NULL`)
	_, err = s.offer(user)
	want(t, err, "")
}

// Concurrent offers are counted as in sequence.
func TestOffersAtOnceAreCounted(t *testing.T) {
	s := start(t)
	for range 20 {
		user, passed := newID(), 0
		for _, err := range atOnce(2*order.MaxRefusedOffers, func() error { _, err := s.offer(user); return err }) {
			if err == nil {
				passed++
			}
		}
		if passed != order.MaxRefusedOffers {
			t.Fatalf("%d offers at once passed, want %d", passed, order.MaxRefusedOffers)
		}
	}
}

func TestMalformedOffers(t *testing.T) {
	s := start(t)
	want(t, s.post("/offers", body{"offer_id": "x", "user_id": newID()}, nil), "INVALID_UUID")
	want(t, s.post("/offers", body{"offer_id": newID()}, nil), "VALIDATION_ERROR")
	want(t, s.post("/offers/x/refuse", body{}, nil), "INVALID_UUID")
}

// A refused offer is only in the list of the user who made it.
func TestRefusedOffersAreListedForTheirMaker(t *testing.T) {
	s := start(t)
	b := newTransfer().with(body{"status": "FAILED", "failure_reason": "NOT_SEAT_OWNER"})
	b = b.with(body{"initiated_by": b["buyer_user_id"]})
	if x := s.initiate(b); !x.Refused {
		t.Error("it does not say that it was refused")
	}
	for query, want := range map[string]int{
		"user_id=" + b["buyer_user_id"].(string):                   1,
		"user_id=" + b["buyer_user_id"].(string) + "&role=buyer":   1,
		"user_id=" + b["seller_user_id"].(string):                  0,
		"user_id=" + b["seller_user_id"].(string) + "&role=seller": 0,
	} {
		var list []order.Transfer
		s.must(s.get("/transfers?"+query, &list))
		if len(list) != want {
			t.Errorf("%s lists %d, want %d", query, len(list), want)
		}
	}
}
