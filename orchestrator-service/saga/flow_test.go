package saga_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/orchestrator-service/saga/sagatest"
	"ticketremaster/platform/fault"
)

// tally is the state of a saga of two steps.
type tally struct{ First, Second int }

// tallies returns a flow whose second step behaves as act says.
func tallies(act func(ctx context.Context) error) (*saga.Flow[tally], *sagatest.Log) {
	log := sagatest.NewLog()
	return tallyOn(log, act), log
}

func tallyOn(log *sagatest.Log, act func(ctx context.Context) error) *saga.Flow[tally] {
	return saga.Register(saga.NewEngine(log, ""), "tally", []saga.Step[tally]{
		{Name: "first", Do: func(_ context.Context, s *tally) error { s.First++; return nil }, Undo: saga.Nothing[tally]},
		{Name: "second", Do: func(ctx context.Context, s *tally) error { s.Second++; return act(ctx) }},
	})
}

var errNo = fault.New(fault.Conflict, "NO", "no")

func TestSettle(t *testing.T) {
	unreachable := fault.Unreachable("a service", errors.New("time-out"))
	for _, c := range []struct {
		name    string
		act     func(context.Context) error
		code    string
		pending bool
	}{
		{"done", func(context.Context) error { return nil }, "", false},
		{"undone", func(context.Context) error { return errNo }, "NO", false},
		{"not ended in five seconds", func(context.Context) error { return unreachable }, "", true},
	} {
		synctest.Test(t, func(t *testing.T) {
			f, _ := tallies(c.act)
			begun := time.Now()
			out, err := f.Settle(t.Context(), uuid.New(), "it", tally{})
			if fault.Code(err) != c.code || out.Pending != c.pending || out.Joined {
				t.Errorf("%s: %+v, %v", c.name, out, err)
			}
			if c.code == "" && !c.pending && out.State != (tally{1, 1}) || c.pending && out.State != (tally{}) {
				t.Errorf("%s: the state is %+v", c.name, out.State)
			}
			if took := time.Since(begun); c.pending && took != 5*time.Second || !c.pending && took != 0 {
				t.Errorf("%s: it took %s", c.name, took)
			}
			time.Sleep(time.Minute)
		})
	}
}

// A caller that finds a saga of the subject gets its outcome, whoever drives it.
func TestSettleJoins(t *testing.T) {
	for _, c := range []struct {
		name     string
		takes    time.Duration
		ends     error
		pending  bool
		code     string
		replicas bool
	}{
		{"one that ends", 500 * time.Millisecond, nil, false, "", false},
		{"another replica's that ends", 500 * time.Millisecond, nil, false, "", true},
		{"one that is undone", 500 * time.Millisecond, errNo, false, "NO", false},
		{"one that does not end in a second", 2 * time.Second, nil, true, "", false},
		{"another replica's that does not", 2 * time.Second, nil, true, "", true},
	} {
		synctest.Test(t, func(t *testing.T) {
			act := func(context.Context) error { time.Sleep(c.takes); return c.ends }
			f, log := tallies(act)
			g := f
			if c.replicas {
				g = tallyOn(log, act)
			}
			if _, err := f.Start(t.Context(), uuid.New(), "it", tally{}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			begun := time.Now()
			out, err := g.Settle(t.Context(), uuid.New(), "it", tally{})
			if fault.Code(err) != c.code || out.Pending != c.pending || !out.Joined || time.Since(begun) > saga.JoinWithin {
				t.Errorf("%s: %+v, %v after %s", c.name, out, err, time.Since(begun))
			}
			time.Sleep(time.Minute)
			if c.ends == nil {
				if out, err := g.Settle(t.Context(), uuid.New(), "it", tally{}); err != nil || !out.Joined || out.State.Second != 1 {
					t.Errorf("%s: afterwards %+v, %v", c.name, out, err)
				}
			}
		})
	}
}

// A parked saga is reported as an internal error, not by its refusal.
func TestSettleOfAParkedSaga(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := saga.Register(saga.NewEngine(sagatest.NewLog(), ""), "parks", []saga.Step[tally]{
			{Name: "pivot", Do: func(context.Context, *tally) error { return nil }},
			{Name: "refused", Do: func(context.Context, *tally) error { return errNo }},
		})
		_, err := f.Settle(t.Context(), uuid.New(), "it", tally{})
		if fault.Code(err) != fault.CodeInternal {
			t.Errorf("%v", err)
		}
		if trail, err := f.Trail(t.Context(), "it"); err != nil || len(trail) != 2 { // why it was parked is for the staff
			t.Errorf("%+v, %v", trail, err)
		}
	})
}

// A request learns when it only waits, so that its slot can be released: after half a second for its own saga, at once
// for another's.
func TestWaitingIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _ := tallies(func(context.Context) error { time.Sleep(3 * time.Second); return nil })
		begun := time.Now()
		waits := func() (context.Context, *time.Duration) {
			after := time.Duration(-1)
			return saga.OnWait(t.Context(), func() { after = time.Since(begun) }), &after
		}
		first, firstWaits := waits()
		go func() { _, _ = f.Settle(first, uuid.New(), "it", tally{}) }()
		synctest.Wait()
		second, secondWaits := waits()
		_, _ = f.Settle(second, uuid.New(), "it", tally{})
		third, thirdWaits := waits()
		ended, err := f.Await(third, "it")
		synctest.Wait()
		if *firstWaits != 500*time.Millisecond || *secondWaits != 0 || *thirdWaits != time.Second || ended || err != nil {
			t.Errorf("they wait from %s, %s and %s; ended %v, %v", *firstWaits, *secondWaits, *thirdWaits, ended, err)
		}
		time.Sleep(5 * time.Second)
		if ended, err := f.Await(t.Context(), "it"); !ended || err != nil {
			t.Errorf("ended %v, %v", ended, err)
		}
		if _, err := f.Await(t.Context(), "nothing"); fault.Code(err) != fault.CodeNotFound {
			t.Errorf("%v", err)
		}
	})
}
