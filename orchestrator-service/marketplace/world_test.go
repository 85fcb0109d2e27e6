package marketplace

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/orchestrator-service/saga/sagatest"
	"ticketremaster/orchestrator-service/tickets"
	"ticketremaster/orchestrator-service/transfer"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
	"ticketremaster/platform/web"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// world has every collaborator of the marketplace in memory.
type world struct {
	flows     *Flows
	t         *testing.T
	mu        sync.Mutex
	listings  map[uuid.UUID]*clients.Listing
	transfers map[uuid.UUID]*clients.Transfer
	credits   map[uuid.UUID]money.Cents
	escrow    map[uuid.UUID]money.Cents
	payer     map[uuid.UUID]uuid.UUID
	voided    map[string]bool
	seat      *inventoryv1.Seat
	event     clients.Event
	risk      clients.Risk
	sent      []clients.Challenge
	failing   map[string][]failure
	calls     map[string]int
}

// failure is how one call fails: it is refused, its answer is lost, or it never arrives.
type failure struct {
	err  error
	lost bool // after it was done
}

var (
	unreachable = fault.Unreachable("the service", nil)
	refusal     = fault.New(fault.Conflict, "REFUSED_IN_TEST", "No")
)

// newWorld returns a world with a seller who has a ticket that cost 80 credits, and its flows.
func newWorld(t *testing.T) (w *world, seller uuid.UUID) {
	t.Helper()
	seller = uuid.New()
	w = &world{
		t: t, listings: map[uuid.UUID]*clients.Listing{}, transfers: map[uuid.UUID]*clients.Transfer{}, credits: map[uuid.UUID]money.Cents{seller: 0},
		escrow: map[uuid.UUID]money.Cents{}, payer: map[uuid.UUID]uuid.UUID{}, voided: map[string]bool{}, failing: map[string][]failure{}, calls: map[string]int{},
	}
	w.event = clients.Event{EventID: uuid.New(), Name: "Matinee", Status: clients.EventPublished, EventDate: time.Now().Add(48 * time.Hour), EndsAt: time.Now().Add(52 * time.Hour)}
	w.seat = &inventoryv1.Seat{
		SeatId: uuid.NewString(), EventId: w.event.EventID.String(), Status: inventoryv1.SeatStatus_SOLD, OwnerUserId: seller.String(),
		PricePaidCents: 80_00, RowNumber: "A", SeatNumber: 1,
	}
	w.flows = &Flows{Settings: Settings{ApproveWithin: time.Hour}, Listings: w, Users: w, Tickets: w, Transfers: w}
	w.flows.Register(saga.NewEngine(sagatest.NewLog(), ""))
	return w, seller
}

func (w *world) buyer(credits money.Cents) uuid.UUID {
	w.mu.Lock()
	defer w.mu.Unlock()
	id := uuid.New()
	w.credits[id] = credits
	return id
}

func (w *world) seatID() uuid.UUID { return clients.ID(w.seat.SeatId) }

// listed lists the ticket for 80 credits.
func (w *world) listed(seller uuid.UUID) clients.Listing {
	w.t.Helper()
	l, err := w.flows.List(w.t.Context(), seller, w.seatID(), 80_00)
	if err != nil {
		w.t.Fatal(err)
	}
	return l
}

func (w *world) fail(call string, f ...failure) { w.failing[call] = append(w.failing[call], f...) }

func (w *world) call(name string, do func() error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls[name]++
	var f failure
	if waiting := w.failing[name]; len(waiting) > 0 {
		f, w.failing[name] = waiting[0], waiting[1:]
	}
	if f.err != nil && !f.lost {
		return f.err
	}
	if err := do(); err != nil {
		return err
	}
	return f.err
}

// ── the order service ──

func (w *world) List(_ context.Context, l clients.Listing) (clients.Listing, error) {
	err := w.call("list", func() error {
		l.Status = clients.ListingActive
		w.listings[l.ListingID] = &l
		return nil
	})
	return l, err
}

func (w *world) Listing(_ context.Context, id uuid.UUID) (l clients.Listing, err error) {
	err = w.call("listing", func() error {
		found, ok := w.listings[id]
		if !ok {
			return errNotFound
		}
		l = *found
		return nil
	})
	return l, err
}

func (w *world) all(f clients.ListingFilter) (list []clients.Listing) {
	for _, l := range w.listings {
		if (f.Status == "" || f.Status == l.Status) && (f.SellerUserID == uuid.Nil || f.SellerUserID == l.SellerUserID) {
			list = append(list, *l)
		}
	}
	return list
}

func (w *world) Listings(_ context.Context, f clients.ListingFilter, _ web.Page) (list []clients.Listing, total int, err error) {
	err = w.call("listings", func() error { list = w.all(f); return nil })
	return list, len(list), err
}

func (w *world) ListingsToCheck(context.Context, int) (list []clients.Listing, err error) {
	err = w.call("check", func() error { list = w.all(clients.ListingFilter{Status: clients.ListingActive}); return nil })
	return list, err
}

func (w *world) ClaimListing(_ context.Context, id uuid.UUID, c clients.Claim) error {
	return w.call("claim", func() error {
		l := w.listings[id]
		switch {
		case w.transfers[c.TransferID] != nil && w.transfers[c.TransferID].Status != clients.TransferFailed:
			return nil
		case l.Status != clients.ListingActive || w.voided["claim "+c.TransferID.String()]:
			return errUnavailable
		}
		l.Status, l.TransferID = clients.ListingPendingTransfer, &c.TransferID
		w.transfers[c.TransferID] = &clients.Transfer{
			TransferID: c.TransferID, SeatID: l.SeatID, SellerUserID: l.SellerUserID, BuyerUserID: c.BuyerUserID, CreditsAmount: l.AskingPrice,
			Status: clients.TransferPendingOTP, BuyerOTPVerified: true, ListingID: &l.ListingID, ExpiresAt: c.ExpiresAt,
		}
		return nil
	})
}

func (w *world) UnclaimListing(_ context.Context, id uuid.UUID, c clients.Claim) error {
	return w.call("unclaim", func() error {
		w.voided["claim "+c.TransferID.String()] = true
		t := w.transfers[c.TransferID]
		if t == nil || t.Status == clients.TransferFailed {
			return nil
		}
		if t.Swapping {
			return fault.New(fault.Conflict, fault.CodeTransferInvalidState, "Past that")
		}
		t.Status, w.listings[id].Status = clients.TransferFailed, clients.ListingActive
		return nil
	})
}

// end fails a transfer and updates its listing.
func (w *world) end(t *clients.Transfer, reason string) {
	t.Status, t.FailureReason = clients.TransferFailed, reason
	l := w.listings[*t.ListingID]
	l.Status = clients.ListingCancelled
	if reason == "WITHDRAWN" || reason == fault.CodeInsufficientCredits {
		l.Status = clients.ListingActive
	}
}

func (w *world) EndListing(_ context.Context, id uuid.UUID, reason string) (l clients.Listing, err error) {
	err = w.call("end", func() error {
		found := w.listings[id]
		if found.Status == clients.ListingActive {
			found.Status, found.EndReason = clients.ListingCancelled, reason
		}
		l = *found
		if l.Status != clients.ListingCancelled {
			return errUnavailable
		}
		return nil
	})
	return l, err
}

func (w *world) Transfer(_ context.Context, id uuid.UUID) (t clients.Transfer, err error) {
	err = w.call("transfer", func() error { t = *w.transfers[id]; return nil })
	return t, err
}

// ── the user service ──

func (w *world) User(_ context.Context, id uuid.UUID) (u clients.User, err error) {
	err = w.call("user", func() error {
		u = clients.User{UserID: id, Email: "buyer@example.com", CreditBalance: w.credits[id]}
		return nil
	})
	return u, err
}

func (w *world) Risk(context.Context, uuid.UUID, uuid.UUID) (r clients.Risk, err error) {
	err = w.call("risk", func() error { r = w.risk; return nil })
	return r, err
}

func (w *world) Book(_ context.Context, path string, b clients.Booking) (booked clients.Booked, err error) {
	id := b.OperationID
	err = w.call(path, func() error {
		void := "escrow " + id.String()
		_, done := w.payer[id]
		switch {
		case path == clients.EscrowReturn:
			if done && !w.voided[void] {
				w.credits[w.payer[id]] += w.escrow[id]
				delete(w.escrow, id)
			}
			w.voided[void] = true
		case w.voided[void]:
			return fault.New(fault.Conflict, "OPERATION_VOIDED", "Undone")
		case done:
		case w.credits[b.UserID] < b.Amount:
			return fault.New(fault.PaymentRequired, fault.CodeInsufficientCredits, "You do not have enough credits")
		default:
			w.credits[b.UserID] -= b.Amount
			w.escrow[id], w.payer[id] = b.Amount, b.UserID
		}
		return nil
	})
	return booked, err
}

func (w *world) SendOTP(_ context.Context, c clients.Challenge) error {
	return w.call("send-otp", func() error { w.sent = append(w.sent, c); return nil })
}

func (w *world) VerifyOTP(_ context.Context, _ uuid.UUID, purpose string, _ uuid.UUID, code string, _ uuid.UUID) error {
	return w.call("verify-otp", func() error {
		if purpose != clients.PurposePurchase || code != "123456" {
			return fault.New(fault.Unauthenticated, "OTP_INVALID", "Wrong")
		}
		w.risk.OTPVerified = true
		return nil
	})
}

// ── tickets and transfers ──

func (w *world) Ticket(context.Context, uuid.UUID) (t tickets.Ticket, err error) {
	err = w.call("ticket", func() error { t = tickets.Ticket{Seat: w.seat, Event: w.event}; return nil })
	return t, err
}

func (w *world) OfSeats(_ context.Context, seats []uuid.UUID) (found map[uuid.UUID]tickets.Ticket, err error) {
	err = w.call("seats", func() error {
		found = map[uuid.UUID]tickets.Ticket{}
		if slices.Contains(seats, w.seatID()) {
			found[w.seatID()] = tickets.Ticket{Seat: w.seat, Event: w.event}
		}
		return nil
	})
	return found, err
}

func (w *world) ConfirmTransfer(_ context.Context, caller, id uuid.UUID, sellerOTP, buyerOTP string) (out transfer.Outcome, err error) {
	err = w.call("confirm", func() error {
		t := w.transfers[id]
		if caller != t.SellerUserID || sellerOTP != "123456" || buyerOTP != "" {
			return fault.New(fault.Unauthenticated, "OTP_INVALID", "Wrong")
		}
		w.credits[t.SellerUserID] += w.escrow[id]
		delete(w.escrow, id)
		t.Status, w.listings[*t.ListingID].Status, w.seat.OwnerUserId = clients.TransferCompleted, clients.ListingCompleted, t.BuyerUserID.String()
		out.Transfer = *t
		return nil
	})
	return out, err
}

func (w *world) Fail(_ context.Context, t clients.Transfer, reason string) error {
	return w.call("fail", func() error {
		w.end(w.transfers[t.TransferID], reason)
		w.credits[t.BuyerUserID] += w.escrow[t.TransferID]
		delete(w.escrow, t.TransferID)
		return nil
	})
}

func mustTicket(w *world) tickets.Ticket {
	t, err := w.Ticket(w.t.Context(), w.seatID())
	if err != nil {
		w.t.Fatal(err)
	}
	return t
}
