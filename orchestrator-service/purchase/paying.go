package purchase

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/platform/fault"
)

// payWithin bounds one request to pay; it is more than its calls and its wait for the saga can take.
const payWithin = 12 * time.Second

// paying has the requests to pay that are in progress in this process: one per user and order or booking. The zero value is empty.
type paying struct {
	mu  sync.Mutex
	now map[[2]uuid.UUID]*payRequest
}

// payRequest is one request to pay. Its outcome may be read once ended is closed.
type payRequest struct {
	ended   chan struct{}
	payment Payment
	err     error
}

// enter returns the request that is now in progress: this one, or an earlier one.
func (p *paying) enter(user, order uuid.UUID) (mine, other *payRequest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := [2]uuid.UUID{user, order}
	if other := p.now[key]; other != nil {
		return nil, other
	}
	if p.now == nil {
		p.now = map[[2]uuid.UUID]*payRequest{}
	}
	mine = &payRequest{ended: make(chan struct{}), err: fault.From(nil)}
	p.now[key] = mine
	return mine, nil
}

func (p *paying) leave(user, order uuid.UUID, mine *payRequest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.now, [2]uuid.UUID{user, order})
	close(mine.ended)
}

// payToo answers a request to pay with the outcome of the earlier one.
func (f *Flows) payToo(ctx context.Context, find func(context.Context) ([]clients.Order, error), other *payRequest) (Payment, error) {
	saga.Waiting(ctx)
	wait := time.NewTimer(saga.JoinWithin)
	defer wait.Stop()
	select {
	case <-other.ended:
		if other.err == nil && !other.payment.Pending {
			return Payment{}, errOrderConfirmed // by the other request
		}
		return other.payment, other.err
	case <-wait.C:
	case <-ctx.Done():
	}
	orders, err := find(ctx)
	if err == nil {
		orders, err = payable(orders)
	}
	return Payment{Orders: orders, Pending: true}, err
}
