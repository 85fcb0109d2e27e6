package e2e

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"ticketremaster/platform/money"
	"ticketremaster/stack/client"
)

// market posts to the marketplace.
func market(t *testing.T, by *client.Person, what string, body object) client.Answer {
	t.Helper()
	a, err := by.Post(t.Context(), "/marketplace/"+what, body)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// listed is a ticket that its owner offers for 5.50, which is at most what it cost.
func listed(t *testing.T, seller *client.Person) (seat, listing string) {
	t.Helper()
	seat = ticket(t, seller)
	a := must(t, market(t, seller, "list", object{"seat_id": seat, "asking_price": 5.50}), nil, http.StatusCreated)
	if listing = a.Text("listing_id"); !strings.Contains(a.Text("message"), listing) {
		t.Errorf("the page shows the message alone, and it does not have the number: %s", a.Data)
	}
	return seat, listing
}

// listingStatus reads one's own listing.
func listingStatus(t *testing.T, seller *client.Person, listing string) string {
	t.Helper()
	a, err := seller.Get(t.Context(), "/marketplace/listings/mine?per_page=100")
	var list []struct {
		ID     string `json:"listing_id"`
		Status string `json:"status"`
	}
	if err := must(t, a, err, http.StatusOK).Into(&list); err != nil {
		t.Fatal(err)
	}
	for _, l := range list {
		if l.ID == listing {
			return l.Status
		}
	}
	t.Fatalf("the seller does not have listing %s", listing)
	return ""
}

// The whole flow, as the web app runs it.
func TestAListingIsBoughtAndApproved(t *testing.T) {
	seller, buyer := person(t, 100_00), person(t, 10_00)
	seat, listing := listed(t, seller)
	guest := &client.Person{App: app, Access: "stale"}
	a, err := guest.Get(t.Context(), "/marketplace/listings?status=ACTIVE&per_page=100")
	var list []struct {
		ID      string      `json:"listing_id"`
		Price   money.Cents `json:"asking_price"`
		Status  string      `json:"status"`
		Seller  string      `json:"seller_user_id"`
		Created string      `json:"created_at"`
		Event   struct {
			Name string `json:"name"`
			Date string `json:"event_date"`
		} `json:"event"`
		Seat struct {
			Row    string `json:"row_number"`
			Number int    `json:"seat_number"`
		} `json:"seat"`
	}
	if err := must(t, a, err, http.StatusOK).Into(&list); err != nil || len(list) == 0 {
		t.Fatal(err, string(a.Raw))
	}
	if l := list[0]; l.ID != listing || l.Price != 5_50 || l.Status != "ACTIVE" || l.Seller != seller.ID || l.Event.Name == "" || l.Event.Date == "" || l.Seat.Row == "" || l.Seat.Number == 0 {
		t.Errorf("listed as %+v", list[0])
	}
	qr, before := qrOf(t, seller, seat), balance(t, seller)
	since := time.Now()
	b := must(t, market(t, buyer, "buy", object{"listing_id": listing}), nil, http.StatusOK)
	if b.Text("status") != "PENDING_TRANSFER" || b.Text("message") == "" {
		t.Errorf("bought: %s", b.Data)
	}
	expectBalances(t, seller, before, buyer, 4_50)
	must(t, market(t, buyer, "buy", object{"listing_id": listing}), nil, http.StatusOK) // a double click
	expectBalances(t, seller, before, buyer, 4_50)
	text := strings.Join(inbox(t, seller, since), " ")
	for _, part := range []string{listing, "5.50"} {
		if !strings.Contains(text, part) {
			t.Errorf("the seller is sent %q, without %s", text, part)
		}
	}
	// From the purchase to its end the ticket has no QR code and cannot be transferred in another way.
	none, err := seller.Get(t.Context(), "/tickets/"+seat+"/qr")
	refused(t, none, err, http.StatusConflict, "SEAT_UNAVAILABLE")
	private, err := seller.Post(t.Context(), "/transfer/initiate", map[string]any{"seat_id": seat, "seller_id": seller.ID, "buyer_id": buyer.ID, "credits_amount": 1})
	refused(t, private, err, http.StatusConflict, "TRANSFER_IN_PROGRESS")
	code, err := app.OTP(t.Context(), seller.Phone, since)
	if err != nil {
		t.Fatal(err)
	}
	refused(t, market(t, buyer, "approve", object{"listing_id": listing, "otp_code": code}), nil, http.StatusForbidden, "FORBIDDEN")
	for range 2 { // a wrong one arrives twice, and is one try
		refused(t, market(t, seller, "approve", object{"listing_id": listing, "otp_code": other(code)}), nil, http.StatusUnauthorized, "OTP_INVALID")
	}
	done := must(t, market(t, seller, "approve", object{"listing_id": listing, "otp_code": code}), nil, http.StatusOK)
	if done.Text("message") == "" || done.Text("new_owner_user_id") != buyer.ID {
		t.Errorf("approved: %s", done.Data)
	}
	expectBalances(t, seller, before+5_50, buyer, 4_50)
	if got := listingStatus(t, seller, listing); got != "COMPLETED" {
		t.Errorf("the listing is %s", got)
	}
	qrOf(t, buyer, seat)
	if got := scan(t, employee(t, "staff"), qr, "H1").Text("result"); got != "NOT_FOUND" {
		t.Errorf("the seller's QR after the sale: %s", got)
	}
	refused(t, market(t, seller, "approve", object{"listing_id": listing, "otp_code": code}), nil, http.StatusConflict, "LISTING_NOT_BOUGHT")
	must(t, act(t, buyer, "dispute", b.Text("transfer_id")), nil, http.StatusOK) // as after any transfer
}

func TestTwoHundredBuyersOneWins(t *testing.T) {
	seller := person(t, 100_00)
	_, listing := listed(t, seller)
	buyers := make([]*client.Person, 10)
	for i := range buyers {
		buyers[i] = person(t, 10_00)
	}
	var mu sync.Mutex
	won, late := map[string]bool{}, 0
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			b := buyers[i%len(buyers)]
			a, err := b.Post(t.Context(), "/marketplace/buy", object{"listing_id": listing})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				t.Error(err)
			case a.Status == http.StatusOK: // the winner's other clicks are answered the same
				won[b.ID] = true
			case a.Status == http.StatusAccepted: // told below
			case a.Status == http.StatusConflict && a.Code == "LISTING_UNAVAILABLE", a.Status == http.StatusTooManyRequests, a.Status == http.StatusServiceUnavailable:
				late++
			default:
				t.Errorf("%d %s", a.Status, a.Raw)
			}
		})
	}
	all.Wait()
	if len(won) > 1 {
		t.Errorf("%d buyers won, %d were late", len(won), late)
	}
	eventually(t, "one buyer has paid, and no other", func() bool {
		paid, whole := 0, 0
		for _, b := range buyers {
			switch balance(t, b) {
			case 4_50:
				paid++
			case 10_00:
				whole++
			}
		}
		return paid == 1 && whole == len(buyers)-1
	})
}

func TestWhatEndsAPurchase(t *testing.T) {
	seller, buyer := person(t, 100_00), person(t, 10_00)
	t.Run("the buyer withdraws", func(t *testing.T) {
		_, listing := listed(t, seller)
		must(t, market(t, buyer, "buy", object{"listing_id": listing}), nil, http.StatusOK)
		refused(t, market(t, seller, "withdraw", object{"listing_id": listing}), nil, http.StatusForbidden, "FORBIDDEN")
		must(t, market(t, buyer, "withdraw", object{"listing_id": listing}), nil, http.StatusOK)
		if got := listingStatus(t, seller, listing); got != "ACTIVE" || balance(t, buyer) != 10_00 {
			t.Errorf("the listing is %s, the buyer has %s", got, balance(t, buyer))
		}
		refused(t, market(t, buyer, "cancel", object{"listing_id": listing}), nil, http.StatusForbidden, "FORBIDDEN")
		must(t, market(t, seller, "cancel", object{"listing_id": listing}), nil, http.StatusOK)
		refused(t, market(t, buyer, "buy", object{"listing_id": listing}), nil, http.StatusConflict, "LISTING_UNAVAILABLE")
	})
	t.Run("three wrong codes", func(t *testing.T) {
		_, listing := listed(t, seller)
		since := time.Now()
		must(t, market(t, buyer, "buy", object{"listing_id": listing}), nil, http.StatusOK)
		code, err := app.OTP(t.Context(), seller.Phone, since)
		if err != nil {
			t.Fatal(err)
		}
		for i, wrong := range []string{other(code), other(other(code)), other(other(other(code)))} {
			a := market(t, seller, "approve", object{"listing_id": listing, "otp_code": wrong})
			if i == 2 {
				refused(t, a, nil, http.StatusTooManyRequests, "OTP_MAX_RETRIES")
			}
		}
		if got := listingStatus(t, seller, listing); got != "CANCELLED" || balance(t, buyer) != 10_00 {
			t.Errorf("the listing is %s, the buyer has %s", got, balance(t, buyer))
		}
	})
	t.Run("an earlier transfer is disputed", func(t *testing.T) {
		third := person(t, 10_00)
		seat := ticket(t, seller)
		first := handOver(t, seller, third, seat, 1_00)
		listing := must(t, market(t, third, "list", object{"seat_id": seat, "asking_price": 5}), nil, http.StatusCreated).Text("listing_id")
		must(t, market(t, buyer, "buy", object{"listing_id": listing}), nil, http.StatusOK)
		must(t, act(t, seller, "dispute", first), nil, http.StatusOK)
		if got := listingStatus(t, third, listing); got != "CANCELLED" || balance(t, buyer) != 10_00 {
			t.Errorf("the listing is %s, the buyer has %s", got, balance(t, buyer))
		}
	})
	t.Run("the buyer is short", func(t *testing.T) {
		seller := person(t, 100_00)
		_, listing := listed(t, seller)
		poor := person(t, 5_49)
		refused(t, market(t, poor, "buy", object{"listing_id": listing}), nil, http.StatusPaymentRequired, "INSUFFICIENT_CREDITS")
		if got := listingStatus(t, seller, listing); got != "ACTIVE" || balance(t, poor) != 5_49 {
			t.Errorf("the listing is %s, the buyer has %s", got, balance(t, poor))
		}
	})
}

// A purchase lapses if the seller does not answer in time, which is a day; here an orchestrator has a shorter one.
func TestASellerWhoIsSilent(t *testing.T) {
	if own == nil {
		return // a system that runs waits for a day
	}
	replica, err := own.Replica(t.Context(), "orchestrator-service", "MARKETPLACE_APPROVE_WITHIN=1s")
	if err != nil {
		t.Fatal(err)
	}
	addr, err := own.Addr(replica)
	if err != nil {
		t.Fatal(err)
	}
	seller, buyer := person(t, 100_00), person(t, 10_00)
	_, listing := listed(t, seller)
	hurried := *buyer
	hurried.App = &client.App{Gateway: "http://" + addr, Sandbox: app.Sandbox}
	must(t, market(t, &hurried, "buy", object{"listing_id": listing}), nil, http.StatusOK)
	eventually(t, "the purchase lapses", func() bool { return listingStatus(t, seller, listing) == "CANCELLED" })
	eventually(t, "the credits are back", func() bool { return balance(t, buyer) == 10_00 })
}

func TestContractOfTheMarketplace(t *testing.T) {
	seller, buyer := person(t, 100_00), person(t, 10_00)
	seat, listing := listed(t, seller)
	used, another := ticket(t, seller), ticket(t, seller)
	must(t, scan(t, employee(t, "staff"), qrOf(t, seller, used), "H1"), nil, http.StatusOK)
	play(t, map[string]string{"seat": seat, "used": used, "listing": listing, "free": nextSeat(t), "another": another}, []row{
		{by: seller, call: "POST /marketplace/list", body: object{"seat_id": "$seat", "asking_price": 5}, want: "409 ALREADY_LISTED"},
		{by: buyer, call: "POST /marketplace/list", body: object{"seat_id": "$seat", "asking_price": 5}, want: "403 NOT_SEAT_OWNER"},
		{by: seller, call: "POST /marketplace/list", body: object{"seat_id": "$free", "asking_price": 5}, want: "403 NOT_SEAT_OWNER"},
		{by: seller, call: "POST /marketplace/list", body: object{"seat_id": "$used", "asking_price": 5}, want: "409 SEAT_UNAVAILABLE"},
		{by: seller, call: "POST /marketplace/list", body: object{"seat_id": "A-1", "asking_price": 5}, want: "400 INVALID_UUID"},
		{by: seller, call: "POST /marketplace/list", body: object{"seat_id": "$another", "asking_price": 1000}, want: "400 VALIDATION_ERROR", reads: "^errors.asking_price"},
		{by: seller, call: "POST /marketplace/list", body: object{"seat_id": "$another", "asking_price": 0}, want: "400 VALIDATION_ERROR"},
		{by: seller, call: "POST /marketplace/list", body: object{"seat_id": "$seat"}, want: "400 VALIDATION_ERROR"},
		{by: buyer, call: "POST /marketplace/buy", body: object{"listing_id": "R-1001"}, want: "404 LISTING_NOT_FOUND", reads: "^message"},
		{by: buyer, call: "POST /marketplace/buy", body: object{}, want: "400 VALIDATION_ERROR"},
		{by: seller, call: "POST /marketplace/buy", body: object{"listing_id": "$listing"}, want: "400 SELF_TRANSFER"},
		{by: seller, call: "POST /marketplace/approve", body: object{"listing_id": "$listing", "otp_code": "123456"}, want: "409 LISTING_NOT_BOUGHT"},
		{by: seller, call: "POST /marketplace/approve", body: object{"listing_id": "$listing"}, want: "400 VALIDATION_ERROR"},
		{by: buyer, call: "POST /marketplace/withdraw", body: object{"listing_id": "$listing"}, want: "409 LISTING_NOT_BOUGHT"},
		{by: buyer, call: "GET /marketplace/listings?status=COMPLETED", want: "400 VALIDATION_ERROR"},
		{by: buyer, call: "GET /marketplace/listings?event_id=x", want: "400 INVALID_UUID"},
		{by: seller, call: "GET /marketplace/listings/mine", want: "200", reads: "[0].listing_id=$listing [0].asking_price=5.5 [0].status=ACTIVE ^pagination.total=1"},
		{by: buyer, call: "POST /marketplace/buy", body: object{"listing_id": "$listing"}, want: "200", reads: "status=PENDING_TRANSFER message"},
		{by: seller, call: "POST /marketplace/cancel", body: object{"listing_id": "$listing"}, want: "409 LISTING_UNAVAILABLE"},
		{by: buyer, call: "POST /marketplace/withdraw", body: object{"listing_id": "$listing"}, want: "200"},
		{by: seller, call: "POST /marketplace/cancel", body: object{"listing_id": "$listing"}, want: "200", reads: "status=CANCELLED"},
	})
}

// A high-risk buyer first confirms the purchase by one-time password, as in a purchase from the organiser.
func TestAHighRiskBuyerAtTheMarketplace(t *testing.T) {
	seller, buyer := person(t, 100_00), flag(t, person(t, 10_00))
	_, listing := listed(t, seller)
	since := time.Now()
	refused(t, market(t, buyer, "buy", object{"listing_id": listing}), nil, http.StatusPreconditionRequired, "OTP_REQUIRED")
	code, err := app.OTP(t.Context(), buyer.Phone, since)
	if err != nil {
		t.Fatal(err)
	}
	a, err := buyer.Post(t.Context(), "/verify-otp", object{"otp_code": code, "context": "marketplace", "reference_id": listing})
	must(t, a, err, http.StatusOK)
	must(t, market(t, buyer, "buy", object{"listing_id": listing}), nil, http.StatusOK)
}
