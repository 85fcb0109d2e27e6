package broker_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"ticketremaster/platform/broker"
	"ticketremaster/platform/correlation"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/metrics/metricstest"
	"ticketremaster/platform/testenv"
)

var topology = broker.Topology{Queues: []broker.Queue{{Name: "work"}, {Name: "parked"}}}

// inbox collects the messages that a consumer got.
type inbox struct {
	mu     sync.Mutex
	bodies []string
	ids    []string
	fail   func(body string, try int) error
	tries  map[string]int
}

func (i *inbox) handle(ctx context.Context, body []byte) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.tries == nil {
		i.tries = map[string]int{}
	}
	i.tries[string(body)]++
	if i.fail != nil {
		if err := i.fail(string(body), i.tries[string(body)]); err != nil {
			return err
		}
	}
	i.bodies = append(i.bodies, string(body))
	i.ids = append(i.ids, correlation.ID(ctx))
	return nil
}

func (i *inbox) count() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.bodies)
}

func start(t *testing.T, url string, in *inbox) *broker.Publisher {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	p := broker.NewPublisher(url, "test publishes", topology)
	var all sync.WaitGroup
	all.Go(func() { p.Run(ctx) })
	all.Go(func() {
		broker.Consumer{URL: url, Role: "test consumes", Queue: "work", Parking: "parked", Tries: 2, Topology: topology, Handle: in.handle}.Run(ctx)
	})
	t.Cleanup(func() { stop(); all.Wait() })
	return p
}

func publish(t *testing.T, p *broker.Publisher, body string) {
	t.Helper()
	if !p.Publish(correlation.With(t.Context(), "id-of-"+body), broker.Message{Key: "work", Body: []byte(body)}) {
		t.Errorf("%s was not taken", body)
	}
}

func TestMessagesArriveWithTheirCorrelationID(t *testing.T) {
	in := &inbox{}
	p := start(t, testenv.RabbitMQ(t), in)
	for n := range 200 {
		publish(t, p, fmt.Sprint(n))
	}
	wait(t, func() bool { return in.count() == 200 && p.Unsettled() == 0 })
	if in.ids[0] != "id-of-"+in.bodies[0] || p.Lost() != 0 {
		t.Errorf("%q came with %q; %d lost", in.bodies[0], in.ids[0], p.Lost())
	}
}

// Messages that are published at once reach the broker in few packets, not one each. A proxy counts them.
func TestABurstTravelsAsOne(t *testing.T) {
	server, err := url.Parse(testenv.RabbitMQ(t))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var pieces, bytes atomic.Int64
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", server.Host)
			if err != nil {
				near.Close()
				return
			}
			go func() { io.Copy(near, far); near.Close() }()
			go func() {
				defer far.Close()
				read := make([]byte, 1<<20)
				for {
					n, err := near.Read(read)
					if err != nil {
						return
					}
					pieces.Add(1)
					bytes.Add(int64(n))
					far.Write(read[:n])
				}
			}()
		}
	}()
	through := *server
	through.Host = l.Addr().String()
	ctx, stop := context.WithCancel(t.Context())
	p := broker.NewPublisher(through.String(), "test bursts", topology)
	var all sync.WaitGroup
	all.Go(func() { p.Run(ctx) })
	defer all.Wait()
	defer stop()
	send := func(n int) {
		for range n {
			publish(t, p, "in a burst")
		}
		wait(t, func() bool { return p.Unsettled() == 0 })
	}
	send(1) // connected
	pieces.Store(0)
	bytes.Store(0)
	send(200)
	if n := pieces.Load(); n > 20 || bytes.Load() < 20_000 {
		t.Errorf("200 messages travelled in %d pieces, %d bytes", n, bytes.Load())
	}
}

// A client chooses its correlation id, as long as package correlation allows: such a message must not break the
// connection.
func TestALongCorrelationIDArrives(t *testing.T) {
	server := testenv.PrivateRabbitMQ(t)
	in := &inbox{}
	p := start(t, server.URL, in)
	id := strings.Repeat("x", 1000)
	p.Publish(correlation.WithJoined(t.Context(), id), broker.Message{Key: "work", Body: []byte("long")})
	publish(t, p, "after")
	wait(t, func() bool { return p.Unsettled() == 0 })
	if p.Lost() != 0 {
		t.Fatalf("%d messages are lost", p.Lost())
	}
	wait(t, func() bool { return in.count() == 2 })
	in.mu.Lock()
	defer in.mu.Unlock()
	if !slices.Contains(in.ids, id) {
		t.Errorf("arrived under %q", in.ids)
	}
}

func TestAnUnroutableMessageIsKnown(t *testing.T) {
	p := start(t, testenv.RabbitMQ(t), &inbox{})
	p.Publish(t.Context(), broker.Message{Key: "no such queue", Body: []byte("x")})
	wait(t, func() bool { return p.Lost() == 1 }) // confirmed all the same: only mandatory tells
}

func TestPoisonIsParkedAndAnOutageIsNot(t *testing.T) {
	url := testenv.RabbitMQ(t)
	in := &inbox{fail: func(body string, try int) error {
		switch {
		case body == "poison":
			return errors.New("not a message")
		case body == "outage" && try < 6: // longer than the tries
			return fault.Unreachable("the database", errors.New("down"))
		}
		return nil
	}}
	p := start(t, url, in)
	publish(t, p, "poison")
	publish(t, p, "outage")
	publish(t, p, "good")
	wait(t, func() bool { return in.count() == 2 })
	parked := &inbox{}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go broker.Consumer{URL: url, Role: "test reads the parked", Queue: "parked", Parking: "parked", Handle: parked.handle}.Run(ctx)
	wait(t, func() bool { return parked.count() == 1 })
	if parked.bodies[0] != "poison" || in.tries["poison"] != 2 {
		t.Errorf("parked %v after %d tries", parked.bodies, in.tries["poison"])
	}
}

// What became of messages, and how many wait, is shown; without the broker that is said instead.
func TestWhatWaitsIsShown(t *testing.T) {
	const consumed, queue, up = "broker_consumed_messages_total", "broker_queue_messages", "source_up"
	server := testenv.PrivateRabbitMQ(t)
	in := &inbox{fail: func(body string, _ int) error {
		if body == "poison" {
			return errors.New("not a message")
		}
		return nil
	}}
	before := map[string]float64{}
	for _, result := range []string{"handled", "parked"} {
		before[result] = metricstest.Value(t, consumed, "queue=work", "result="+result)
	}
	p := start(t, server.URL, in)
	publish(t, p, "poison")
	publish(t, p, "good")
	wait(t, func() bool {
		return metricstest.Value(t, consumed, "queue=work", "result=handled") == before["handled"]+1 &&
			metricstest.Value(t, consumed, "queue=work", "result=parked") == before["parked"]+1 &&
			metricstest.Value(t, queue, "queue=parked") == 1 && metricstest.Value(t, up, "source=rabbitmq") == 1 &&
			metricstest.Value(t, "broker_unsettled_messages", "role=test publishes") == 0
	})
	server.Kill()
	wait(t, func() bool {
		return metricstest.Value(t, up, "source=rabbitmq") == 0 && !metricstest.Shown(t, queue) &&
			metricstest.Shown(t, "broker_connected", "role=test consumes") && metricstest.Value(t, "broker_connected", "role=test consumes") == 0
	})
	publish(t, p, "late")
	if metricstest.Value(t, "broker_unsettled_messages", "role=test publishes") != 1 {
		t.Error("a message that the broker has not confirmed is not shown")
	}
}

func TestBothReconnectWhenTheBrokerDies(t *testing.T) {
	server := testenv.PrivateRabbitMQ(t)
	in := &inbox{}
	p := start(t, server.URL, in)
	publish(t, p, "before")
	wait(t, func() bool { return in.count() == 1 })
	server.Kill()
	publish(t, p, "while it is down")
	server.Start()
	publish(t, p, "after")
	wait(t, func() bool { return in.count() >= 3 && p.Unsettled() == 0 })
}

func wait(t *testing.T, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it never came true")
		}
	}
}

// A queue that an operator declared with other arguments is used as it is, by publisher and consumer.
func TestWhatExistsIsUsedAsItIs(t *testing.T) {
	url := testenv.RabbitMQ(t)
	conn, err := amqp.Dial(url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{"work", "parked"} {
		if _, err := ch.QueueDeclare(q, true, false, false, false, amqp.Table{"x-queue-type": "quorum"}); err != nil {
			t.Fatal(err)
		}
	}
	in := &inbox{}
	p := start(t, url, in)
	publish(t, p, "into a quorum queue")
	wait(t, func() bool { return in.count() == 1 && p.Unsettled() == 0 })
}

// A missing queue is declared and bound, and found by the next program that connects.
func TestWhatIsMissingIsMade(t *testing.T) {
	url := testenv.RabbitMQ(t)
	made := broker.Topology{Exchanges: []string{"e"}, Queues: []broker.Queue{{Name: "q", Args: amqp.Table{"x-max-length": int32(9)}, Exchange: "e", Key: "k"}}}
	for range 2 {
		ctx, stop := context.WithCancel(t.Context())
		p := broker.NewPublisher(url, "test makes", made)
		var all sync.WaitGroup
		all.Go(func() { p.Run(ctx) })
		p.Publish(t.Context(), broker.Message{Exchange: "e", Key: "k", Body: []byte("x")})
		wait(t, func() bool { return p.Unsettled() == 0 })
		stop()
		all.Wait()
		if p.Lost() != 0 {
			t.Fatal("the message found no queue")
		}
	}
}

// At the end of a program, messages that were handed over are sent and a message in hand is handled to its end, so that
// nothing is left for a sweep.
func TestTheEndLeavesNothingUndone(t *testing.T) {
	url := testenv.RabbitMQ(t)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	p := broker.NewPublisher(url, "test ends", topology)
	inHand, ending, handled := make(chan struct{}, 1), make(chan struct{}), make(chan error, 1)
	consumer := broker.Consumer{URL: url, Role: "test ends", Queue: "work", Parking: "parked", Topology: topology, Workers: 1, Handle: func(ctx context.Context, _ []byte) error {
		inHand <- struct{}{}
		<-ending
		select { // the end does not cut it off
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
		handled <- ctx.Err()
		return ctx.Err()
	}}
	var all sync.WaitGroup
	all.Go(func() { p.Run(ctx) })
	all.Go(func() { consumer.Run(ctx) })
	publish(t, p, "in hand")
	<-inHand
	for range 5 { // within the pause after a batch: the last of them wait when the end comes
		publish(t, p, "at the end")
	}
	stop()
	close(ending)
	all.Wait()
	if err := <-handled; err != nil {
		t.Errorf("the message in hand was cut off: %v", err)
	}
	if p.Unsettled() != 0 || p.Lost() != 0 {
		t.Errorf("%d messages were not sent, %d lost", p.Unsettled(), p.Lost())
	}
	if n := waiting(t, url, "work"); n != 5 {
		t.Errorf("%d messages wait in the queue, want those 5: the one in hand was acknowledged", n)
	}
}

// waiting is how many messages wait in a queue that nobody consumes.
func waiting(t *testing.T, url, queue string) int {
	t.Helper()
	conn, err := amqp.Dial(url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	q, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	return q.Messages
}
