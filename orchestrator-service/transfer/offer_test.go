package transfer

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

func (w *world) offer(by, seller, buyer uuid.UUID, amount money.Cents) (clients.Transfer, error) {
	return w.Initiate(w.t.Context(), by, Offer{SeatID: w.seatID(), Seller: seller.String(), Buyer: buyer.String(), Amount: amount})
}

func want(t *testing.T, err error, code string) {
	t.Helper()
	if got := fault.Code(err); got != code {
		t.Fatalf("got %q (%v), want %q", got, err, code)
	}
}

func TestAnOfferAsksBothParties(t *testing.T) {
	w := newWorld(t)
	seller, buyer := w.parties(50_00)
	x, err := w.Initiate(t.Context(), seller, Offer{SeatID: w.seatID(), Seller: "Seller@Example.com", Buyer: buyer.String(), Amount: 20_00})
	want(t, err, "")
	if x.Status != clients.TransferPendingOTP || x.SellerUserID != seller || x.BuyerUserID != buyer || x.InitiatedBy != seller || x.EventID != w.event.EventID {
		t.Errorf("the transfer is %+v", x)
	}
	if len(w.sent) != 2 || w.refused[seller] != 0 {
		t.Fatalf("%d were asked, %d refusals counted", len(w.sent), w.refused[seller])
	}
	for _, c := range w.sent {
		if !strings.Contains(c.Message, "seat A1, Matinee for 20.00 credits") || c.ReferenceID != x.TransferID {
			t.Errorf("asked %+v", c)
		}
		// The party that did not begin is protected from the one that did.
		if protected := c.CounterpartyID != uuid.Nil; protected != (c.UserID == buyer) {
			t.Errorf("counterparty of %s: %s", c.Message, c.CounterpartyID)
		}
	}
}

// What each party learns of a refusal, and that it is counted.
func TestWhatARefusedOfferTells(t *testing.T) {
	type side string
	const bySeller, byBuyer, byStranger side = "seller", "buyer", "stranger"
	for name, c := range map[string]struct {
		by       side
		change   func(w *world)
		offer    func(o *Offer)
		code     string
		recorded bool // as FAILED, for who made it
	}{
		"a stranger's":                  {by: byStranger, code: "FORBIDDEN"},
		"to oneself":                    {by: bySeller, offer: func(o *Offer) { o.Buyer = o.Seller }, code: "SELF_TRANSFER"},
		"of no seat":                    {by: bySeller, offer: func(o *Offer) { o.SeatID = uuid.New() }, code: "SEAT_NOT_FOUND"},
		"to nobody":                     {by: bySeller, offer: func(o *Offer) { o.Buyer = "nobody@example.com" }, code: "USER_NOT_FOUND"},
		"from nobody":                   {by: byBuyer, offer: func(o *Offer) { o.Seller = uuid.NewString() }, code: "USER_NOT_FOUND"},
		"to who is not verified":        {by: bySeller, change: func(w *world) { w.find("buyer").IsVerified = false }, code: "USER_NOT_FOUND"},
		"of a ticket one does not have": {by: bySeller, change: func(w *world) { w.seat.OwnerUserId = uuid.NewString() }, code: "NOT_SEAT_OWNER", recorded: true},
		"of a seat nobody has":          {by: bySeller, change: func(w *world) { w.seat.OwnerUserId, w.seat.Status = "", inventoryv1.SeatStatus_AVAILABLE }, code: "NOT_SEAT_OWNER", recorded: true},
		"of one's used ticket":          {by: bySeller, change: func(w *world) { w.seat.Status = inventoryv1.SeatStatus_CHECKED_IN }, code: "SEAT_UNAVAILABLE"},
		// The buyer gets the same answer whoever has the ticket, and whatever was done with it.
		"for another's ticket":     {by: byBuyer, change: func(w *world) { w.seat.OwnerUserId = uuid.NewString() }, code: "NOT_SEAT_OWNER", recorded: true},
		"for a free seat":          {by: byBuyer, change: func(w *world) { w.seat.OwnerUserId, w.seat.Status = "", inventoryv1.SeatStatus_AVAILABLE }, code: "NOT_SEAT_OWNER", recorded: true},
		"for a held seat":          {by: byBuyer, change: func(w *world) { w.seat.OwnerUserId, w.seat.Status = "", inventoryv1.SeatStatus_HELD }, code: "NOT_SEAT_OWNER", recorded: true},
		"for a used ticket":        {by: byBuyer, change: func(w *world) { w.seat.Status = inventoryv1.SeatStatus_CHECKED_IN }, code: "NOT_SEAT_OWNER", recorded: true},
		"beyond one's own credits": {by: byBuyer, change: func(w *world) { w.find("buyer").CreditBalance = 19_99 }, code: "INSUFFICIENT_CREDITS", recorded: true},
		"beyond them, for a free one": {by: byBuyer, change: func(w *world) {
			w.find("buyer").CreditBalance, w.seat.OwnerUserId = 19_99, ""
		}, code: "INSUFFICIENT_CREDITS", recorded: true},
		"of an event that is over": {by: bySeller, change: func(w *world) { w.event.EndsAt = time.Now() }, code: "EVENT_ENDED"},
		"of what is in transfer": {by: bySeller, change: func(w *world) {
			w.transfers[uuid.New()] = &clients.Transfer{Status: clients.TransferPendingOTP}
		}, code: "TRANSFER_IN_PROGRESS"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			seller, buyer := w.parties(50_00)
			caller := map[side]uuid.UUID{bySeller: seller, byBuyer: buyer, byStranger: w.person("third@example.com", 0)}[c.by]
			o := Offer{SeatID: w.seatID(), Seller: seller.String(), Buyer: buyer.String(), Amount: 20_00}
			if c.change != nil {
				c.change(w)
			}
			if c.offer != nil {
				c.offer(&o)
			}
			before := len(w.transfers)
			_, err := w.Initiate(t.Context(), caller, o)
			want(t, err, c.code)
			if w.refused[caller] != 1 || len(w.sent) != 0 {
				t.Errorf("%d refusals counted, %d people asked", w.refused[caller], len(w.sent))
			}
			if recorded := len(w.transfers) > before; recorded != c.recorded {
				t.Fatalf("recorded: %v", recorded)
			}
			if !c.recorded {
				return
			}
			id := clients.ID(fault.From(err).Details["transfer_id"])
			if _, err := w.TransferOf(t.Context(), caller, false, id); err != nil {
				t.Errorf("who made it cannot read it: %v", err)
			}
			other := map[side]uuid.UUID{bySeller: buyer, byBuyer: seller}[c.by]
			_, err = w.TransferOf(t.Context(), other, false, id)
			want(t, err, "TRANSFER_NOT_FOUND")
			if _, err := w.TransferOf(t.Context(), other, true, id); err != nil {
				t.Errorf("an administrator cannot read it: %v", err)
			}
		})
	}
}

// find returns the user whose e-mail address begins so.
func (w *world) find(name string) *clients.User {
	for _, u := range w.users {
		if strings.HasPrefix(u.Email, name) {
			return u
		}
	}
	w.t.Fatalf("there is no %s", name)
	return nil
}

// A seller does not learn the buyer's credits: the offer is made whatever they are.
func TestAnOfferDoesNotTellTheBuyersBalance(t *testing.T) {
	w := newWorld(t)
	seller, buyer := w.parties(5_00)
	if _, err := w.offer(seller, seller, buyer, 999_00); err != nil {
		t.Errorf("the seller learns that the buyer is short: %v", err)
	}
}

func TestOffersHaveALimit(t *testing.T) {
	w := newWorld(t)
	seller, buyer := w.parties(50_00)
	w.fail("begin-offer", failure{err: fault.New(fault.TooMany, "TOO_MANY_OFFERS", "Too many of your offers were refused")})
	_, err := w.offer(buyer, seller, buyer, 20_00)
	want(t, err, "TOO_MANY_OFFERS")
	// A refusal that cannot be counted is not disclosed.
	w.seat.OwnerUserId = uuid.NewString()
	w.fail("refuse-offer", failure{err: unreachable})
	_, err = w.offer(buyer, seller, buyer, 20_00)
	want(t, err, fault.CodeUnavailable)
}

// Nothing is counted, recorded or sent when a service does not answer.
func TestAnOfferInAnOutage(t *testing.T) {
	for _, call := range []string{"begin-offer", "lookup", "ticket", "create"} {
		w := newWorld(t)
		seller, buyer := w.parties(50_00)
		w.fail(call, failure{err: unreachable})
		_, err := w.offer(seller, seller, buyer, 20_00)
		want(t, err, fault.CodeUnavailable)
		if w.refused[seller] != 0 || len(w.sent) != 0 || len(w.transfers) != 0 {
			t.Errorf("%s: %d refusals counted, %d asked, %d recorded", call, w.refused[seller], len(w.sent), len(w.transfers))
		}
	}
}

// If one party's code cannot be sent, the offer fails, the caller learns why, and the other's code is void.
func TestAnOfferWhosePartiesCannotBeAsked(t *testing.T) {
	w := newWorld(t)
	seller, buyer := w.parties(50_00)
	w.fail("send-otp", failure{err: fault.New(fault.TooMany, fault.CodeRateLimited, "Too many codes")})
	x, err := w.offer(seller, seller, buyer, 20_00)
	want(t, err, fault.CodeRateLimited)
	if got := w.transfers[x.TransferID]; got.Status != clients.TransferFailed || got.FailureReason != "OTP_NOT_SENT" {
		t.Errorf("it is %+v", got)
	}
	if len(w.codes) != 0 {
		t.Errorf("codes are still live: %v", w.codes)
	}
}
