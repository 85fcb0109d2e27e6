package transfer

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/orchestrator-service/saga/sagatest"
	"ticketremaster/orchestrator-service/tickets"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
	"ticketremaster/platform/web"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// world has the collaborators of the flows in memory: the order, user and inventory services as far as a transfer needs
// them.
type world struct {
	*Flows
	t         *testing.T
	mu        sync.Mutex
	transfers map[uuid.UUID]*clients.Transfer
	users     map[uuid.UUID]*clients.User
	seat      *inventoryv1.Seat
	event     clients.Event
	escrow    map[uuid.UUID]money.Cents
	frozen    map[uuid.UUID]money.Cents
	payer     map[uuid.UUID]uuid.UUID // whose credits are in an escrow or frozen
	voided    map[string]bool         // operations that were undone: a late call is refused
	done      map[string]bool
	codes     map[uuid.UUID]string // the live one-time password of a user
	sent      []clients.Challenge
	entered   [][2]uuid.UUID    // whose code, by whom
	refused   map[uuid.UUID]int // offers, by who made them
	offers    map[uuid.UUID]uuid.UUID
	onward    *clients.Transfer // the live transfer that a dispute ends
	platform  money.Cents
	failing   map[string][]failure
	calls     []string
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

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		t: t, transfers: map[uuid.UUID]*clients.Transfer{}, users: map[uuid.UUID]*clients.User{}, escrow: map[uuid.UUID]money.Cents{},
		frozen: map[uuid.UUID]money.Cents{}, payer: map[uuid.UUID]uuid.UUID{}, voided: map[string]bool{}, done: map[string]bool{},
		codes: map[uuid.UUID]string{}, refused: map[uuid.UUID]int{}, offers: map[uuid.UUID]uuid.UUID{}, failing: map[string][]failure{},
	}
	w.event = clients.Event{EventID: uuid.New(), Name: "Matinee", HallID: "H1", EventDate: time.Now().Add(time.Hour), EndsAt: time.Now().Add(3 * time.Hour)}
	w.seat = &inventoryv1.Seat{SeatId: uuid.NewString(), EventId: w.event.EventID.String(), Status: inventoryv1.SeatStatus_SOLD, RowNumber: "A", SeatNumber: 1}
	w.Flows = &Flows{Settings: Settings{TransferTTL: time.Minute}, Inventory: w, Users: w, Records: w, Tickets: w}
	engine := saga.NewEngine(sagatest.NewLog(), "")
	w.Register(engine)
	return w
}

// person adds a user with that many credits.
func (w *world) person(email string, credits money.Cents) uuid.UUID {
	id := uuid.New()
	w.users[id] = &clients.User{UserID: id, Email: email, CreditBalance: credits, IsVerified: true}
	return id
}

// parties makes a seller, who has the ticket, and a buyer with that many credits.
func (w *world) parties(credits money.Cents) (seller, buyer uuid.UUID) {
	seller, buyer = w.person("seller@example.com", 0), w.person("buyer@example.com", credits)
	w.seat.OwnerUserId = seller.String()
	return seller, buyer
}

func (w *world) seatID() uuid.UUID { return clients.ID(w.seat.SeatId) }

// fail makes the next calls of that name fail, one after the other.
func (w *world) fail(call string, f ...failure) { w.failing[call] = append(w.failing[call], f...) }

// call runs a call with its planned failure; do is what the service does.
func (w *world) call(name string, do func() error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, name)
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

// total is the sum of all credits.
func (w *world) total() (sum money.Cents) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, u := range w.users {
		sum += u.CreditBalance
	}
	for _, accounts := range []map[uuid.UUID]money.Cents{w.escrow, w.frozen} {
		for _, c := range accounts {
			sum += c
		}
	}
	return sum
}

func (w *world) balance(user uuid.UUID) money.Cents {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.users[user].CreditBalance
}

func (w *world) called(name string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, c := range w.calls {
		if c == name {
			n++
		}
	}
	return n
}

// ── the order service ──

func (w *world) BeginOffer(_ context.Context, id, user uuid.UUID) error {
	return w.call("begin-offer", func() error { w.offers[id] = user; return nil })
}

func (w *world) RefuseOffer(_ context.Context, id uuid.UUID) error {
	return w.call("refuse-offer", func() error { w.refused[w.offers[id]]++; return nil })
}

func (w *world) CreateTransfer(_ context.Context, t clients.Transfer) (clients.Transfer, error) {
	err := w.call("create", func() error {
		for _, other := range w.transfers {
			live := slices.Contains([]string{clients.TransferInitiated, clients.TransferPendingOTP, clients.TransferDisputed}, other.Status)
			if live && t.Status != clients.TransferFailed {
				return fault.New(fault.Conflict, "TRANSFER_IN_PROGRESS", "This ticket is being transferred already")
			}
		}
		t.Refused = t.Status == clients.TransferFailed
		w.transfers[t.TransferID] = &t
		return nil
	})
	return t, err
}

// moves are the transitions of a transfer's state machine: what an action requires, what it does, and how a repeat is
// recognised.
func (w *world) move(t *clients.Transfer, action string, a clients.TransferAction) error {
	from := func(ok bool, do func()) error {
		if !ok {
			return fault.New(fault.Conflict, fault.CodeTransferInvalidState, "This transfer is past that").With("status", t.Status)
		}
		do()
		return nil
	}
	pending := t.Status == clients.TransferPendingOTP
	operation := a.DisputeID
	if operation == uuid.Nil {
		operation = a.ReversalID
	}
	void := "operation " + operation.String()
	if w.voided[void] && action != clients.EndDispute && action != clients.AbortReversal {
		return fault.New(fault.Conflict, "OPERATION_VOIDED", "This operation was undone before it arrived")
	}
	switch action {
	case clients.AwaitOTP:
		return from(t.Status == clients.TransferInitiated, func() { t.Status = clients.TransferPendingOTP })
	case clients.OTPVerified:
		return from(pending, func() {
			t.SellerOTPVerified = t.SellerOTPVerified || a.Party == "seller"
			t.BuyerOTPVerified = t.BuyerOTPVerified || a.Party == "buyer"
		})
	case clients.BeginSwap:
		return from(t.CompletedAt != nil || pending && t.SellerOTPVerified && t.BuyerOTPVerified, func() { t.Swapping = t.CompletedAt == nil })
	case clients.Complete:
		now := time.Now()
		return from(t.Swapping || t.CompletedAt != nil, func() { t.Status, t.Swapping, t.CompletedAt = clients.TransferCompleted, false, &now })
	case clients.AbortSwap:
		return from(pending || t.Status == clients.TransferFailed, func() { t.Status, t.FailureReason, t.Swapping = clients.TransferFailed, a.Reason, false })
	case clients.FailTransfer:
		return from(t.Status == clients.TransferFailed || !t.Swapping && (pending || t.Status == clients.TransferInitiated), func() {
			t.Status, t.FailureReason = clients.TransferFailed, a.Reason
		})
	case clients.EndDispute:
		w.voided[void] = true
		if t.Status == clients.TransferDisputed && t.DisputeID != nil && *t.DisputeID == a.DisputeID {
			t.Status = clients.TransferCompleted
		}
		return nil
	case clients.BeginReversal:
		return from(t.Status == clients.TransferDisputed && (t.ReversalID == nil || *t.ReversalID == operation), func() { t.ReversalID = &operation })
	case clients.AbortReversal:
		w.voided[void] = true
		if t.ReversalID != nil && *t.ReversalID == operation {
			t.ReversalID = nil
		}
		return nil
	case clients.Reverse:
		return from(t.ReversalID != nil && *t.ReversalID == operation, func() { t.Status = clients.TransferReversed })
	}
	w.t.Errorf("no action %q is known", action)
	return nil
}

func (w *world) ActOnTransfer(_ context.Context, id uuid.UUID, action string, a clients.TransferAction) (out clients.Transfer, err error) {
	err = w.call(action, func() error {
		err := w.move(w.transfers[id], action, a)
		out = *w.transfers[id]
		return err
	})
	return out, err
}

func (w *world) Dispute(_ context.Context, id uuid.UUID, a clients.TransferAction) (t clients.Transfer, cancelled *clients.Transfer, err error) {
	err = w.call("dispute", func() error {
		x := w.transfers[id]
		switch {
		case w.voided["operation "+a.DisputeID.String()]:
			return fault.New(fault.Conflict, "OPERATION_VOIDED", "This operation was undone before it arrived")
		case x.Status == clients.TransferDisputed && *x.DisputeID == a.DisputeID:
		case x.Status != clients.TransferCompleted:
			return fault.New(fault.Conflict, fault.CodeTransferInvalidState, "This transfer is past that")
		}
		x.Status, x.DisputeID, x.DisputedBy, x.DisputeReason = clients.TransferDisputed, &a.DisputeID, &a.By, a.Reason
		t, cancelled = *x, w.onward
		return nil
	})
	return t, cancelled, err
}

func (w *world) Transfer(_ context.Context, id uuid.UUID) (t clients.Transfer, err error) {
	err = w.call("read", func() error {
		x, ok := w.transfers[id]
		if !ok {
			return fault.New(fault.NotFound, "TRANSFER_NOT_FOUND", "This transfer does not exist")
		}
		t = *x
		return nil
	})
	return t, err
}

func (w *world) TransfersOf(_ context.Context, user uuid.UUID, _ string, _ web.Page, _ ...string) (list []clients.Transfer, total int, err error) {
	for _, t := range w.transfers {
		if t.Party(user) {
			list = append(list, *t)
		}
	}
	return list, len(list), nil
}

func (w *world) OverdueTransfers(context.Context, int) (list []clients.Transfer, err error) {
	err = w.call("overdue", func() error {
		for _, t := range w.transfers {
			if t.ExpiresAt.Before(time.Now()) && t.Status == clients.TransferPendingOTP {
				list = append(list, *t)
			}
		}
		return nil
	})
	return list, err
}

// ── the user service ──

func (w *world) Lookup(_ context.Context, ids []uuid.UUID, emails []string) (found []clients.User, err error) {
	err = w.call("lookup", func() error {
		for _, u := range w.users {
			if slices.Contains(ids, u.UserID) || slices.ContainsFunc(emails, func(e string) bool { return strings.EqualFold(e, u.Email) }) {
				found = append(found, *u)
			}
		}
		return nil
	})
	return found, err
}

var errVoided = fault.New(fault.Conflict, "OPERATION_VOIDED", "This operation was undone before it arrived")

// once runs do at the operation's first call; an operation that was undone is refused.
func (w *world) once(path string, id uuid.UUID, do func() error) error {
	key := path + " " + id.String()
	if w.voided[key] {
		return errVoided
	}
	if w.done[key] {
		return nil
	}
	err := do()
	w.done[key] = err == nil
	return err
}

// undo voids an operation and runs back if the operation was done.
func (w *world) undo(path string, id uuid.UUID, back func()) error {
	key := path + " " + id.String()
	if w.done[key] && !w.voided[key] {
		back()
	}
	w.voided[key] = true
	return nil
}

func (w *world) Book(_ context.Context, path string, b clients.Booking) (booked clients.Booked, err error) {
	id := b.OperationID
	err = w.call(path, func() error {
		switch path {
		case clients.Escrow:
			return w.once(path, id, func() error {
				if w.users[b.UserID].CreditBalance < b.Amount {
					return fault.New(fault.PaymentRequired, fault.CodeInsufficientCredits, "You do not have enough credits")
				}
				w.users[b.UserID].CreditBalance -= b.Amount
				w.escrow[id], w.payer[id] = b.Amount, b.UserID
				return nil
			})
		case clients.EscrowReturn:
			return w.undo(clients.Escrow, id, func() {
				w.users[w.payer[id]].CreditBalance += w.escrow[id]
				delete(w.escrow, id)
			})
		case clients.EscrowRelease:
			return w.once(path, id, func() error {
				w.users[b.UserID].CreditBalance += w.escrow[id] - b.Fee
				w.platform += b.Fee
				delete(w.escrow, id)
				return nil
			})
		case clients.Freeze:
			return w.once(path, id, func() error {
				w.users[b.UserID].CreditBalance -= b.Amount
				w.frozen[id], w.payer[id] = b.Amount, b.UserID
				return nil
			})
		case clients.Unfreeze:
			return w.undo(clients.Freeze, id, func() {
				w.users[w.payer[id]].CreditBalance += w.frozen[id]
				delete(w.frozen, id)
			})
		case clients.FrozenIntoEscrow:
			return w.once(path, id, func() error {
				w.escrow[id], w.payer[id] = w.frozen[b.DisputeID], b.DisputeID
				delete(w.frozen, b.DisputeID)
				return nil
			})
		case clients.FrozenFromEscrow:
			return w.undo(clients.FrozenIntoEscrow, id, func() {
				w.frozen[w.payer[id]] = w.escrow[id]
				delete(w.escrow, id)
			})
		}
		w.t.Errorf("no booking %q is known", path)
		return nil
	})
	return booked, err
}

func (w *world) SendOTP(_ context.Context, c clients.Challenge) error {
	return w.call("send-otp", func() error {
		if c.IfNonePending && w.codes[c.UserID] != "" {
			return nil
		}
		w.codes[c.UserID] = "123456"
		w.sent = append(w.sent, c)
		return nil
	})
}

func (w *world) CancelOTP(_ context.Context, c clients.Challenge) error {
	return w.call("cancel-otp", func() error { delete(w.codes, c.UserID); return nil })
}

func (w *world) VerifyOTP(_ context.Context, user uuid.UUID, _ string, _ uuid.UUID, code string, by uuid.UUID) error {
	return w.call("verify-otp", func() error {
		w.entered = append(w.entered, [2]uuid.UUID{user, by})
		switch w.codes[user] {
		case "":
			return fault.Field("otp_code", "no one-time password is pending")
		case code:
			return nil
		}
		return fault.New(fault.Unauthenticated, "OTP_INVALID", "This one-time password is wrong")
	})
}

// ── the inventory service ──

func (w *world) Ticket(_ context.Context, seat uuid.UUID) (t tickets.Ticket, err error) {
	err = w.call("ticket", func() error {
		if seat != w.seatID() {
			return fault.New(fault.NotFound, fault.CodeSeatNotFound, "There is no such seat")
		}
		t = tickets.Ticket{Seat: w.seat, Event: w.event}
		return nil
	})
	return t, err
}

func (w *world) UpdateOwner(_ context.Context, in *inventoryv1.UpdateOwnerRequest, _ ...grpc.CallOption) (*inventoryv1.UpdateOwnerResponse, error) {
	err := w.call("update-owner", func() error {
		return w.once("update-owner", clients.ID(in.OperationId), func() error {
			switch {
			case w.seat.OwnerUserId != in.ExpectedOwnerUserId:
				return fault.New(fault.Forbidden, fault.CodeNotSeatOwner, "This ticket is someone else's")
			case w.seat.Status != inventoryv1.SeatStatus_SOLD:
				return fault.New(fault.Conflict, fault.CodeSeatUnavailable, "This ticket was used")
			}
			w.seat.OwnerUserId = in.NewOwnerUserId
			return nil
		})
	})
	return &inventoryv1.UpdateOwnerResponse{Seat: w.seat}, err
}
