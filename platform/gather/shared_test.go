package gather

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"ticketremaster/platform/fault"
)

// One read serves all callers of a key; a caller whose deadline passes leaves without ending the others' read.
func TestSharedReads(t *testing.T) { synctest.Test(t, testSharedReads) }

func testSharedReads(t *testing.T) {
	var s Shared[int]
	var reads atomic.Int32
	begun, gate := make(chan struct{}), make(chan struct{})
	read := func(ctx context.Context) (int, error) {
		reads.Add(1)
		close(begun)
		<-gate
		return 7, ctx.Err()
	}
	first, leave := context.WithCancel(t.Context())
	errs := make(chan error, 1)
	go func() {
		_, err := s.Do(first, "a", "the event service", read)
		errs <- err
	}()
	<-begun
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := s.Do(ended, "a", "the event service", read); fault.Code(err) != fault.CodeUnavailable {
		t.Errorf("who joins without time: %v", err)
	}
	leave()
	if err := <-errs; fault.Code(err) != fault.CodeUnavailable {
		t.Errorf("who began the read and left: %v", err)
	}
	answers := make(chan int, 1)
	go func() {
		n, err := s.Do(t.Context(), "a", "the event service", read)
		if err != nil {
			t.Error(err)
		}
		answers <- n
	}()
	synctest.Wait() // it has joined
	close(gate)
	if n := <-answers; n != 7 || reads.Load() != 1 {
		t.Errorf("%d by %d reads", n, reads.Load())
	}
}

func TestASharedReadThatPanics(t *testing.T) {
	var s Shared[int]
	if _, err := s.Do(t.Context(), "a", "the event service", func(context.Context) (int, error) { panic("bad") }); err == nil {
		t.Error("no error")
	}
}
