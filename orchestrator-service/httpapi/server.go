// Package httpapi is the orchestrator's public REST API, as the gateway forwards it; docs/openapi.yaml describes
// it. Handlers read and write JSON; the flows decide.
package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"ticketremaster/orchestrator-service/apidocs"
	"ticketremaster/orchestrator-service/catalogue"
	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/orchestrator-service/gate"
	"ticketremaster/orchestrator-service/gate/page"
	"ticketremaster/orchestrator-service/marketplace"
	"ticketremaster/orchestrator-service/messages"
	"ticketremaster/orchestrator-service/purchase"
	"ticketremaster/orchestrator-service/refund"
	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/orchestrator-service/seatmap"
	"ticketremaster/orchestrator-service/tickets"
	"ticketremaster/orchestrator-service/transfer"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/token"
	"ticketremaster/platform/web"
)

// Server answers the public API.
type Server struct {
	Purchases *purchase.Flows
	Transfers *transfer.Flows
	Market    *marketplace.Flows
	Gate      *gate.Flows
	Catalogue *catalogue.Flows
	Refunds   *refund.Flows
	SeatMaps  *seatmap.Maps
	Tickets   *tickets.Flows
	Users     *clients.Users
	Sagas     *saga.Engine
	Messages  *messages.Flows
	Keys      token.Keys
	Health    func(context.Context) error
	// InFlight is how many reservations are worked on at once, and how many other requests of customers.
	InFlight int
}

// Handler returns the routes. Who may call what is decided here and nowhere else.
func (s *Server) Handler() http.Handler {
	r := web.NewRouter(s.Health)

	r.Group(func(r chi.Router) { // anyone; a stale token is ignored
		get(r, "/events", s.listEvents)
		get(r, "/events/{event_id}", s.getEvent)
		get(r, "/gate", page.Serve)
		get(r, `/gate/{file:[a-z]+\.[a-z]+}`, page.Serve)
		get(r, "/marketplace/listings", s.listListings)
		get(r, "/docs", apidocs.Page)
		get(r, "/docs/openapi.json", apidocs.JSON)
	})
	r.Group(func(r chi.Router) { // reservations have a queue of their own, so that those who have seats do not wait behind them
		r.Use(admit("reserve", s.InFlight, s.InFlight, 500*time.Millisecond), s.Keys.Require)
		post(r, "/reserve", s.reserve)
	})
	r.Group(func(r chi.Router) { // logged-in users, about what is theirs
		r.Use(admit("other", s.InFlight, mostWaiting, time.Second), s.Keys.Require)
		post(r, "/pay", s.pay)
		post(r, "/verify-otp", s.verifyOTP)
		get(r, "/orders", s.listOrders)
		get(r, "/orders/{order_id}", s.getOrder)
		post(r, "/orders/{order_id}/cancel", s.cancelOrder)
		get(r, "/tickets", s.listTickets)
		get(r, "/tickets/sold", s.listSold)
		get(r, "/tickets/{seat_id}/qr", s.ticketQR)
		post(r, "/tickets/{seat_id}/offline", s.offlineTicket)
		get(r, "/tickets/{seat_id}/history", s.ticketHistory)
		post(r, "/tickets/{seat_id}/refund", s.giveBack)
		get(r, "/transfers", s.listTransfers)
		get(r, "/transfers/{transfer_id}", s.getTransfer)
		post(r, "/transfer/initiate", s.initiateTransfer)
		post(r, "/transfer/confirm", s.confirmTransfer)
		post(r, "/transfer/dispute", s.disputeTransfer)
		post(r, "/transfer/withdraw", s.withdrawDispute)
		post(r, "/transfer/reverse", s.reverseTransfer)
		get(r, "/marketplace/listings/mine", s.listOwnListings)
		post(r, "/marketplace/list", s.listTicket)
		post(r, "/marketplace/buy", s.buyListing)
		post(r, "/marketplace/approve", s.approveListing)
		post(r, "/marketplace/cancel", s.cancelListing)
		post(r, "/marketplace/withdraw", s.withdrawPurchase)
	})
	r.Group(func(r chi.Router) { // the gate is not bounded: an on-sale must not block it, and its app cannot handle 429 (docs/clients.md#the-gatekeeper-app)
		r.Use(s.Keys.Require, token.Allow(token.Caller.IsStaff))
		post(r, "/verify", s.verify)
		post(r, "/tickets/verify", s.verifyForWebApp)
		get(r, "/gate/events", s.gateEvents)
		get(r, "/gate/keys", s.gateKeys)
		get(r, "/gate/{event_id}", s.gateEvent)
		get(r, "/gate/{event_id}/tickets", s.gateTickets)
		post(r, "/gate/{event_id}/entries", s.gateEntries)
		post(r, "/gate/{event_id}/undo", s.gateUndo)
		get(r, "/gate/{event_id}/manifest", s.gateManifest)
		post(r, "/gate/{event_id}/scans", s.gateScans)
		get(r, "/gate/{event_id}/conflicts", s.gateConflicts)
	})
	r.Group(func(r chi.Router) {
		r.Use(s.Keys.Require, token.Allow(token.Caller.IsAdmin))
		post(r, "/transfer/reject", s.rejectDispute)
		get(r, "/admin/events", s.listEventsAsAdmin)
		post(r, "/admin/events", s.createEvent)
		get(r, "/admin/events/{event_id}", s.getEventAsAdmin)
		patch(r, "/admin/events/{event_id}", s.changeEvent(clients.PatchEvent))
		post(r, "/admin/events/{event_id}/publish", s.changeEvent(clients.PublishEvent))
		post(r, "/admin/events/{event_id}/postpone", s.changeEvent(clients.PostponeEvent))
		get(r, "/admin/events/{event_id}/changes", s.listEventChanges)
		post(r, "/admin/events/{event_id}/block", s.blockSeats(true))
		post(r, "/admin/events/{event_id}/release", s.blockSeats(false))
		post(r, "/admin/events/{event_id}/rows", s.addRows)
		post(r, "/admin/events/{event_id}/cancel/preview", s.previewCancellation)
		post(r, "/admin/events/{event_id}/cancel", s.cancelEvent)
		get(r, "/admin/events/{event_id}/cancel", s.cancellation)
		get(r, "/admin/payments", s.listPayments)
		post(r, "/admin/payments/{payment_intent_id}/resolve", s.resolvePayment)
		get(r, "/admin/orders", s.listOrdersAsAdmin)
		post(r, "/admin/orders/{order_id}/refund", s.refundOrder)
		get(r, "/admin/events/{event_id}/dashboard", s.dashboard)
		get(r, "/admin/events/{event_id}/scans", s.listScans)
		get(r, "/admin/users", s.listUsers)
		patch(r, "/admin/users/{user_id}", s.changeUser)
		get(r, "/admin/staff/{user_id}/assignments", s.getAssignments)
		r.Method(http.MethodPut, "/admin/staff/{user_id}/assignments", web.Handler(s.putAssignments))
		post(r, "/admin/tickets/{seat_id}/allow-entry", s.allowEntry)
		get(r, "/admin/sagas", s.listSagas)
		post(r, "/admin/sagas/{saga_id}/resume", s.reopenSaga(s.Sagas.Resume))
		post(r, "/admin/sagas/{saga_id}/compensate", s.reopenSaga(s.Sagas.Compensate))
		get(r, "/admin/messages", s.listMessages)
		post(r, "/admin/messages/replay", s.decideMessages(messages.Replayed, s.Messages.Replay))
		post(r, "/admin/messages/drop", s.decideMessages(messages.Dropped, s.Messages.Drop))
	})
	return r
}

func get(r chi.Router, path string, h web.Handler)   { r.Method(http.MethodGet, path, h) }
func post(r chi.Router, path string, h web.Handler)  { r.Method(http.MethodPost, path, h) }
func patch(r chi.Router, path string, h web.Handler) { r.Method(http.MethodPatch, path, h) }

// mustBeCaller refuses a body that names someone else; clients may leave the field out.
func mustBeCaller(r *http.Request, field, value string) error {
	if value == "" {
		return nil
	}
	id, err := web.UUID(field, value)
	if err != nil {
		return err
	}
	if id != token.From(r.Context()).UserID {
		return fault.New(fault.Forbidden, fault.CodeForbidden, "%s is someone else", field)
	}
	return nil
}

// status is 200, or 202 while a saga is running.
func status(pending bool) int {
	if pending {
		return http.StatusAccepted
	}
	return http.StatusOK
}

func caller(r *http.Request) token.Caller { return token.From(r.Context()) }

// rfc3339 returns a time for the wire, null for none.
func rfc3339(t time.Time) *time.Time {
	if t.IsZero() || t.Unix() == 0 {
		return nil
	}
	t = t.UTC()
	return &t
}

// wholeSeconds rounds up, so that a client that waits that long is not early.
func wholeSeconds(d time.Duration) int { return int((max(d, 0) + time.Second - 1) / time.Second) }
