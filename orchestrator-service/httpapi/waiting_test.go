package httpapi

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/purchase"
	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/orchestrator-service/saga/sagatest"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/token"
	"ticketremaster/platform/web"
	inventoryv1 "ticketremaster/proto/inventory/v1"

	"google.golang.org/grpc"
)

// stuck has the services of one pending order; the inventory does not answer.
type stuck struct {
	purchase.Inventory
	purchase.Users
	purchase.Orders
	order clients.Order
}

func (s *stuck) PinHold(ctx context.Context, _ *inventoryv1.PinHoldRequest, _ ...grpc.CallOption) (*inventoryv1.PinHoldResponse, error) {
	<-ctx.Done()
	return nil, fault.Unreachable("the inventory service", ctx.Err())
}

func (s *stuck) Risk(context.Context, uuid.UUID, uuid.UUID) (clients.Risk, error) {
	return clients.Risk{}, nil
}

func (s *stuck) Get(context.Context, uuid.UUID) (clients.Order, error) { return s.order, nil }

func (s *stuck) OfUser(context.Context, uuid.UUID, string, web.Page) ([]clients.Order, int, error) {
	return nil, 0, nil
}

// Requests that wait for a payment that does not complete do not keep other customers out, whichever replica drives it.
func TestWaitingHoldsNoSlot(t *testing.T) {
	for _, replicas := range []int{1, 2} {
		synctest.Test(t, func(t *testing.T) {
			const slots = 4
			user := uuid.New()
			log := sagatest.NewLog()
			services := &stuck{order: clients.Order{OrderID: uuid.New(), UserID: user, SeatID: uuid.New(), Status: clients.OrderPending, HeldUntil: time.Now().Add(time.Hour)}}
			keys := token.Keys{Secret: []byte(strings.Repeat("k", 32)), Issuer: "test"}
			var handlers []http.Handler
			for range replicas {
				p := &purchase.Flows{Inventory: services, Users: services, Orders: services}
				p.Register(saga.NewEngine(log, ""))
				s := &Server{Purchases: p, Keys: keys, InFlight: slots}
				handlers = append(handlers, s.Handler())
			}
			ask := func(h http.Handler, user uuid.UUID, method, path, body string) (int, time.Duration) {
				r := httptest.NewRequest(method, path, strings.NewReader(body))
				r.Header.Set("Content-Type", "application/json")
				r.Header.Set("Authorization", "Bearer "+bearer(t, keys, user))
				w, begun := httptest.NewRecorder(), time.Now()
				h.ServeHTTP(w, r)
				return w.Code, time.Since(begun)
			}
			pay := `{"order_id":"` + services.order.OrderID.String() + `"}`
			first := handlers[0]
			last := handlers[replicas-1]
			var all sync.WaitGroup
			all.Go(func() {
				if code, took := ask(first, user, "POST", "/pay", pay); code != http.StatusAccepted || took > 6*time.Second {
					t.Errorf("the first is answered %d after %s", code, took)
				}
			})
			time.Sleep(time.Second)
			for range 96 {
				all.Go(func() {
					if code, took := ask(last, user, "POST", "/pay", pay); code != http.StatusAccepted || took > 1500*time.Millisecond {
						t.Errorf("one that joins is answered %d after %s", code, took)
					}
				})
			}
			synctest.Wait()
			for range slots {
				if code, took := ask(last, uuid.New(), "GET", "/orders", ""); code != http.StatusOK || took > 0 {
					t.Errorf("another customer is answered %d after %s", code, took)
				}
			}
			all.Wait()
			time.Sleep(time.Minute) // the saga rests
		})
	}
}

func bearer(t *testing.T, keys token.Keys, user uuid.UUID) string {
	t.Helper()
	signed, err := keys.Sign(token.Caller{UserID: user, Role: token.Customer, SessionID: uuid.New(), ExpiresAt: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return signed
}
