package messages_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	dto "github.com/prometheus/client_model/go"

	"ticketremaster/orchestrator-service/messages"
	"ticketremaster/orchestrator-service/postgres"
	"ticketremaster/platform/broker"
	"ticketremaster/platform/correlation"
	"ticketremaster/platform/database"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/testenv"
)

const queue = "order.expiry.queue"

func open(t *testing.T, url string) *messages.Flows {
	t.Helper()
	dsn := testenv.Template(t, "sagas_"+database.Fingerprint(postgres.Migrations()), func(ctx context.Context, url string) error {
		return database.Migrate(ctx, url, postgres.Migrations())
	})
	pool, err := database.Open(t.Context(), dsn, postgres.Migrations())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return &messages.Flows{Store: postgres.Messages{Pool: pool}, BrokerURL: url}
}

// during runs a worker until the test ends.
func during(t *testing.T, run func(context.Context)) {
	ctx, stop := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() { run(ctx) })
	t.Cleanup(func() { stop(); ended.Wait() })
}

func until(t *testing.T, what string, reached func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !reached(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

func list(t *testing.T, f *messages.Flows, status messages.Status) []messages.Message {
	t.Helper()
	found, total, err := f.List(t.Context(), status, 100, 0)
	if err != nil || total != len(found) {
		t.Fatalf("%d of %d, %v", len(found), total, err)
	}
	return found
}

// A message that fails again and again is kept with its reason; once the cause is removed, one of four administrators
// who replay it at once has it handled, and it is not handled twice.
func TestAParkedMessageIsReplayedOnce(t *testing.T) {
	f := open(t, testenv.RabbitMQ(t))
	var mended atomic.Bool
	var handled atomic.Int32
	during(t, broker.Consumer{URL: f.BrokerURL, Role: "test consumes", Queue: queue, Parking: "parked.queue", Tries: 1, Handle: func(ctx context.Context, body []byte) error {
		if string(body) == "poison" && !mended.Load() {
			return errors.New("it cannot be handled")
		}
		if string(body) == "poison" && correlation.ID(ctx) != "the-request" {
			t.Errorf("it came with %q", correlation.ID(ctx))
		}
		handled.Add(1)
		return nil
	}}.Run)
	during(t, f.Collect)
	p := broker.NewPublisher(f.BrokerURL, "test publishes", broker.Topology{})
	during(t, p.Run)
	p.Publish(correlation.With(t.Context(), "the-request"), broker.Message{Key: queue, Body: []byte("poison")})

	until(t, "it is parked", func() bool { return len(list(t, f, messages.Parked)) == 1 })
	m := list(t, f, messages.Parked)[0]
	if m.Queue != queue || m.Because != "it cannot be handled" || m.CorrelationID != "the-request" || string(m.Body) != "poison" || time.Since(m.ParkedAt) > time.Minute {
		t.Errorf("%+v", m)
	}
	shown(t, f, 1)
	mended.Store(true)
	by := uuid.New()
	if err := f.Replay(t.Context(), []uuid.UUID{m.ID, uuid.New()}, by, "one is unknown"); fault.Code(err) != fault.CodeNotFound {
		t.Errorf("an unknown one: %v", err)
	}
	var all sync.WaitGroup
	var won, lost atomic.Int32
	for range 4 {
		all.Go(func() {
			switch err := f.Replay(t.Context(), []uuid.UUID{m.ID}, by, "it was mended"); {
			case err == nil:
				won.Add(1)
			case errors.Is(err, messages.ErrNotParked):
				lost.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 || lost.Load() != 3 {
		t.Errorf("%d replayed it, %d were refused", won.Load(), lost.Load())
	}
	p.Publish(t.Context(), broker.Message{Key: queue, Body: []byte("the last")})
	until(t, "all is handled", func() bool { return handled.Load() >= 2 })
	if handled.Load() != 2 {
		t.Errorf("handled %d times", handled.Load())
	}
	if d := list(t, f, messages.Replayed); len(d) != 1 || d[0].DecidedBy.UUID != by || d[0].Reason != "it was mended" || d[0].DecidedAt.Before(d[0].ParkedAt) {
		t.Errorf("%+v", d)
	}
	if len(list(t, f, messages.Parked)) != 0 {
		t.Error("it is still parked")
	}
	shown(t, f, 0)
}

// shown holds the number of parked messages that operators see to what is wanted.
func shown(t *testing.T, f *messages.Flows, want float64) {
	t.Helper()
	values, err := f.Store.(postgres.Messages).Figures(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var m dto.Metric
	if err := values[0].Write(&m); err != nil || m.GetGauge().GetValue() != want {
		t.Errorf("%v parked messages are shown, %v", m.GetGauge().GetValue(), err)
	}
}

func parked(t *testing.T, f *messages.Flows, queue string) uuid.UUID {
	t.Helper()
	m := broker.Parked{ID: uuid.New(), Queue: queue, Because: "a \x00 and \xff", ParkedAt: time.Now(), Body: []byte{0, 0xff}}
	for range 2 { // what was not acknowledged comes again
		if err := f.Keep(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	return m.ID
}

// A replay that cannot be sent leaves the message parked.
func TestWhatIsNotSentStaysParked(t *testing.T) {
	f := open(t, testenv.RabbitMQ(t))
	gone := parked(t, f, "no.such.queue")
	if err := f.Replay(t.Context(), []uuid.UUID{gone}, uuid.New(), "please"); fault.Code(err) != "QUEUE_NOT_FOUND" {
		t.Errorf("no queue: %v", err)
	}
	f.BrokerURL = "amqp://guest:guest@" + testenv.FreeAddr(t)
	if err := f.Replay(t.Context(), []uuid.UUID{parked(t, f, queue)}, uuid.New(), "please"); fault.From(err).Kind != fault.Unavailable {
		t.Errorf("no broker: %v", err)
	}
	if n := len(list(t, f, messages.Parked)); n != 2 {
		t.Errorf("%d are parked", n)
	}
	if err := f.Drop(t.Context(), []uuid.UUID{gone}, uuid.New(), "of no use"); err != nil {
		t.Error(err)
	}
	if err := f.Replay(t.Context(), []uuid.UUID{gone}, uuid.New(), "after all"); !errors.Is(err, messages.ErrNotParked) {
		t.Errorf("a dropped one: %v", err)
	}
	if d := list(t, f, messages.Dropped); len(d) != 1 || d[0].ID != gone || d[0].Reason != "of no use" {
		t.Errorf("%+v", d)
	}
}

// While the database is not there, a parked message waits in the broker's queue.
func TestWhatCannotBeKeptStaysInTheQueue(t *testing.T) {
	url := testenv.RabbitMQ(t)
	m := broker.Parked{Queue: "parked.queue", Body: []byte("x")}
	if err := broker.Resend(t.Context(), url, "test parks", []broker.Parked{m}); err != nil {
		t.Fatal(err)
	}
	var tries atomic.Int32
	during(t, broker.Collector{URL: url, Role: "test collects", Queue: "parked.queue", Keep: func(_ context.Context, p broker.Parked) error {
		if tries.Add(1) == 1 {
			return errors.New("no database")
		}
		if string(p.Body) != "x" || p.ID == uuid.Nil || p.ParkedAt.IsZero() {
			t.Errorf("%+v", p)
		}
		return nil
	}}.Run)
	until(t, "it comes again", func() bool { return tries.Load() == 2 })
}

// A decision is kept.
func TestTheSchemaKeepsDecisions(t *testing.T) {
	f := open(t, "")
	id, pool := parked(t, f, queue), f.Store.(postgres.Messages).Pool
	exec := func(constraint, sql string) {
		t.Helper()
		if _, err := pool.Exec(t.Context(), sql); !database.Violates(err, constraint) {
			t.Errorf("%s: got %v", constraint, err)
		}
	}
	exec("messages_kept", `DELETE FROM messages`)
	exec("messages_decided", `UPDATE messages SET status = 'DROPPED', decided_by = gen_random_uuid(), decided_at = now()`)
	exec("messages_status_known", `UPDATE messages SET status = 'LOST', decided_by = gen_random_uuid(), decided_at = now(), reason = ''`)
	if err := f.Drop(t.Context(), []uuid.UUID{id}, uuid.New(), "of no use"); err != nil {
		t.Fatal(err)
	}
	exec("messages_kept", `UPDATE messages SET reason = 'another'`)
}
