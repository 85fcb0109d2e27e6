package sweep

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
)

// overdue is a list of items, oldest first; those in bad cannot be ended.
type overdue struct {
	mu    sync.Mutex
	all   []uuid.UUID
	bad   map[uuid.UUID]bool
	tries map[uuid.UUID]int
	asked []int // the limits of list
	now   int   // being ended
	most  int
}

func newOverdue(bad, good int) *overdue {
	o := &overdue{bad: map[uuid.UUID]bool{}, tries: map[uuid.UUID]int{}}
	for i := range bad + good {
		id := uuid.New()
		o.all = append(o.all, id)
		o.bad[id] = i < bad
	}
	return o
}

func (o *overdue) list(_ context.Context, limit int) ([]uuid.UUID, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked = append(o.asked, limit)
	return slices.Clone(o.all[:min(limit, len(o.all))]), nil
}

func (o *overdue) end(_ context.Context, id uuid.UUID) error {
	o.mu.Lock()
	o.now++
	o.most = max(o.most, o.now)
	o.mu.Unlock()
	time.Sleep(10 * time.Millisecond)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.now--
	o.tries[id]++
	if o.bad[id] {
		return errors.New("it cannot be ended")
	}
	o.all = slices.DeleteFunc(o.all, func(x uuid.UUID) bool { return x == id })
	return nil
}

func (o *overdue) left() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.all)
}

func (o *overdue) tried(id uuid.UUID) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.tries[id]
}

// mend makes the bad items good.
func (o *overdue) mend() {
	o.mu.Lock()
	defer o.mu.Unlock()
	clear(o.bad)
}

func (o *overdue) round() Round {
	return Of(o.list, func(id uuid.UUID) uuid.UUID { return id }, o.end)
}

// However many items cannot be ended, those after them are; and the failed ones are tried again, less and less often.
func TestWhatFailsKeepsNothingBehindItWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const bad = 250
		o := newOverdue(bad, 30)
		ctx, stop := context.WithCancel(t.Context())
		go Run(ctx, 2*time.Second, o.round())
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if left := o.left() - bad; left != 0 {
			t.Errorf("%d of those behind the bad ones are still overdue", left)
		}
		o.mu.Lock()
		one := o.all[0]
		o.mu.Unlock()
		before := o.tried(one)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if again := o.tried(one) - before; again < 7 || again > 12 {
			t.Errorf("a bad one was tried %d times in five minutes", again)
		}
		o.mend()
		time.Sleep(2 * longRest)
		stop()
		synctest.Wait()
		if len(o.all) != 0 {
			t.Errorf("%d are overdue though they can be ended", len(o.all))
		}
		if o.most > atOnce {
			t.Errorf("%d were ended at once", o.most)
		}
		if most := slices.Max(o.asked); most > mostAsked {
			t.Errorf("a list of %d was asked for", most)
		}
	})
}

// An item that another replica has ended is forgotten after a while.
func TestWhatIsNotOverdueAnyMoreIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOverdue(1, 0)
		round := o.round()
		_ = round(t.Context())
		o.all = nil
		time.Sleep(2 * longRest)
		synctest.Wait()
		_ = round(t.Context())
		_ = round(t.Context())
		if last := o.asked[len(o.asked)-1]; last != perRound {
			t.Errorf("a list of %d is asked for though nothing rests", last)
		}
	})
}

// A kind whose list cannot be read does not keep the others from being swept.
func TestOneKindThatFailsKeepsNoOtherWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		away := Of(func(context.Context, int) ([]uuid.UUID, error) { return nil, errors.New("away") },
			func(id uuid.UUID) uuid.UUID { return id }, func(context.Context, uuid.UUID) error { return nil })
		o := newOverdue(0, 1)
		ctx, stop := context.WithCancel(t.Context())
		go Run(ctx, time.Second, away, o.round())
		time.Sleep(time.Second)
		stop()
		synctest.Wait()
		if len(o.all) != 0 {
			t.Error("the second kind was not swept")
		}
	})
}

// Two replicas that sweep the same items do little of the work twice.
func TestReplicasShareTheWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOverdue(0, 400)
		ctx, stop := context.WithCancel(t.Context())
		for range 2 {
			go Run(ctx, 2*time.Second, o.round())
		}
		time.Sleep(30 * time.Second)
		stop()
		synctest.Wait()
		twice := 0
		for _, n := range o.tries {
			twice += n - 1
		}
		if len(o.all) != 0 || twice > 200 {
			t.Errorf("%d are overdue still, %d were ended twice", len(o.all), twice)
		}
	})
}
