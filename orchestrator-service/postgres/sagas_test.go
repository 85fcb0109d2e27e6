package postgres_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"ticketremaster/orchestrator-service/postgres"
	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/platform/database"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/testenv"
)

// The saga engine is tested on its real log: what it promises is about what the log holds.

func openLog(t *testing.T) *postgres.Sagas {
	t.Helper()
	dsn := testenv.Template(t, "sagas_"+database.Fingerprint(postgres.Migrations()), func(ctx context.Context, url string) error {
		return database.Migrate(ctx, url, postgres.Migrations())
	})
	pool, err := pgxpool.New(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return postgres.New(pool)
}

// trip is a saga of three steps that notes what is done; steps behave as its plan says.
type trip struct {
	Learned string
}

type journal struct {
	mu    sync.Mutex
	lines []string
	plan  map[string]func(try int) error
	tries map[string]int
}

func (j *journal) note(line string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.tries == nil {
		j.tries = map[string]int{}
	}
	j.tries[line]++
	if f := j.plan[line]; f != nil {
		if err := f(j.tries[line]); err != nil {
			return err
		}
	}
	j.lines = append(j.lines, line)
	return nil
}

func (j *journal) steps(pivot string) []saga.Step[trip] {
	var steps []saga.Step[trip]
	for _, name := range []string{"a", "b", "c"} {
		s := saga.Step[trip]{
			Name: name,
			Do:   func(_ context.Context, s *trip) error { s.Learned += name; return j.note(name) },
			Undo: func(context.Context, *trip) error { return j.note("undo " + name) },
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
)

func TestSagaEndsFullyDoneOrFullyUndone(t *testing.T) {
	log := openLog(t)
	for _, c := range []struct {
		name   string
		pivot  string
		plan   map[string]func(int) error
		status saga.Status
		lines  []string
	}{
		{"all goes well", "", nil, saga.Done, []string{"a", "b", "c"}},
		{"an unknown outcome is asked again", "", map[string]func(int) error{"b": unknown}, saga.Done, []string{"a", "b", "c"}},
		{"an unclassified error is an unknown outcome", "", map[string]func(int) error{"b": func(try int) error {
			if try == 1 {
				return errors.New("?")
			}
			return nil
		}}, saga.Done, []string{"a", "b", "c"}},
		{"the first step is refused, and undone too", "", map[string]func(int) error{"a": refused}, saga.Undone, []string{"undo a"}},
		{"the second", "", map[string]func(int) error{"b": refused}, saga.Undone, []string{"a", "undo b", "undo a"}},
		{"the last", "", map[string]func(int) error{"c": refused}, saga.Undone, []string{"a", "b", "undo c", "undo b", "undo a"}},
		{"undoing is insisted on", "", map[string]func(int) error{"c": refused, "undo b": unknown}, saga.Undone, []string{"a", "b", "undo c", "undo b", "undo a"}},
		{"a refused undo parks", "", map[string]func(int) error{"c": refused, "undo b": refused}, saga.Parked, []string{"a", "b", "undo c"}},
		{"a refused pivot turns back", "b", map[string]func(int) error{"b": refused}, saga.Undone, []string{"a", "undo a"}},
		{"a refusal after the pivot parks", "b", map[string]func(int) error{"c": refused}, saga.Parked, []string{"a", "b"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := &journal{plan: c.plan}
			e := saga.NewEngine(log, "")
			trips := saga.Register(e, "trip", j.steps(c.pivot))
			id := uuid.New()
			run, err := trips.Start(t.Context(), id, id.String(), trip{})
			if err != nil {
				t.Fatal(err)
			}
			end, ok := run.Wait(within(t, 10*time.Second))
			if !ok || end.Status != c.status {
				t.Fatalf("ended %v as %+v, want %s", ok, end, c.status)
			}
			if !slices.Equal(j.lines, c.lines) {
				t.Errorf("did %v, want %v", j.lines, c.lines)
			}
			written := eventually(t, log, id, c.status)
			if c.status == saga.Done && string(written.State) != `{"Learned": "`+"abc"+`"}` && len(c.plan) == 0 {
				t.Errorf("what the steps learned was not written down: %s", written.State)
			}
			if c.status != saga.Done && (written.Refusal == nil || written.Refusal.Code != "NO") {
				t.Errorf("the refusal was not written down: %+v", written.Refusal)
			}
		})
	}
}

func TestOneLiveOrDoneSagaPerSubject(t *testing.T) {
	log := openLog(t)
	for _, c := range []struct {
		name string
		plan map[string]func(int) error
		ends saga.Status
		want error // what a later start gets
	}{
		{"done", nil, saga.Done, saga.ErrDone},
		{"undone", map[string]func(int) error{"b": refused}, saga.Undone, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := &journal{plan: c.plan}
			e := saga.NewEngine(log, "")
			trips := saga.Register(e, "trip", j.steps(""))
			subject := uuid.NewString()
			var won, lost atomic.Int32
			var all sync.WaitGroup
			for range 20 {
				all.Go(func() {
					run, err := trips.Start(t.Context(), uuid.New(), subject, trip{})
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
			_, err = trips.Start(t.Context(), uuid.New(), subject, trip{})
			if !errors.Is(err, c.want) && (err != nil || c.want != nil) {
				t.Errorf("a later start gets %v, want %v", err, c.want)
			}
		})
	}
}

// A process that dies leaves a row whose lease ends. Two replicas look at once; each saga is taken up once.
func TestReplicasTakeUpWhatADeadOneLeft(t *testing.T) {
	log := openLog(t)
	const sagas = 20
	var ids []uuid.UUID
	for n := range sagas {
		r := &saga.Record{ID: uuid.New(), Kind: "trip", Status: saga.Running, State: []byte(`{}`)}
		r.Subject = r.ID.String()
		if err := log.Begin(t.Context(), r, uuid.New(), time.Millisecond); err != nil {
			t.Fatal(err)
		}
		if n%2 == 1 { // half of them died on the way back
			r.Status, r.Turned, r.Refusal = saga.Compensating, 1, fault.New(fault.Conflict, "NO", "no")
			if err := log.Turn(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
		ids = append(ids, r.ID)
	}
	j := &journal{}
	ctx, stop := context.WithCancel(t.Context())
	var replicas sync.WaitGroup
	for range 2 {
		e := saga.NewEngine(log, "")
		saga.Register(e, "trip", j.steps(""))
		replicas.Go(func() { e.Recover(ctx) })
	}
	for n, id := range ids {
		want := saga.Done
		if n%2 == 1 {
			want = saga.Undone
		}
		eventually(t, log, id, want)
	}
	stop()
	replicas.Wait()
	if len(j.lines) != sagas/2*3+sagas/2*2 {
		t.Errorf("%d steps were run, want each once: %v", len(j.lines), j.lines)
	}
}

// What a dead process had done is not known to who goes on: a refusal then undoes all that can have been.
func TestARefusalAfterACrashUndoesWhatMayHaveBeenDone(t *testing.T) {
	log := openLog(t)
	for pivot, want := range map[string][]string{"": {"undo c", "undo b", "undo a"}, "c": {"undo b", "undo a"}} {
		r := &saga.Record{ID: uuid.New(), Kind: "trip", Status: saga.Running, State: []byte(`{}`)}
		r.Subject = r.ID.String()
		if err := log.Begin(t.Context(), r, uuid.New(), time.Millisecond); err != nil {
			t.Fatal(err)
		}
		j := &journal{plan: map[string]func(int) error{"a": refused}}
		e := saga.NewEngine(log, "")
		saga.Register(e, "trip", j.steps(pivot))
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { e.Recover(ctx); close(done) }()
		eventually(t, log, r.ID, saga.Undone)
		stop()
		<-done
		if !slices.Equal(j.lines, want) {
			t.Errorf("with pivot %q did %v, want %v", pivot, j.lines, want)
		}
	}
}

func TestALeaseThatIsKeptIsNotTakenOver(t *testing.T) {
	log := openLog(t)
	owner := uuid.New()
	r := &saga.Record{ID: uuid.New(), Kind: "trip", Subject: "x", Status: saga.Running, State: []byte(`{}`)}
	if err := log.Begin(t.Context(), r, owner, time.Minute); err != nil {
		t.Fatal(err)
	}
	if got, err := log.Claim(t.Context(), uuid.New(), time.Minute, 10); err != nil || len(got) != 0 {
		t.Errorf("another took it over: %v, %v", got, err)
	}
	if mine, err := log.Renew(t.Context(), r.ID, uuid.New(), time.Minute); err != nil || mine {
		t.Errorf("a stranger renewed the lease: %v, %v", mine, err)
	}
	if err := log.Rest(t.Context(), r.ID, owner, -time.Second); err != nil {
		t.Fatal(err)
	}
	if got, err := log.Claim(t.Context(), uuid.New(), time.Minute, 10); err != nil || len(got) != 1 {
		t.Errorf("a saga at rest was not taken up: %v, %v", got, err)
	}
}

func TestTheSchemaGuardsTheLog(t *testing.T) {
	log := openLog(t)
	r := &saga.Record{ID: uuid.New(), Kind: "trip", Subject: "x", Status: saga.Running, State: []byte(`{}`)}
	if err := log.Begin(t.Context(), r, uuid.New(), time.Minute); err != nil {
		t.Fatal(err)
	}
	for constraint, sql := range map[string]string{
		"sagas_kept":          `DELETE FROM sagas`,
		"sagas_transition":    `UPDATE sagas SET status = 'UNDONE', refusal = '{}'`,
		"sagas_status_known":  `INSERT INTO sagas (saga_id, kind, subject, status, state, lease_owner, lease_until) VALUES (gen_random_uuid(), 'k', 's', 'LOST', '{}', gen_random_uuid(), now())`,
		"sagas_refusal_known": `UPDATE sagas SET status = 'COMPENSATING'`,
	} {
		if _, err := log.Pool.Exec(t.Context(), sql); !database.Violates(err, constraint) {
			t.Errorf("%s: got %v", constraint, err)
		}
	}
}

func TestADatabaseThatIsGoneIsUnavailable(t *testing.T) {
	server := testenv.PrivatePostgres(t)
	pool, err := database.Open(t.Context(), server.URL, postgres.Migrations())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	log := postgres.New(pool)
	server.Stop()
	r := &saga.Record{ID: uuid.New(), Kind: "trip", Subject: "x", Status: saga.Running, State: []byte(`{}`)}
	if err := log.Begin(within(t, 5*time.Second), r, uuid.New(), time.Minute); fault.Code(err) != fault.CodeUnavailable {
		t.Errorf("got %v", err)
	}
}

func TestTwoReplicasMigrateAtOnce(t *testing.T) {
	dsn := testenv.Postgres(t)
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			if err := database.Migrate(t.Context(), dsn, postgres.Migrations()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// eventually waits until the log has the saga in that status: a saga that is done is written down after its answer.
func eventually(t *testing.T, log *postgres.Sagas, id uuid.UUID, want saga.Status) *saga.Record {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); ; {
		r, err := log.Get(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if r.Status == want {
			return r
		}
		if time.Now().After(deadline) {
			t.Fatalf("the saga is %s, want %s", r.Status, want)
		}
		time.Sleep(10 * time.Millisecond) // between two looks
	}
}
