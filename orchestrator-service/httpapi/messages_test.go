package httpapi

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/messages"
	"ticketremaster/platform/broker"
	"ticketremaster/platform/fault"
)

// kept is a messages.Store of one message in memory.
type kept struct {
	messages.Store
	messages.Message
}

func (k *kept) List(_ context.Context, status messages.Status, _, _ int) ([]messages.Message, int, error) {
	if status != k.Status {
		return nil, 0, nil
	}
	return []messages.Message{k.Message}, 1, nil
}

func (k *kept) Decide(_ context.Context, ids []uuid.UUID, to messages.Status, by uuid.UUID, reason string, act func([]messages.Message) error) error {
	var found []messages.Message
	if ids[0] == k.ID {
		found = append(found, k.Message)
	}
	if err := act(found); err != nil {
		return err
	}
	k.Status, k.DecidedBy, k.Reason = to, uuid.NullUUID{UUID: by, Valid: true}, reason
	return nil
}

// An administrator lists parked messages and decides about them, with a reason; a request without reason or ids is
// refused.
func TestMessagesAreDecided(t *testing.T) {
	store := &kept{Message: messages.Message{Parked: broker.Parked{ID: uuid.New(), Queue: "q", Because: "it failed", Body: []byte("a body \xff")}, Status: messages.Parked}}
	s := &Server{Messages: &messages.Flows{Store: store}}
	router := chi.NewRouter()
	get(router, "/admin/messages", s.listMessages)
	post(router, "/admin/messages/drop", s.decideMessages(messages.Dropped, s.Messages.Drop))
	id := `"` + store.ID.String() + `"`
	for _, c := range []struct {
		call, body, want string
		status           int
	}{
		{"GET /admin/messages", "", `"body":"a body �"`, 200},
		{"GET /admin/messages?status=LOST", "", "must be PARKED, REPLAYED or DROPPED", 400},
		{"POST /admin/messages/drop", `{"reason":"x"}`, "must have from 1 to 100 ids", 400},
		{"POST /admin/messages/drop", `{"reason":"x","message_ids":[` + strings.Repeat(id+",", messages.Most) + id + `]}`, "must have from 1 to 100 ids", 400},
		{"POST /admin/messages/drop", `{"reason":"x","message_ids":[` + id + "," + id + `]}`, "an id twice", 400},
		{"POST /admin/messages/drop", `{"reason":"x","message_ids":["M-1"]}`, fault.CodeInvalidUUID, 400},
		{"POST /admin/messages/drop", `{"message_ids":[` + id + `]}`, "reason: is required", 400},
		{"POST /admin/messages/drop", `{"reason":"x","message_ids":["` + uuid.NewString() + `"]}`, fault.CodeNotFound, 404},
		{"POST /admin/messages/drop", `{"reason":"of no use","message_ids":[` + id + `]}`, `"status":"DROPPED"`, 200},
		{"POST /admin/messages/drop", `{"reason":"again","message_ids":[` + id + `]}`, "MESSAGE_NOT_PARKED", 409},
		{"GET /admin/messages?status=DROPPED", "", `"reason":"of no use"`, 200},
	} {
		w := httptest.NewRecorder()
		method, path, _ := strings.Cut(c.call, " ")
		router.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(c.body)))
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s %.60s: %d %s", c.call, c.body, w.Code, w.Body)
		}
	}
}
