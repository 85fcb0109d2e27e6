package saga_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/orchestrator-service/saga/sagatest"
	"ticketremaster/platform/correlation"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/fence"
)

// trip is a saga of three steps that records what it does; steps behave as planned.
type trip struct {
	Learned string
}

type journal struct {
	mu     sync.Mutex
	lines  []string
	plan   map[string]func(try int) error
	tries  map[string]int
	epochs []int64 // of each try's fencing token
	ids    []string
}

func (j *journal) note(ctx context.Context, line string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.tries == nil {
		j.tries = map[string]int{}
	}
	j.tries[line]++
	token, _ := fence.From(ctx)
	j.epochs, j.ids = append(j.epochs, token.Epoch), append(j.ids, correlation.ID(ctx))
	if f := j.plan[line]; f != nil {
		if err := f(j.tries[line]); err != nil {
			return err
		}
	}
	j.lines = append(j.lines, line)
	return nil
}

func (j *journal) did() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.lines)
}

func (j *journal) steps(pivot string) []saga.Step[trip] {
	var steps []saga.Step[trip]
	for _, name := range []string{"a", "b", "c"} {
		s := saga.Step[trip]{
			Name: name,
			Do:   func(ctx context.Context, s *trip) error { s.Learned += name; return j.note(ctx, name) },
			Undo: func(ctx context.Context, _ *trip) error { return j.note(ctx, "undo "+name) },
		}
		if name == pivot {
			s.Undo = nil
		}
		steps = append(steps, s)
	}
	return steps
}

var (
	refused = func(int) error { return fault.New(fault.Conflict, "NO", "no") }
	unknown = func(try int) error {
		if try <= 2 {
			return fault.Unreachable("a service", errors.New("time-out"))
		}
		return nil
	}
	broken = func(int) error { return errors.New("a bug") }
)

type plan = map[string]func(int) error

// engine returns an engine on log that never pauses, with the trip's table.
func engine(log saga.Log, j *journal, pivot string) (*saga.Engine, *saga.Flow[trip]) {
	e := saga.NewEngine(log, "")
	e.NoPause()
	return e, saga.Register(e, "trip", j.steps(pivot))
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// eventually waits until the log has the saga in that status: the end of a saga is written after its answer.
func eventually(t *testing.T, log saga.Log, id uuid.UUID, want saga.Status) *saga.Record {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		r, err := log.Get(t.Context(), id)
		if err == nil && r.Status == want {
			return r
		}
		if time.Now().After(deadline) {
			t.Fatalf("the saga is %+v (%v), want %s", r, err, want)
		}
		time.Sleep(time.Millisecond) // between two looks
	}
}

func TestSagaEndsFullyDoneOrFullyUndone(t *testing.T) {
	for _, c := range []struct {
		name   string
		pivot  string
		plan   plan
		status saga.Status
		lines  []string
	}{
		{"all goes well", "", nil, saga.Done, []string{"a", "b", "c"}},
		{"an unknown outcome is asked again", "", plan{"b": unknown}, saga.Done, []string{"a", "b", "c"}},
		{"an unclassified error is an unknown outcome", "", plan{"b": func(try int) error {
			if try == 1 {
				return errors.New("?")
			}
			return nil
		}}, saga.Done, []string{"a", "b", "c"}},
		{"a panic is an unknown outcome", "", plan{"b": func(try int) error {
			if try == 1 {
				panic("?")
			}
			return nil
		}}, saga.Done, []string{"a", "b", "c"}},
		{"the first step is refused, and undone too", "", plan{"a": refused}, saga.Undone, []string{"undo a"}},
		{"the second", "", plan{"b": refused}, saga.Undone, []string{"a", "undo b", "undo a"}},
		{"the last", "", plan{"c": refused}, saga.Undone, []string{"a", "b", "undo c", "undo b", "undo a"}},
		{"undoing is insisted on", "", plan{"c": refused, "undo b": unknown}, saga.Undone, []string{"a", "b", "undo c", "undo b", "undo a"}},
		{"a refused undo parks", "", plan{"c": refused, "undo b": refused}, saga.Parked, []string{"a", "b", "undo c"}},
		{"a refused pivot turns back", "b", plan{"b": refused}, saga.Undone, []string{"a", "undo a"}},
		{"a refusal after the pivot parks", "b", plan{"c": refused}, saga.Parked, []string{"a", "b"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			log, j := sagatest.NewLog(), &journal{plan: c.plan}
			_, flow := engine(log, j, c.pivot)
			id := uuid.New()
			run, err := flow.Start(t.Context(), id, id.String(), trip{})
			if err != nil {
				t.Fatal(err)
			}
			end, ok := run.Wait(within(t, 10*time.Second))
			if !ok || end.Status != c.status {
				t.Fatalf("ended %v as %+v, want %s", ok, end, c.status)
			}
			if !slices.Equal(j.did(), c.lines) {
				t.Errorf("did %v, want %v", j.did(), c.lines)
			}
			written := eventually(t, log, id, c.status)
			if c.status == saga.Done && string(written.State) != `{"Learned":"abc"}` && len(c.plan) == 0 {
				t.Errorf("what the steps learned was not written down: %s", written.State)
			}
			if c.status != saga.Done && (written.Refusal == nil || written.Refusal.Code != "NO") {
				t.Errorf("the refusal was not written down: %+v", written.Refusal)
			}
		})
	}
}

func TestOneLiveOrDoneSagaPerSubject(t *testing.T) {
	for _, c := range []struct {
		name string
		plan plan
		ends saga.Status
		want error // what a later start gets
	}{
		{"done", nil, saga.Done, saga.ErrDone},
		{"undone", plan{"b": refused}, saga.Undone, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			log, j := sagatest.NewLog(), &journal{plan: c.plan}
			e, flow := engine(log, j, "")
			subject := uuid.NewString()
			var won, lost atomic.Int32
			var all sync.WaitGroup
			for range 20 {
				all.Go(func() {
					run, err := flow.Start(t.Context(), uuid.New(), subject, trip{})
					switch {
					case err == nil:
						won.Add(1)
						run.Wait(within(t, 10*time.Second))
					case errors.Is(err, saga.ErrLive), errors.Is(err, saga.ErrDone):
						lost.Add(1)
						if _, ok := e.Await(within(t, 10*time.Second), uuid.MustParse(fault.From(err).Details["saga_id"])); !ok {
							t.Error("the saga in the way never ended")
						}
					default:
						t.Error(err)
					}
				})
			}
			all.Wait()
			if c.want != nil && won.Load() != 1 {
				t.Errorf("%d sagas ran on one subject", won.Load())
			}
			latest, err := log.Latest(t.Context(), "trip", subject)
			if err != nil || latest == nil {
				t.Fatal(latest, err)
			}
			eventually(t, log, latest.ID, c.ends)
			if _, err = flow.Start(t.Context(), uuid.New(), subject, trip{}); !errors.Is(err, c.want) {
				t.Errorf("a later start gets %v, want %v", err, c.want)
			}
		})
	}
}

// abandon writes a saga as a process does that dies at once, compensating if turned.
func abandon(t *testing.T, log *sagatest.Log, turned bool) uuid.UUID {
	t.Helper()
	id := uuid.New()
	r := &saga.Record{ID: id, Kind: "trip", Subject: id.String(), Status: saga.Running, State: []byte(`{}`), Owner: uuid.New(), Epoch: 1}
	if err := log.Begin(t.Context(), r, -time.Second); err != nil {
		t.Fatal(err)
	}
	if turned {
		r.Turned, r.Refusal = 1, fault.New(fault.Conflict, "NO", "no")
		if err := log.Turn(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	return id
}

// recovering runs the engine's recovery until the returned function is called.
func recovering(t *testing.T, e *saga.Engine) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { e.Recover(ctx); close(done) }()
	return func() { cancel(); <-done }
}

// A process that dies leaves a row whose lease ends. Two replicas look concurrently; each saga is claimed once.
func TestReplicasTakeUpWhatADeadOneLeft(t *testing.T) {
	log, j := sagatest.NewLog(), &journal{}
	const sagas = 20
	want := map[uuid.UUID]saga.Status{}
	for n := range sagas {
		turned := n%2 == 1 // half of them died on the way back
		want[abandon(t, log, turned)] = map[bool]saga.Status{false: saga.Done, true: saga.Undone}[turned]
	}
	var stops []func()
	for range 2 {
		e, _ := engine(log, j, "")
		stops = append(stops, recovering(t, e))
	}
	for id, status := range want {
		eventually(t, log, id, status)
	}
	for _, stop := range stops {
		stop()
	}
	if len(j.lines) != sagas/2*3+sagas/2*2 {
		t.Errorf("%d steps were run, want each once: %v", len(j.lines), j.lines)
	}
	if slices.ContainsFunc(j.epochs, func(e int64) bool { return e != 2 }) {
		t.Errorf("steps were asked for under the epochs %v, want 2", j.epochs)
	}
}

// The next driver does not know what a dead process did: a refusal then undoes every step that may have been done.
func TestARefusalAfterACrashUndoesWhatMayHaveBeenDone(t *testing.T) {
	for pivot, want := range map[string][]string{"": {"undo c", "undo b", "undo a"}, "c": {"undo b", "undo a"}} {
		log, j := sagatest.NewLog(), &journal{plan: plan{"a": refused}}
		id := abandon(t, log, false)
		e, _ := engine(log, j, pivot)
		stop := recovering(t, e)
		eventually(t, log, id, saga.Undone)
		stop()
		if !slices.Equal(j.lines, want) {
			t.Errorf("with pivot %q did %v, want %v", pivot, j.lines, want)
		}
	}
}

// A stored correlation id that no transport accepts does not keep a saga from ending.
func TestAnIDThatCannotTravelIsReplacedWhenASagaIsTakenUp(t *testing.T) {
	log, j := sagatest.NewLog(), &journal{}
	id := uuid.New()
	r := &saga.Record{ID: id, Kind: "trip", Subject: "x", Status: saga.Running, State: []byte(`{}`), CorrelationID: "café\t", Owner: uuid.New(), Epoch: 1}
	if err := log.Begin(t.Context(), r, -time.Second); err != nil {
		t.Fatal(err)
	}
	e, _ := engine(log, j, "")
	stop := recovering(t, e)
	eventually(t, log, id, saga.Done)
	stop()
	if len(j.ids) != 3 || slices.Contains(j.ids, "café\t") || slices.Contains(j.ids, "") {
		t.Errorf("steps were asked for under the ids %q", j.ids)
	}
}

// A refusal because of a later driver is no answer to the step.
func TestADriverThatIsRefusedAsStaleTouchesNothing(t *testing.T) {
	for _, at := range []string{"a", "b", "c", "undo b"} {
		log := sagatest.NewLog()
		j := &journal{plan: plan{at: func(int) error { return fault.New(fault.Conflict, "OTHER", "").Because(fence.ErrStale) }}}
		if at == "undo b" {
			j.plan["c"] = refused
		}
		_, flow := engine(log, j, "")
		id := uuid.New()
		run, err := flow.Start(t.Context(), id, id.String(), trip{})
		if err != nil {
			t.Fatal(err)
		}
		if _, ended := run.Wait(within(t, 100*time.Millisecond)); ended {
			t.Errorf("stale at %q it ended", at)
		}
		r, err := log.Get(t.Context(), id)
		if err != nil || !r.Status.Live() || slices.Contains(j.did(), "undo a") {
			t.Errorf("stale at %q it is %+v after %v, %v", at, r, j.did(), err)
		}
		log.Advance(time.Second)
		if got, err := log.Claim(t.Context(), uuid.New(), time.Minute, 10); err != nil || len(got) != 0 {
			t.Errorf("stale at %q it gave a lease away that is not its own: %v, %v", at, got, err)
		}
	}
}
