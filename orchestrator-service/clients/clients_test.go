package clients

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"ticketremaster/platform/call"
	"ticketremaster/platform/fault"
)

// service is a REST service: it answers each call with the function of its name, and records the calls.
type service struct {
	mu      sync.Mutex
	calls   []string
	answers map[string]func(body map[string]json.RawMessage) (any, *fault.Error) // by "POST /orders/batch"
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := r.Method + " " + r.URL.Path
	var body map[string]json.RawMessage
	_ = json.NewDecoder(r.Body).Decode(&body)
	s.mu.Lock()
	s.calls = append(s.calls, name)
	answer := s.answers[name]
	s.mu.Unlock()
	if answer == nil {
		http.NotFound(w, r)
		return
	}
	data, refusal := answer(body)
	if refusal != nil {
		w.WriteHeader(http.StatusConflict)
		_ = json.NewEncoder(w).Encode(map[string]any{"success": false, "error_code": refusal.Code, "message": refusal.Message})
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"success": true, "data": data})
}

func start(t *testing.T) (*service, call.Client) {
	t.Helper()
	s := &service{answers: map[string]func(map[string]json.RawMessage) (any, *fault.Error){}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, call.Client{Name: "the service", BaseURL: server.URL, Token: "secret"}
}

// Many concurrent requests share few calls, and each gets its own answer or refusal.
func TestCallsAreCoalesced(t *testing.T) {
	s, client := start(t)
	orders := &Orders{Client: client}
	bad := uuid.New()
	s.answers["POST /orders/batch"] = func(body map[string]json.RawMessage) (any, *fault.Error) {
		time.Sleep(5 * time.Millisecond) // those who ask meanwhile share the next call
		var placed []Order
		_ = json.Unmarshal(body["orders"], &placed)
		for i := range placed {
			if placed[i].OrderID == bad {
				return nil, fault.New(fault.Conflict, "NO", "no")
			}
			placed[i].FailureReason = placed[i].OrderID.String()
		}
		return placed, nil
	}
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			id := uuid.New()
			if i == 50 {
				id = bad
			}
			o, err := orders.Place(t.Context(), []Order{{OrderID: id}})
			if id == bad {
				if fault.Code(err) != "NO" {
					t.Errorf("the bad one: %v", err)
				}
			} else if err != nil || o[0].FailureReason != id.String() || o[0].Status != OrderPending {
				t.Errorf("%+v, %v", o, err)
			}
		})
	}
	all.Wait()
	if n := len(s.calls); n > 60 {
		t.Errorf("%d calls", n)
	}
}

// An answer that has not one result for each request is given to none of them.
func TestAShortAnswerIsNoAnswer(t *testing.T) {
	s, client := start(t)
	s.answers["POST /orders/batch"] = func(map[string]json.RawMessage) (any, *fault.Error) { return []Order{}, nil }
	s.answers["POST /users/risks"] = func(map[string]json.RawMessage) (any, *fault.Error) { return []*Risk{nil, nil}, nil }
	if _, err := (&Orders{Client: client}).Place(t.Context(), []Order{{OrderID: uuid.New()}}); err == nil {
		t.Error("an order was placed that nobody placed")
	}
	if _, err := (&Users{Client: client}).Risk(t.Context(), uuid.New(), uuid.New()); err == nil || fault.Code(err) == fault.CodeUserNotFound {
		t.Errorf("%v", err)
	}
}

func TestWhoIsUnknown(t *testing.T) {
	s, client := start(t)
	users := &Users{Client: client}
	known := uuid.New()
	s.answers["POST /users/risks"] = func(map[string]json.RawMessage) (any, *fault.Error) { return []*Risk{nil}, nil }
	s.answers["POST /users/lookup"] = func(map[string]json.RawMessage) (any, *fault.Error) {
		return []User{{UserID: known, Email: "k@example.com"}}, nil
	}
	if _, err := users.Risk(t.Context(), uuid.New(), uuid.New()); fault.Code(err) != fault.CodeUserNotFound {
		t.Errorf("%v", err)
	}
	if u, err := users.User(t.Context(), known); err != nil || u.Email != "k@example.com" {
		t.Errorf("%+v, %v", u, err)
	}
	if _, err := users.User(t.Context(), uuid.New()); fault.Code(err) != fault.CodeUserNotFound {
		t.Errorf("%v", err)
	}
}

// A caller that gives up during a shared call learns that the outcome is unknown; the others get theirs.
func TestOneWhoGivesUpFailsNoOther(t *testing.T) {
	s, client := start(t)
	orders := &Orders{Client: client}
	seat := uuid.New()
	gaveUp := make(chan struct{})
	s.answers["POST /orders/confirmed"] = func(map[string]json.RawMessage) (any, *fault.Error) {
		<-gaveUp
		return []uuid.UUID{seat}, nil
	}
	soon, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
	defer cancel()
	var all sync.WaitGroup
	all.Go(func() {
		defer close(gaveUp)
		if _, err := orders.Confirmed(soon, seat); !fault.Unknown(err) {
			t.Errorf("%v", err)
		}
	})
	all.Go(func() {
		if sold, err := orders.Confirmed(t.Context(), seat); err != nil || !sold {
			t.Errorf("%v, %v", sold, err)
		}
		if sold, err := orders.Confirmed(t.Context(), uuid.New()); err != nil || sold {
			t.Errorf("another seat: %v, %v", sold, err)
		}
	})
	all.Wait()
}

// A public event is cached for some seconds and read once for all; a draft is not cached, and a change is visible at
// once.
func TestRecentEvents(t *testing.T) {
	s, client := start(t)
	events := &Events{Client: client}
	id := uuid.New()
	status, name := EventDraft, "Concert"
	s.answers["GET /events/"+id.String()] = func(map[string]json.RawMessage) (any, *fault.Error) {
		return Event{EventID: id, Status: status, Name: name}, nil
	}
	s.answers["PATCH /events/"+id.String()] = func(map[string]json.RawMessage) (any, *fault.Error) {
		name = "Changed"
		return Event{EventID: id, Status: status, Name: name}, nil
	}
	read := func() Event {
		e, err := events.Recent(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	read()
	status = EventPublished
	if e := read(); !e.Public() {
		t.Error("a draft was kept")
	}
	before := len(s.calls)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { _, _ = events.Recent(t.Context(), id) })
	}
	all.Wait()
	if len(s.calls) != before {
		t.Errorf("read %d times", len(s.calls)-before)
	}
	if _, err := events.Change(t.Context(), id, PatchEvent, EventChange{}); err != nil {
		t.Fatal(err)
	}
	if e := read(); e.Name != "Changed" {
		t.Errorf("after a change %q", e.Name)
	}
	if _, err := events.Recent(t.Context(), uuid.New()); err == nil {
		t.Error("an event that there is not")
	}
}

func TestTiersAreInTheOrderOfTheBlocksOfSeats(t *testing.T) {
	e := Event{}
	_ = json.Unmarshal([]byte(`{"pricing_tiers":{"C":10,"A":20,"B":20,"D":0}}`), &e)
	if got := strings.Join(e.Tiers(), ""); got != "ABCD" {
		t.Error(got)
	}
	if ID("") != uuid.Nil || ID(fmt.Sprint(e)) != uuid.Nil {
		t.Error("what is no id")
	}
}
