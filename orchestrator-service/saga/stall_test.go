package saga_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/orchestrator-service/saga/sagatest"
	"ticketremaster/platform/fault"
)

// A saga is parked after hours of an outage of a service, or after minutes of another failure; its pauses grow.
func TestHowLongASagaWithoutProgressIsTried(t *testing.T) {
	for _, c := range []struct {
		name        string
		err         error
		rounds      int           // at least, until it is parked
		within, not time.Duration // of being parked
		longest     time.Duration // rest
	}{
		{"an outage", fault.Unreachable("a service", errors.New("down")), 300, 7 * time.Hour, 6 * time.Hour, time.Minute},
		{"a fault of ours", errors.New("a header that cannot be sent"), 10, time.Hour, 10 * time.Minute, 10 * time.Minute},
	} {
		r := &saga.Record{Status: saga.Running}
		now := time.Now()
		start, rounds, before := now, 0, time.Duration(0)
		for {
			pause, park := r.Stall(c.err, now)
			rounds++
			if park {
				break
			}
			if pause < before || pause > c.longest || pause < 3*time.Second {
				t.Fatalf("%s: round %d rests %s after %s", c.name, rounds, pause, before)
			}
			before = pause
			now = now.Add(pause)
		}
		if took := now.Sub(start); rounds < c.rounds || took > c.within || took < c.not || before != c.longest {
			t.Errorf("%s: parked after %s and %d rounds, the last rest being %s", c.name, took, rounds, before)
		}
	}
}

// rounds drives an abandoned saga round by round, as recovery would, until it ends or for that many rounds.
func rounds(t *testing.T, log *sagatest.Log, e *saga.Engine, id uuid.UUID, most int) (*saga.Record, int) {
	t.Helper()
	for n := range most {
		log.Advance(11 * time.Minute)
		claimed, err := log.Claim(t.Context(), uuid.New(), time.Minute, 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range claimed {
			e.Drive(r)
		}
		r, err := log.Get(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if !r.Status.Live() {
			return r, n + 1
		}
	}
	return nil, most
}

// A saga that always fails by an internal error is parked and delays no other; one that makes progress each time is not
// parked.
func TestASagaWithoutProgressIsParked(t *testing.T) {
	log, j := sagatest.NewLog(), &journal{plan: plan{"b": broken}}
	e, _ := engine(log, j, "")
	id := abandon(t, log, false)
	r, n := rounds(t, log, e, id, 50)
	// The first round got past "a": that was progress.
	if r == nil || r.Status != saga.Parked || n != 10 || r.ParkedFrom != saga.Running || r.Refusal == nil || r.Refusal.Code != "SAGA_STALLED" || r.Reached != 1 {
		t.Fatalf("after %d rounds it is %+v", n, r)
	}
	if tries := j.tries["b"]; tries != 50 {
		t.Errorf("it was tried %d times, want 5 a round", tries)
	}
	if last := r.Trail[len(r.Trail)-1]; last.What != "parked" {
		t.Errorf("its trail ends with %+v", last)
	}

	// Each step fails for nine rounds: the saga is never parked.
	failing := func(try int) error {
		if try <= 9*5 {
			return errors.New("a bug")
		}
		return nil
	}
	log, j = sagatest.NewLog(), &journal{plan: plan{"a": failing, "b": failing, "c": refused, "undo c": failing, "undo b": failing, "undo a": failing}}
	e, _ = engine(log, j, "")
	id = abandon(t, log, false)
	if r, n := rounds(t, log, e, id, 100); r == nil || r.Status != saga.Undone || n < 40 {
		t.Errorf("after %d rounds it is %+v", n, r)
	}
}

// Any number of sagas that always fail do not keep others from being claimed: here all are due at every look.
func TestPoisonedSagasStarveNobody(t *testing.T) {
	log, j := sagatest.NewLog(), &journal{}
	e := saga.NewEngine(log, "")
	e.NoPause()
	saga.Register(e, "trip", j.steps(""))
	saga.Register(e, "poisoned", (&journal{plan: plan{"a": broken}}).steps(""))
	for range 1000 {
		r := &saga.Record{ID: uuid.New(), Kind: "poisoned", Status: saga.Running, State: []byte(`{}`), Owner: uuid.New(), Epoch: 1}
		r.Subject = r.ID.String()
		r.StalledSince = time.Now()
		if err := log.Begin(t.Context(), r, time.Hour); err != nil {
			t.Fatal(err)
		}
		if err := log.Rest(t.Context(), r, -time.Hour); err != nil { // due for longer than any honest one
			t.Fatal(err)
		}
	}
	honest := abandon(t, log, false)
	claimed, err := log.Claim(t.Context(), uuid.New(), time.Minute, 64)
	if err != nil || len(claimed) != 33 {
		t.Fatalf("%d were claimed, %v", len(claimed), err)
	}
	for _, r := range claimed {
		e.Drive(r)
	}
	eventually(t, log, honest, saga.Done)
}

func TestAParkedSagaGoesOn(t *testing.T) {
	for _, c := range []struct {
		name, pivot string
		plan        plan // until it is reopened
		compensate  bool
		code        string // of the refusal
		ends        saga.Status
	}{
		{"stalled, resumed", "c", plan{"b": broken}, false, "", saga.Done},
		{"stalled before the pivot, compensated", "c", plan{"b": broken}, true, "", saga.Undone},
		{"stalled at the pivot, compensated", "c", plan{"c": broken}, true, "SAGA_PAST_PIVOT", ""},
		{"stalled behind the pivot, compensated", "a", plan{"b": broken}, true, "SAGA_PAST_PIVOT", ""},
		{"stalled at the pivot, resumed", "c", plan{"c": broken}, false, "", saga.Done},
		{"without a pivot, compensated", "", plan{"c": broken}, true, "", saga.Undone},
		{"refused behind the pivot, resumed", "b", plan{"c": refused}, false, "", saga.Done},
		{"refused behind the pivot, compensated", "b", plan{"c": refused}, true, "SAGA_PAST_PIVOT", ""},
		{"an undo refused, resumed", "", plan{"c": refused, "undo b": refused}, false, "", saga.Undone},
		{"an undo refused, compensated", "", plan{"c": refused, "undo b": refused}, true, "", saga.Undone},
	} {
		t.Run(c.name, func(t *testing.T) {
			log, j := sagatest.NewLog(), &journal{plan: c.plan}
			e, flow := engine(log, j, c.pivot)
			id := uuid.New()
			run, err := flow.Start(t.Context(), id, id.String(), trip{})
			if err != nil {
				t.Fatal(err)
			}
			<-run.Left()
			parked, _ := rounds(t, log, e, id, 20)
			if parked == nil || parked.Status != saga.Parked {
				t.Fatalf("it is %+v", parked)
			}
			if list, total, err := e.Parked(t.Context(), 10, 0); err != nil || total != 1 || list[0].ID != id {
				t.Errorf("parked: %v of %d, %v", list, total, err)
			}
			j.mu.Lock()
			j.plan, j.lines = nil, nil
			j.mu.Unlock()
			act := e.Resume
			if c.compensate {
				act = e.Compensate
			}
			if err := act(t.Context(), id, "an admin", "it was mended"); fault.Code(err) != c.code {
				t.Fatalf("got %v, want %q", err, c.code)
			}
			if c.code != "" {
				if r, _ := log.Get(t.Context(), id); r.Status != saga.Parked || len(r.Trail) != len(parked.Trail) {
					t.Errorf("a refused command changed it: %+v", r)
				}
				return
			}
			if err := act(t.Context(), id, "another admin", "again"); !errors.Is(err, saga.ErrNotParked) {
				t.Errorf("the second time: %v", err)
			}
			r, _ := rounds(t, log, e, id, 5)
			if r == nil || r.Status != c.ends {
				t.Fatalf("it is %+v, want %s", r, c.ends)
			}
			reason := r.Trail[len(parked.Trail)]
			if reason.Step != "it was mended" || reason.Note != "an admin" {
				t.Errorf("the reason is kept as %+v", reason)
			}
		})
	}
}

// A driver that died may have passed the pivot: then an administrator cannot compensate the saga.
func TestWhatAVanishedDriverDidIsUnknown(t *testing.T) {
	log, j := sagatest.NewLog(), &journal{plan: plan{"a": broken}}
	e, _ := engine(log, j, "c")
	id := abandon(t, log, false)
	if r, n := rounds(t, log, e, id, 20); r == nil || r.Status != saga.Parked {
		t.Fatalf("after %d rounds it is %+v", n, r)
	}
	if err := e.Compensate(t.Context(), id, "an admin", "please"); fault.Code(err) != "SAGA_PAST_PIVOT" {
		t.Errorf("got %v", err)
	}
	if err := e.Resume(t.Context(), uuid.New(), "an admin", "please"); fault.Code(err) != fault.CodeNotFound {
		t.Errorf("an unknown one: %v", err)
	}
}
