package gather

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ticketremaster/platform/correlation"
	"ticketremaster/platform/fault"
)

var errOdd = fault.New(fault.Conflict, "ODD", "odd numbers are refused")

// batches records the batches and blocks each until it is released.
type batches struct {
	mu   sync.Mutex
	made [][]int
	ids  []string
	gate chan struct{}
	fail func([]int) error
}

func (j *batches) double(ctx context.Context, in []int) ([]int, error) {
	j.mu.Lock()
	j.made, j.ids = append(j.made, in), append(j.ids, correlation.ID(ctx))
	j.mu.Unlock()
	<-j.gate
	if j.fail != nil {
		if err := j.fail(in); err != nil {
			return nil, err
		}
	}
	out := make([]int, len(in))
	for i, n := range in {
		out[i] = 2 * n
	}
	return out, nil
}

func (j *batches) count() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.made)
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 5 s: %s", what)
		}
	}
}

type result struct {
	in, out int
	err     error
}

// burst sends one call, and 50 that wait behind it.
func burst(t *testing.T, j *batches) (answers chan result) {
	g := Group[int, int]{Slow: time.Hour}
	answers = make(chan result, 51)
	for n := range 51 {
		ctx := correlation.With(t.Context(), fmt.Sprintf("request-%d", n))
		go func() { out, err := g.Do(ctx, n, j.double); answers <- result{n, out, err} }()
		if n == 0 {
			until(t, "a batch is running", func() bool { return j.count() == 1 })
		}
	}
	until(t, "all others wait", func() bool { g.mu.Lock(); defer g.mu.Unlock(); return len(g.waiting) == 50 })
	return answers
}

func TestWhoComesTogetherTravelsTogether(t *testing.T) {
	j := &batches{gate: make(chan struct{})}
	answers := burst(t, j)
	if n := j.count(); n != 1 {
		t.Fatalf("%d batches are under way, want 1", n)
	}
	close(j.gate)
	for range 51 {
		if a := <-answers; a.err != nil || a.out != 2*a.in {
			t.Errorf("%d: %d, %v", a.in, a.out, a.err)
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if n := len(j.made); n != 4 { // 1, 24, 24, 2
		t.Errorf("51 calls took %d batches", n)
	}
	for i, in := range j.made {
		if len(in) > Most {
			t.Errorf("%d travelled together", len(in))
		}
		for _, n := range in {
			if !slices.Contains(strings.Split(j.ids[i], ","), fmt.Sprintf("request-%d", n)) {
				t.Errorf("call %d travelled under %q", n, j.ids[i])
			}
		}
	}
}

// A refusal of one call does not affect the others; an outage affects all, and is not made worse by a call for each.
func TestOneCallsFaultIsNoOthers(t *testing.T) {
	for name, fails := range map[string]error{"refusal": errOdd, "bug": errors.New("a constraint is violated")} {
		j := &batches{gate: make(chan struct{}), fail: func(in []int) error {
			if slices.ContainsFunc(in, func(n int) bool { return n%2 == 1 }) {
				return fails
			}
			return nil
		}}
		answers := burst(t, j)
		close(j.gate)
		for range 51 {
			a := <-answers
			if odd := a.in%2 == 1; odd != errors.Is(a.err, fails) || !odd && (a.err != nil || a.out != 2*a.in) {
				t.Errorf("%s: %d: %d, %v", name, a.in, a.out, a.err)
			}
		}
	}
	j := &batches{gate: make(chan struct{}), fail: func([]int) error { return fault.Unreachable("the service", nil) }}
	answers := burst(t, j)
	close(j.gate)
	for range 51 {
		if a := <-answers; !fault.Unknown(a.err) {
			t.Errorf("%d: %v", a.in, a.err)
		}
	}
	if n := j.count(); n != 4 {
		t.Errorf("an outage was asked about %d times for 51 calls", n)
	}
}

func TestACallerMayGiveUp(t *testing.T) {
	j := &batches{gate: make(chan struct{})}
	var g Group[int, int]
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() { _, err := g.Do(ctx, 1, j.double); gone <- err }()
	until(t, "it is under way", func() bool { return j.count() == 1 })
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	close(j.gate)
	if out, err := g.Do(t.Context(), 2, j.double); out != 4 || err != nil {
		t.Errorf("the next: %d, %v", out, err)
	}
}

func TestAsManyBatchesAtOnceAsThereAreLanes(t *testing.T) {
	j := &batches{gate: make(chan struct{})}
	g := Group[int, int]{Lanes: 3, Slow: time.Hour}
	answers := make(chan error, 10)
	for n := range 10 {
		go func() { _, err := g.Do(t.Context(), n, j.double); answers <- err }()
		if n < 3 {
			until(t, "it is under way", func() bool { return j.count() == n+1 })
		}
	}
	until(t, "seven wait behind three", func() bool { g.mu.Lock(); defer g.mu.Unlock(); return len(g.waiting) == 7 })
	close(j.gate)
	for range 10 {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
	until(t, "all lanes are free", func() bool { g.mu.Lock(); defer g.mu.Unlock(); return g.running == 0 })
}

// A batch that hangs blocks no other, and neither it nor the batches that overtook it leave a lane occupied or free
// permanently.
func TestWhoHangsHoldsNobodyUp(t *testing.T) {
	j := &batches{gate: make(chan struct{})}
	g := Group[int, int]{Slow: time.Millisecond}
	hangs := make(chan error, 1)
	go func() { _, err := g.Do(t.Context(), 0, j.double); hangs <- err }()
	until(t, "the first hangs", func() bool { return j.count() == 1 })
	go func() { _, err := g.Do(t.Context(), 1, j.double); hangs <- err }()
	until(t, "the second left without it", func() bool { return j.count() == 2 })
	until(t, "both count no more", func() bool { g.mu.Lock(); defer g.mu.Unlock(); return g.running == 0 })
	close(j.gate)
	for range 2 {
		if err := <-hangs; err != nil {
			t.Error(err)
		}
	}
	for n := range 10 {
		if out, err := g.Do(t.Context(), n, j.double); out != 2*n || err != nil {
			t.Errorf("afterwards: %d, %v", out, err)
		}
	}
	until(t, "the lane is free", func() bool { g.mu.Lock(); defer g.mu.Unlock(); return g.running == 0 })
}

// A call is not sent if its caller has given up before.
func TestWhoIsGoneStaysBehind(t *testing.T) {
	j := &batches{gate: make(chan struct{})}
	g := Group[int, int]{Slow: time.Hour}
	first := make(chan error, 1)
	go func() { _, err := g.Do(t.Context(), 0, j.double); first <- err }()
	until(t, "the first is under way", func() bool { return j.count() == 1 })
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() { _, err := g.Do(ctx, 1, j.double); gone <- err }()
	until(t, "the second waits", func() bool { g.mu.Lock(); defer g.mu.Unlock(); return len(g.waiting) == 1 })
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	close(j.gate)
	if err := <-first; err != nil {
		t.Error(err)
	}
	until(t, "the lane is free", func() bool { g.mu.Lock(); defer g.mu.Unlock(); return g.running == 0 })
	if n := j.count(); n != 1 {
		t.Errorf("%d batches were made", n)
	}
}

// A batch is cancelled when the last of its callers gives up, not when one of them does.
func TestAJourneyEndsWithItsLastCaller(t *testing.T) {
	in := func(d time.Duration) context.Context {
		if d == 0 {
			return t.Context()
		}
		ctx, cancel := context.WithTimeout(t.Context(), d)
		t.Cleanup(cancel)
		return ctx
	}
	for _, c := range []struct {
		lives []time.Duration
		want  time.Duration
	}{
		{[]time.Duration{time.Hour}, time.Hour},
		{[]time.Duration{time.Minute, time.Hour, time.Minute}, time.Hour},
		{[]time.Duration{time.Minute, 0, time.Hour}, 0},
	} {
		var calls []*call[int, int]
		for _, life := range c.lives {
			calls = append(calls, &call[int, int]{ctx: in(life), done: make(chan struct{})})
		}
		answer(calls, func(ctx context.Context, in []int) ([]int, error) {
			deadline, has := ctx.Deadline()
			if has != (c.want > 0) || has && time.Until(deadline).Round(time.Minute) != c.want {
				t.Errorf("%v: ends %v (%v)", c.lives, deadline, has)
			}
			return in, nil
		})
	}
}
