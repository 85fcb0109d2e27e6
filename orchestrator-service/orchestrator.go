// Package orchestrator has every flow that spans services: the purchase, the transfer with its dispute and
// reversal, the verification at the gate, and the making of an event. One flow a file, its table at the top.
package orchestrator

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/hold"
	"ticketremaster/orchestrator-service/qr"
	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/platform/fault"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// Settings of the flows; docs/internal-api.md has the variables and defaults.
type Settings struct {
	HoldTTL         time.Duration // life of an unpaid hold
	MaxHolds        int           // live holds a user may have
	TransferTTL     time.Duration // life of a transfer that nobody confirms
	ClockSkew       time.Duration // between machines, that does no harm at the gate
	AcceptDecrypted bool          // accept a QR that the gate's device has decrypted: any device could forge it
	SweepInterval   time.Duration
	SweepGrace      time.Duration // how long after its time a sweep leaves a hold to the broker
}

// Flows runs the flows over the services.
type Flows struct {
	Settings
	Inventory inventoryv1.InventoryClient
	Users     *clients.Users
	Orders    *clients.Orders
	Events    *clients.Events
	Sagas     *saga.Engine
	Holds     *hold.Publisher
	QR        *qr.Codec
}

// Kinds of saga.
const (
	kindPurchase    = "purchase"
	kindTransfer    = "transfer"
	kindDispute     = "dispute"
	kindEndDispute  = "end-dispute"
	kindReversal    = "reversal"
	kindCreateEvent = "create-event"
)

// Register tells the engine every table of steps; it comes before the first flow.
func (f *Flows) Register() {
	saga.Register(f.Sagas, kindPurchase, f.purchaseSteps())
	saga.Register(f.Sagas, kindTransfer, f.transferSteps())
	saga.Register(f.Sagas, kindDispute, f.disputeSteps())
	saga.Register(f.Sagas, kindEndDispute, f.endDisputeSteps())
	saga.Register(f.Sagas, kindReversal, f.reversalSteps())
	saga.Register(f.Sagas, kindCreateEvent, f.createEventSteps())
}

// answerWithin is how long a client waits for a saga's end before it is told PENDING.
const answerWithin = 5 * time.Second

// runSaga starts a saga and waits for its end. pending means that it is written down and still under way; an
// error after that is why it was undone. A saga that the subject has already comes back as saga.ErrLive or saga.ErrDone.
func (f *Flows) runSaga(ctx context.Context, kind string, id uuid.UUID, subject string, state any) (end *saga.Record, pending bool, err error) {
	run, err := f.Sagas.Start(ctx, kind, id, subject, state)
	if err != nil {
		return nil, false, err
	}
	wait, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	end, ended := run.Wait(wait)
	if !ended {
		return nil, true, nil
	}
	return end, false, refusalOf(end)
}

// joinSaga waits for the saga that stands in the way of a new one, as its error tells.
func (f *Flows) joinSaga(ctx context.Context, inTheWay error) (end *saga.Record, pending bool, err error) {
	id, err := uuid.Parse(fault.From(inTheWay).Details["saga_id"])
	if err != nil {
		return nil, false, inTheWay
	}
	wait, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	end, ended := f.Sagas.Await(wait, id)
	if !ended {
		return nil, true, nil
	}
	return end, false, refusalOf(end)
}

func refusalOf(end *saga.Record) error {
	switch end.Status {
	case saga.Undone:
		return end.Refusal
	case saga.Parked:
		return fault.New(fault.Internal, fault.CodeInternal, "this needs a person's attention; we have been alarmed").Because(end.Refusal)
	}
	return nil
}

// inTheWay reports whether err says that the subject has a saga already.
func inTheWay(err error) bool {
	return errors.Is(err, saga.ErrLive) || errors.Is(err, saga.ErrDone)
}

// newID makes a UUIDv7: ids sort by time, which keeps indexes compact.
func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) }

// optionalID reads a UUID that may be empty.
func optionalID(s string) uuid.UUID {
	id, err := uuid.Parse(s)
	if err != nil {
		return uuid.Nil
	}
	return id
}
