package saga_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/orchestrator-service/saga/sagatest"
	"ticketremaster/platform/fault"
)

// flaky is a log whose Begin fails: tries has the error of each try, and whether the saga is written all the same.
type flaky struct {
	*sagatest.Log
	tries []tried
	begun int
}

type tried struct {
	err     error
	written bool
	delay   func() // before the answer
}

func (f *flaky) Begin(ctx context.Context, r *saga.Record, lease time.Duration) error {
	try := tried{written: true}
	if f.begun < len(f.tries) {
		try = f.tries[f.begun]
	}
	f.begun++
	if try.written {
		if err := f.Log.Begin(ctx, r, lease); err != nil {
			return err
		}
	}
	if try.delay != nil {
		try.delay()
	}
	return try.err
}

var lost = fault.Unreachable("the saga log", errors.New("connection reset"))

// It is unknown whether Begin was written: whoever asked waits and is told that it is pending, never that nothing was
// written, and the saga is driven if it is there.
func TestBeginsUnknownOutcomeIsPending(t *testing.T) {
	notSent := fault.Unreachable("the saga log", fmt.Errorf("%w: refused", saga.ErrNotSent))
	for _, c := range []struct {
		name  string
		tries []tried
		fails bool // nothing is written then, or ever
	}{
		{"written, and the answer is lost", []tried{{lost, true, nil}}, false},
		{"not written, and the answer is lost", []tried{{lost, false, nil}}, false},
		{"lost twice, written at the first", []tried{{lost, true, nil}, {lost, false, nil}}, false},
		{"lost, and then the log is away", []tried{{lost, true, nil}, {notSent, false, nil}, {notSent, false, nil}}, false},
		{"never sent", []tried{{notSent, false, nil}}, true},
		{"refused by the log", []tried{{errors.New("no such column"), false, nil}}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log, j := &flaky{Log: sagatest.NewLog(), tries: c.tries}, &journal{}
				_, flow := engine(log, j, "")
				id := uuid.New()
				out, err := flow.Settle(t.Context(), id, id.String(), trip{})
				if c.fails {
					if err == nil {
						t.Errorf("answered %+v", out)
					}
					time.Sleep(time.Minute)
					if _, err := log.Get(t.Context(), id); fault.Code(err) != fault.CodeNotFound {
						t.Errorf("it was written after the error: %v", err)
					}
					return
				}
				if err != nil || out.Pending {
					t.Errorf("the outcome was settled within the wait, and the answer is %+v, %v", out, err)
				}
				if got := j.did(); len(got) != 3 {
					t.Errorf("did %v", got)
				}
				eventually(t, log, id, saga.Done)
			})
		})
	}
}

// The log is down for longer than any request waits. The answer is that the saga is pending; recovery drives it if it
// was written, and only then.
func TestALogThatStaysAway(t *testing.T) {
	for _, written := range []bool{true, false} {
		back := make(chan struct{})
		log, j := &flaky{Log: sagatest.NewLog(), tries: []tried{{lost, written, nil}, {lost, false, func() { <-back }}}}, &journal{}
		e, flow := engine(log, j, "")
		id := uuid.New()
		run, err := flow.Start(t.Context(), id, id.String(), trip{})
		if err != nil {
			t.Fatal(err)
		}
		if _, ended := run.Wait(within(t, 5*time.Millisecond)); ended || len(j.did()) != 0 {
			t.Error("it ended without the log")
		}
		log.Advance(time.Minute)
		replica, _ := engine(log, j, "")
		stop := recovering(t, replica)
		if written {
			eventually(t, log, id, saga.Done)
		}
		stop()
		if got := len(j.did()); got != map[bool]int{true: 3, false: 0}[written] {
			t.Errorf("written %v: %d steps were done", written, got)
		}
		close(back)
		if _, ended := run.Wait(within(t, 10*time.Second)); !ended || len(j.did()) != 3 {
			t.Errorf("written %v: who waited for it was not told of its end; did %v", written, j.did())
		}
		recovering(t, e)() // waits for what it runs
	}
}

// Another saga of the subject began meanwhile: this one never runs.
func TestAnUnknownBeginGivesWay(t *testing.T) {
	inner, j := sagatest.NewLog(), &journal{}
	subject := uuid.NewString()
	other := &saga.Record{ID: uuid.New(), Kind: "trip", Subject: subject, Status: saga.Running, State: []byte(`{}`), Owner: uuid.New(), Epoch: 1}
	log := &flaky{Log: inner, tries: []tried{{lost, false, func() { _ = inner.Begin(context.Background(), other, time.Minute) }}}}
	_, flow := engine(log, j, "")
	id := uuid.New()
	run, err := flow.Start(t.Context(), id, subject, trip{})
	if err != nil {
		t.Fatal(err)
	}
	if _, ended := run.Wait(within(t, 100*time.Millisecond)); ended || len(j.did()) != 0 {
		t.Errorf("it ended %v and did %v", ended, j.did())
	}
	if _, err := log.Get(t.Context(), id); fault.Code(err) != fault.CodeNotFound {
		t.Errorf("it is written: %v", err)
	}
}
