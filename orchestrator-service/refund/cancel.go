package refund

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// closingSteps end the sale of a cancelled event, for good. After them nobody gets or hands on a ticket of it.
func (f *Flows) closingSteps() []saga.Step[Closing] {
	return []saga.Step[Closing]{
		{Name: "cancel event", Do: f.cancelEvent},
		{Name: "stop sale", Do: f.stopSale},
		{Name: "end transfers", Do: f.endTransfers},
	}
}

// batchSteps refund the next tickets of a cancelled event. A cancellation is as many of these as it takes, one after the other:
// whatever dies, the next one goes on where the last one was.
func (f *Flows) batchSteps() []saga.Step[Batch] {
	return []saga.Step[Batch]{
		{Name: "void tickets", Do: f.voidTickets},
		{Name: "refund orders", Do: f.refundOrders},
		{Name: "restore tickets", Do: f.restoreTickets},
		{Name: "return credits", Do: f.returnAllCredits},
		{Name: "settle tickets", Do: f.settleTickets},
	}
}

// Limits of a cancellation.
const (
	batchSize    = 150                     // tickets
	pace         = 2700 * time.Microsecond // per ticket, at the least: 20,000 take 54 s, and the rest is for those who buy
	codeLife     = 15 * time.Minute        // of a dry run's code
	waitDisputes = 10 * time.Second        // before disputed tickets are looked at again
	lookWithin   = 2 * time.Second         // of the first look after a start, by whoever does it
	reason       = "EVENT_CANCELLED"       // of orders, transfers and listings that end with it
	refundReason = "The event was cancelled"
)

// Closing is the state of ending an event's sale.
type Closing struct {
	EventID uuid.UUID `json:"event_id"`
	By      uuid.UUID `json:"by"`
	Reason  string    `json:"reason"`
}

func (f *Flows) cancelEvent(ctx context.Context, c *Closing) error {
	_, err := f.Events.Change(ctx, c.EventID, clients.CancelEvent, clients.EventChange{By: c.By, Reason: c.Reason})
	return err
}

// stopSale waits for the payments that are under way: their orders fail, so that each gives up its hold or has its ticket.
func (f *Flows) stopSale(ctx context.Context, c *Closing) error {
	if err := f.Orders.FailPending(ctx, c.EventID, reason); err != nil {
		return err
	}
	res, err := f.Inventory.CloseEvent(ctx, &inventoryv1.CloseEventRequest{EventId: c.EventID.String()})
	if err == nil && res.Pinned > 0 {
		err = errPayments
	}
	if err != nil {
		return err
	}
	return f.Orders.FailPending(ctx, c.EventID, reason) // those that were written down meanwhile
}

func (f *Flows) endTransfers(ctx context.Context, c *Closing) error {
	for ended := 1; ended > 0; {
		var err error
		if ended, err = f.Orders.EndListings(ctx, c.EventID, reason); err != nil {
			return err
		}
	}
	live, err := f.Orders.LiveTransfers(ctx, c.EventID)
	if err != nil {
		return err
	}
	for _, t := range live {
		if err := f.Transfers.Fail(ctx, t, reason); err != nil && fault.Code(err) != fault.CodeTransferInvalidState {
			return err
		}
	}
	if len(live) > 0 {
		return errTransfers // look again: there may be more
	}
	return nil
}

// Batch is the state of one batch of refunds.
type Batch struct {
	EventID uuid.UUID    `json:"event_id"`
	Tickets []VoidTicket `json:"tickets"`
	Waiting []VoidTicket `json:"waiting,omitempty"` // of these, those that cannot be refunded yet
}

// VoidTicket is one ticket of a batch.
type VoidTicket struct {
	SeatID   uuid.UUID   `json:"seat_id"`
	OrderID  uuid.UUID   `json:"order_id"`
	RefundID uuid.UUID   `json:"refund_id"`
	OwnerID  uuid.UUID   `json:"owner_id"`
	Amount   money.Cents `json:"amount"`
}

func (f *Flows) voidTickets(ctx context.Context, b *Batch) error {
	waiting, err := f.Orders.Unsettled(ctx, b.EventID)
	if err != nil {
		return err
	}
	in := &inventoryv1.VoidTicketsRequest{EventId: b.EventID.String(), Limit: batchSize}
	for _, seat := range waiting {
		in.SpareSeatIds = append(in.SpareSeatIds, seat.String())
	}
	res, err := f.Inventory.VoidTickets(ctx, in)
	b.Tickets = b.Tickets[:0]
	for _, seat := range res.GetSeats() {
		b.Tickets = append(b.Tickets, VoidTicket{
			SeatID: clients.ID(seat.SeatId), OrderID: clients.ID(seat.HoldId), RefundID: clients.ID(seat.VoidId), OwnerID: clients.ID(seat.OwnerUserId),
		})
	}
	return err
}

// refundOrders takes out of the batch what cannot be refunded yet, because it came to be disputed meanwhile.
func (f *Flows) refundOrders(ctx context.Context, b *Batch) error {
	if len(b.Tickets) == 0 {
		return nil
	}
	requests := make([]clients.RefundRequest, len(b.Tickets))
	for i, t := range b.Tickets {
		requests[i] = clients.RefundRequest{RefundID: t.RefundID, OrderID: t.OrderID, Kind: clients.RefundWhole, ToUserID: t.OwnerID, Reason: refundReason}
	}
	results, err := f.Orders.Refund(ctx, requests)
	if err != nil {
		return err
	}
	var refunded, waiting []VoidTicket
	for i, t := range b.Tickets {
		refusal := results[i].Refusal()
		switch {
		case refusal == nil:
			t.Amount, t.OwnerID = results[i].Refund.Amount, results[i].Refund.ToUserID
			refunded = append(refunded, t)
		case refusal.Code == fault.CodeTicketDisputed, refusal.Code == fault.CodeTransferInProgress:
			waiting = append(waiting, t)
		default:
			return refusal
		}
	}
	b.Tickets, b.Waiting = refunded, waiting
	return nil
}

// restoreTickets is a step of its own: repeated together with the refunds, it could be followed by the refund of a ticket that is valid
// again, whose dispute has just ended.
func (f *Flows) restoreTickets(ctx context.Context, b *Batch) error {
	if len(b.Waiting) == 0 {
		return nil
	}
	seats, refunds := pairs(b.Waiting)
	_, err := f.Inventory.RestoreTickets(ctx, &inventoryv1.RestoreTicketsRequest{SeatIds: seats, RefundIds: refunds})
	return err
}

// pairs gives the seats of tickets, and for each its refund.
func pairs(tickets []VoidTicket) (seats, refunds []string) {
	for _, t := range tickets {
		seats, refunds = append(seats, t.SeatID.String()), append(refunds, t.RefundID.String())
	}
	return seats, refunds
}

func (f *Flows) returnAllCredits(ctx context.Context, b *Batch) error {
	var refunds []clients.TicketRefund
	for _, t := range b.Tickets {
		if t.Amount > 0 {
			refunds = append(refunds, clients.TicketRefund{RefundID: t.RefundID, UserID: t.OwnerID, Amount: t.Amount, OrderID: t.OrderID})
		}
	}
	if len(refunds) == 0 {
		return nil
	}
	return f.Users.RefundTickets(ctx, refunds)
}

func (f *Flows) settleTickets(ctx context.Context, b *Batch) error {
	if len(b.Tickets) == 0 {
		return nil
	}
	seats, refunds := pairs(b.Tickets)
	_, err := f.Inventory.SettleRefunds(ctx, &inventoryv1.SettleRefundsRequest{SeatIds: seats, RefundIds: refunds})
	return err
}

// Preview is what a cancellation would do.
type Preview struct {
	EventID   uuid.UUID
	By        uuid.UUID
	Tickets   int
	Holders   int
	Credits   money.Cents
	Holds     int // seats in checkout
	Waiting   int // tickets whose refund has to wait: they are disputed, or changing hands
	Code      string
	ExpiresAt time.Time
}

// Preview says what cancelling an event would do, and gives the code by which the same administrator can have it done.
func (f *Flows) Preview(ctx context.Context, admin, event uuid.UUID) (Preview, error) {
	p := Preview{EventID: event, By: admin, ExpiresAt: time.Now().Add(codeLife).UTC().Truncate(time.Second)}
	e, err := f.Events.Get(ctx, event)
	switch {
	case err != nil:
		return p, err
	case !e.Public():
		return p, fault.New(fault.Conflict, fault.CodeEventInvalidState, "A draft has nothing to cancel")
	}
	left, waiting, err := f.left(ctx, event)
	if err != nil {
		return p, err
	}
	p.Tickets, p.Holders, p.Credits, p.Holds, p.Waiting = int(left.Tickets), int(left.Owners), money.Cents(left.ValueCents), int(left.Held), waiting
	p.Code = newCode()
	return p, f.Cancellations.Preview(ctx, p, hashOf(p.Code))
}

func newCode() string {
	var random [5]byte
	_, _ = rand.Read(random[:]) // it never fails
	return base32.StdEncoding.EncodeToString(random[:])
}

func hashOf(code string) []byte {
	sum := sha256.Sum256([]byte(code))
	return sum[:]
}

// Cancellation is an event's cancellation, and how far it is.
type Cancellation struct {
	EventID   uuid.UUID
	By        uuid.UUID
	Reason    string
	Tickets   int // as the dry run said
	Batches   int
	StartedAt time.Time
	SettledAt *time.Time // nil: not yet
	// Filled in by Progress.
	Refunded, Left, Waiting int
}

// Cancel cancels an event by the code of a dry run. It answers once that is written down; Progress tells the rest.
func (f *Flows) Cancel(ctx context.Context, admin, event uuid.UUID, code, why string) (Cancellation, error) {
	c, err := f.Cancellations.Start(ctx, event, admin, hashOf(code), why, codeLife)
	if err != nil {
		return c, err
	}
	closed, err := f.close(ctx, c)
	if err != nil {
		return c, err
	}
	if closed {
		go f.finish(context.WithoutCancel(ctx), c)
	}
	return f.Progress(ctx, event)
}

// close runs the saga that ends the sale; false: it is still under way. A cancellation that this refuses is not started any more.
func (f *Flows) close(ctx context.Context, c Cancellation) (bool, error) {
	out, err := f.closings.Settle(ctx, uuid.Must(uuid.NewV7()), c.EventID.String(), Closing{EventID: c.EventID, By: c.By, Reason: c.Reason})
	if err != nil && !fault.Unknown(err) {
		err = errors.Join(err, f.Cancellations.Abort(context.WithoutCancel(ctx), c.EventID))
	}
	return err == nil && !out.Pending, err
}

// Progress tells how far a cancellation is.
func (f *Flows) Progress(ctx context.Context, event uuid.UUID) (Cancellation, error) {
	c, err := f.Cancellations.Get(ctx, event)
	if err != nil {
		return c, err
	}
	left, waiting, err := f.left(ctx, event)
	c.Refunded, c.Left, c.Waiting = int(left.GetRefunded()), int(left.GetTickets()), waiting
	return c, err
}

// left counts what is to be refunded, and how much of that has to wait.
func (f *Flows) left(ctx context.Context, event uuid.UUID) (*inventoryv1.CountUnsettledResponse, int, error) {
	left, err := f.Inventory.CountUnsettled(ctx, &inventoryv1.CountUnsettledRequest{EventId: event.String()})
	if err != nil {
		return nil, 0, err
	}
	waiting, err := f.Orders.Unsettled(ctx, event)
	return left, min(len(waiting), int(left.Tickets)), err
}

// Sweep goes on with the cancellations that nobody is at: their process died, or a dispute has ended. One that cannot go on holds up no
// other: it is looked at again after those that are due by then.
func (f *Flows) Sweep(ctx context.Context) error {
	due, err := f.Cancellations.Due(ctx, 10)
	if err != nil {
		return err
	}
	var failed error
	for _, c := range due {
		if err := f.Cancellations.Later(ctx, c.EventID, lookWithin); err != nil {
			return errors.Join(failed, err)
		}
		closed, err := f.close(ctx, c)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("cancelling event %s: %w", c.EventID, err))
		}
		if closed {
			f.finish(ctx, c)
		}
	}
	return failed
}

// finish refunds batch after batch until none is left that can be refunded. Two at once do each batch once.
func (f *Flows) finish(ctx context.Context, c Cancellation) {
	more, err := f.anyLeft(ctx, c.EventID)
	for n := c.Batches; more && err == nil; n++ {
		begun := time.Now()
		var tickets int
		if tickets, more, err = f.batch(ctx, c.EventID, n); !more || err != nil {
			break
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Duration(tickets)*pace - time.Since(begun)):
		}
		if tickets < batchSize { // after a full one the next is tried: counting reads all tickets of the event
			more, err = f.anyLeft(ctx, c.EventID)
		}
	}
	if err != nil {
		slog.WarnContext(ctx, "a cancellation rests; the sweep goes on with it", "event", c.EventID, "error", err)
	}
}

// anyLeft reports whether there are tickets that can be refunded now. If there are none, the cancellation has ended, or is
// looked at again later.
func (f *Flows) anyLeft(ctx context.Context, event uuid.UUID) (bool, error) {
	left, waiting, err := f.left(ctx, event)
	switch {
	case err != nil:
		return false, err
	case left.Tickets == 0:
		return false, f.Cancellations.Settled(ctx, event)
	case int(left.Tickets) <= waiting:
		return false, f.Cancellations.Later(ctx, event, waitDisputes)
	}
	return true, nil
}

// batch refunds one batch and tells how many tickets were in it. Not done: its saga goes on by itself, and the sweep after
// it.
func (f *Flows) batch(ctx context.Context, event uuid.UUID, n int) (tickets int, done bool, err error) {
	if err := f.Cancellations.Later(ctx, event, lookWithin); err != nil { // the sweep leaves it to us as long as we go on
		return 0, false, err
	}
	out, err := f.batches.Settle(ctx, uuid.Must(uuid.NewV7()), fmt.Sprintf("%s/%d", event, n), Batch{EventID: event})
	if err != nil || out.Pending {
		return 0, false, err
	}
	return len(out.State.Tickets) + len(out.State.Waiting), true, f.Cancellations.Advance(ctx, event, n)
}
