package saga_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/orchestrator-service/saga/sagatest"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/fence"
)

// Two drivers of one saga: the first is stopped anywhere for longer than its lease, the second claims the saga and is
// stopped anywhere too, and either goes on, while any call may be refused or its answer be lost. Every such course of a
// table's saga is run, up to a number of switches and of calls that go wrong; each must leave all of it done or all
// undone, and as it was told.

// model is the shape of a table that we have: which service does a step, and whether it can be undone.
type model []struct {
	service string
	pivot   bool
}

var models = map[string]model{
	"purchase":     {{"inventory", false}, {"users", false}, {"orders", false}, {"inventory", true}},
	"transfer":     {{"orders", false}, {"users", false}, {"inventory", true}, {"users", true}, {"orders", true}}, // and reversal
	"dispute":      {{"orders", false}, {"users", true}},
	"end-dispute":  {{"orders", true}, {"users", true}},
	"create-event": {{"events", false}, {"inventory", false}, {"events", true}},
}

func (m model) firstPivot() int {
	for i, s := range m {
		if s.pivot {
			return i
		}
	}
	return len(m)
}

// guards can be taken out, to see that the test notices.
type guards struct{ rowsAffected, fences bool }

// chooser enumerates all sequences of choices, depth first: each run replays a prefix and extends it by first choices.
type chooser struct {
	taken, options []int
	at             int
}

func (c *chooser) choose(n int) int {
	if c.at == len(c.taken) {
		c.taken, c.options = append(c.taken, 0), append(c.options, n)
	}
	c.at++
	return c.taken[c.at-1]
}

// next moves on to the next sequence; false if there is none.
func (c *chooser) next() bool {
	for c.at = 0; len(c.taken) > 0; {
		last := len(c.taken) - 1
		if c.taken[last]++; c.taken[last] < c.options[last] {
			return true
		}
		c.taken, c.options = c.taken[:last], c.options[:last]
	}
	return false
}

// world is one course of one saga.
type world struct {
	*chooser
	model    model
	guards   guards
	log      *sagatest.Log
	cells    []string         // what became of each step: "", done or void
	fences   map[string]int64 // by service
	wrong    int              // calls that may still go wrong
	drivers  []*driver
	current  *driver
	switches int // that are left
}

// driver is one claim of the saga, as a coroutine that yields wherever it may be stopped.
type driver struct {
	resume func() (struct{}, bool)
	stop   func()
	yield  func(struct{}) bool
	ended  *saga.Record // what it told its caller
	gone   bool
}

// pause is a place where the driver that runs may be stopped.
func (w *world) pause() {
	if d := w.current; d != nil {
		d.yield(struct{}{})
	}
}

// goesWrong chooses one of n ways for a call to go wrong; 0: none.
func (w *world) goesWrong(n int) int {
	if w.wrong == 0 {
		return 0
	}
	way := w.choose(n + 1)
	if way > 0 {
		w.wrong--
	}
	return way
}

var noAnswer = fault.Unreachable("a service", errors.New("no answer"))

// call is a call of a service, which fences it and then does what land does.
func (w *world) call(ctx context.Context, service string, refusable bool, land func(refuse bool) error) error {
	token, _ := fence.From(ctx)
	w.pause()
	ways := 2
	if refusable {
		ways = 3
	}
	way := w.goesWrong(ways)
	if way == 2 {
		return noAnswer // and it never came
	}
	if w.guards.fences {
		if token.Epoch > 1 {
			w.fences[service] = max(w.fences[service], token.Epoch)
			w.pause()
		}
		if w.fences[service] > token.Epoch {
			return fence.ErrStale
		}
	}
	err := land(way == 3)
	w.pause()
	if way == 1 {
		return noAnswer // but it came
	}
	return err
}

// steps makes the table. A step that was undone is refused for ever; one that was done answers its repeat; any other is
// refused when the world chooses so, as by a balance that may be another the next time.
func (w *world) steps() []saga.Step[trip] {
	var steps []saga.Step[trip]
	for i, m := range w.model {
		s := saga.Step[trip]{Name: fmt.Sprint(i), Do: func(ctx context.Context, _ *trip) error {
			refusable := i <= w.model.firstPivot() // no rule refuses what comes behind it
			return w.call(ctx, m.service, refusable, func(refuse bool) error {
				switch {
				case w.cells[i] == "void":
					return fault.New(fault.Conflict, "VOIDED", "")
				case refuse && w.cells[i] == "":
					return fault.New(fault.PaymentRequired, "NO", "not now")
				}
				w.cells[i] = "done"
				return nil
			})
		}}
		if !m.pivot {
			s.Undo = func(ctx context.Context, _ *trip) error {
				return w.call(ctx, m.service, false, func(bool) error { w.cells[i] = "void"; return nil })
			}
		}
		steps = append(steps, s)
	}
	return steps
}

// The world is a log too, in whose calls a driver may be stopped and whose answers may be lost.
type worldLog struct {
	*sagatest.Log
	w *world
}

func (l worldLog) write(f func() error) error {
	l.w.pause()
	way := l.w.goesWrong(2)
	if way == 2 {
		return noAnswer
	}
	err := f()
	if !l.w.guards.rowsAffected && errors.Is(err, saga.ErrLost) {
		err = nil
	}
	l.w.pause()
	if way == 1 {
		return noAnswer
	}
	return err
}

func (l worldLog) Turn(ctx context.Context, r *saga.Record) error {
	return l.write(func() error { return l.Log.Turn(ctx, r) })
}

func (l worldLog) End(ctx context.Context, r *saga.Record) error {
	return l.write(func() error { return l.Log.End(ctx, r) })
}

func (w *world) start(e *saga.Engine, r *saga.Record) *driver {
	d := &driver{}
	d.resume, d.stop = iter.Pull(func(yield func(struct{}) bool) {
		d.yield = yield
		d.ended = e.Drive(r)
	})
	w.drivers = append(w.drivers, d)
	return d
}

// run runs the course that the choices make, and tells what is wrong with how it ended.
func (w *world) run() (problem string) {
	w.log, w.cells, w.fences, w.drivers = sagatest.NewLog(), make([]string, len(w.model)), map[string]int64{}, nil
	e := saga.NewEngine(worldLog{w.log, w}, "")
	e.NoPause()
	saga.Register(e, "trip", w.steps())
	ctx, id := context.Background(), uuid.UUID{1}
	r := &saga.Record{ID: id, Kind: "trip", Subject: "x", Status: saga.Running, State: []byte(`{}`), Owner: uuid.UUID{2}, Epoch: 1}
	if err := w.log.Begin(ctx, r, 10*time.Second); err != nil {
		return err.Error()
	}
	claim := func() bool {
		w.log.Advance(time.Hour)
		records, err := w.log.Claim(ctx, uuid.UUID{2}, 10*time.Second, 2) // the same process: only the epoch tells them apart
		if err != nil || len(records) == 0 {
			return false
		}
		w.start(e, records[0])
		return true
	}
	running := w.start(e, r)
	// The first driver runs until it is stopped; then the second is there, and they take turns.
	for active := 1; active > 0; {
		w.current = running
		_, more := running.resume()
		w.current = nil
		other := w.other(running)
		switch {
		case !more:
			running.gone = true
			active--
			if running = other; running == nil && active > 0 {
				return "a driver is lost"
			}
		case w.switches > 0 && w.choose(2) == 1:
			w.switches--
			if len(w.drivers) == 1 {
				if claim() {
					active++
				}
				other = w.other(running)
			}
			if other != nil {
				running = other
			}
		}
	}
	for range 5 { // recovery, with nothing going wrong any more
		w.wrong = 0
		if !claim() {
			break
		}
		last := w.drivers[len(w.drivers)-1]
		for more := true; more; {
			w.current = last
			_, more = last.resume()
		}
		w.current = nil
	}
	return w.judge(id)
}

func (w *world) other(d *driver) *driver {
	for _, o := range w.drivers {
		if o != d && !o.gone {
			return o
		}
	}
	return nil
}

func (w *world) judge(id uuid.UUID) string {
	r, err := w.log.Get(context.Background(), id)
	if err != nil {
		return err.Error()
	}
	for i, cell := range w.cells {
		if (r.Status == saga.Done) != (cell == "done") {
			return fmt.Sprintf("it is %s, and step %d is %q: %q", r.Status, i, cell, w.cells)
		}
	}
	if r.Status != saga.Done && r.Status != saga.Undone {
		return "it is " + string(r.Status)
	}
	for n, d := range w.drivers {
		if d.ended != nil && d.ended.Status != r.Status {
			return fmt.Sprintf("driver %d told that it is %s, and it is %s", n+1, d.ended.Status, r.Status)
		}
	}
	return ""
}

// explore runs every course with at most that many calls that go wrong and that many switches between the drivers. It
// ends at the first problem.
func explore(m model, g guards, wrong, switches int) (courses int, problem string) {
	c := &chooser{}
	for {
		w := &world{chooser: c, model: m, guards: g, wrong: wrong, switches: switches}
		problem = w.run()
		for _, d := range w.drivers {
			d.stop()
		}
		courses++
		if problem != "" {
			return courses, fmt.Sprintf("%s (choices %v)", problem, c.taken)
		}
		if !c.next() {
			return courses, ""
		}
	}
}

// quiet keeps the engine's words on each of many thousand courses out of the test's output.
func quiet(t *testing.T) {
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(io.Discard, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
}

func TestTwoDriversOfOneSaga(t *testing.T) {
	quiet(t)
	for name, m := range models {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			budgets := [][2]int{{1, 2}, {2, 2}} // calls that go wrong, and switches
			for _, budget := range budgets {
				courses, problem := explore(m, guards{true, true}, budget[0], budget[1])
				if problem != "" {
					t.Errorf("after %d courses: %s", courses, problem)
				}
				t.Logf("%d courses", courses)
			}
		})
	}
}

// Without one of the guards the same courses come out wrong: the test above sees what it looks for.
func TestEachGuardAgainstALateDriverIsNeeded(t *testing.T) {
	quiet(t)
	for what, g := range map[string]guards{"the look at the rows affected": {false, true}, "the participants' fences": {true, false}} {
		found := false
		for name, m := range models {
			if courses, problem := explore(m, g, 1, 2); problem != "" {
				found = true
				t.Logf("without %s, %s, course %d: %s", what, name, courses, problem)
			}
		}
		if !found {
			t.Errorf("without %s every course comes out right", what)
		}
	}
}
