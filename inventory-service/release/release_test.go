package release_test

import (
	"context"
	"encoding/json"
	"maps"
	"math"
	"strconv"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	amqp "github.com/rabbitmq/amqp091-go"

	"ticketremaster/platform/metrics/metricstest"
	"ticketremaster/platform/testenv"
	inventoryv1 "ticketremaster/proto/inventory/v1"

	"ticketremaster/inventory-service/inventorytest"
	"ticketremaster/inventory-service/release"
)

const limit = 15 * time.Second

// consume runs the consumer until the test ends.
func consume(t *testing.T, url string, s *inventorytest.Service) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); release.Consumer(url, s.Store).Run(ctx) }()
	t.Cleanup(func() { stop(); <-ended })
}

// channel opens a channel to the broker.
func channel(t *testing.T, url string) *amqp.Channel {
	t.Helper()
	conn, err := amqp.Dial(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

func holdMessage(t *testing.T, seat, hold string) []byte {
	t.Helper()
	return holdUntil(t, seat, hold, time.Now().Add(-time.Second))
}

func holdUntil(t *testing.T, seat, hold string, until time.Time) []byte {
	t.Helper()
	body, err := json.Marshal(map[string]any{"seat_id": seat, "hold_id": hold, "user_id": inventorytest.NewID(), "held_until": until})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// expired sends a message as the broker does once a hold's time is over.
func expired(t *testing.T, ch *amqp.Channel, body []byte) {
	t.Helper()
	err := ch.PublishWithContext(t.Context(), release.Exchange, "hold", true, false, amqp.Publishing{DeliveryMode: amqp.Persistent, Body: body})
	if err != nil {
		t.Fatal(err)
	}
}

// free reports whether the row itself is free, not only read as free because its time is over.
func free(t *testing.T, s *inventorytest.Service, seat string) bool {
	t.Helper()
	var status string
	if err := s.SQL.QueryRow(t.Context(), `SELECT status::text FROM seats WHERE seat_id = $1`, seat).Scan(&status); err != nil {
		t.Fatal(err)
	}
	return status == "AVAILABLE"
}

// waiting is the number of messages in a queue, those in hand left out.
func waiting(t *testing.T, ch *amqp.Channel, queue string) int {
	t.Helper()
	q, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	return q.Messages
}

// All of docs/architecture.md#expiry: the hold message expires in its queue, is dead-lettered, and releases the seat.
func TestADeadLetterFreesTheSeat(t *testing.T) {
	s, url := inventorytest.Start(t), testenv.RabbitMQ(t)
	consume(t, url, s)
	ch := channel(t, url)
	const ttl = 1_000
	name := "seat.hold.queue." + strconv.Itoa(ttl)
	if _, err := ch.QueueDeclare(name, true, false, false, false, amqp.Table{
		"x-message-ttl": ttl, "x-dead-letter-exchange": release.Exchange, "x-dead-letter-routing-key": "hold",
	}); err != nil {
		t.Fatal(err)
	}
	shown := metricstest.Value(t, lag, "by=message")
	seat := s.Hall(t, 1)[0].SeatId
	held, err := s.ReserveSeat(t.Context(), &inventoryv1.ReserveSeatRequest{SeatId: seat, UserId: inventorytest.NewID(), HoldId: inventorytest.NewID(), HoldTtlMs: ttl, MaxHolds: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := ch.PublishWithContext(t.Context(), "", name, true, false, amqp.Publishing{DeliveryMode: amqp.Persistent, Body: holdMessage(t, seat, held.Seat.HoldId)}); err != nil {
		t.Fatal(err)
	}
	inventorytest.Eventually(t, limit, "the seat is free", func() bool { return free(t, s, seat) })
	inventorytest.Eventually(t, limit, "it is shown", func() bool { return metricstest.Value(t, lag, "by=message") > shown })
}

// lag is the metric of how late holds end.
const lag = "hold_release_lag_seconds"

func TestMessagesThatMustFreeNothing(t *testing.T) {
	s, url := inventorytest.Start(t), testenv.RabbitMQ(t)
	consume(t, url, s)
	ch := channel(t, url)
	seats := s.Hall(t, 5)
	user := inventorytest.NewID()

	late := s.Hold(t, seats[0].SeatId, user) // this seat's message comes after another hold took it
	s.Expire(t, seats[0].SeatId, 0)
	newer := s.Hold(t, seats[0].SeatId, inventorytest.NewID())
	bought, _ := s.Buy(t, seats[1].SeatId, user)
	pinned := s.Hold(t, seats[2].SeatId, user)
	if _, err := s.PinHold(t.Context(), &inventoryv1.PinHoldRequest{SeatId: seats[2].SeatId, HoldId: pinned, UserId: user, PinId: inventorytest.NewID()}); err != nil {
		t.Fatal(err)
	}
	s.Expire(t, seats[2].SeatId, time.Minute)
	for range 2 { // each twice
		expired(t, ch, holdMessage(t, seats[0].SeatId, late))
		expired(t, ch, holdMessage(t, seats[1].SeatId, bought))
		expired(t, ch, holdMessage(t, seats[2].SeatId, pinned))
		expired(t, ch, holdMessage(t, inventorytest.NewID(), inventorytest.NewID()))
	}
	// All of them have been handled once the last one is.
	last := s.Hold(t, seats[4].SeatId, user)
	s.Expire(t, seats[4].SeatId, 0)
	expired(t, ch, holdMessage(t, seats[4].SeatId, last))
	inventorytest.Eventually(t, limit, "the messages are worked off", func() bool {
		return free(t, s, seats[4].SeatId) && waiting(t, ch, release.Queue) == 0
	})
	if now := s.Seat(t, seats[0].SeatId); now.HoldId != newer {
		t.Fatalf("the newer hold was freed: %v", now)
	}
	if now := s.Seat(t, seats[1].SeatId); now.Status != inventoryv1.SeatStatus_SOLD {
		t.Fatalf("the ticket was freed: %v", now)
	}
	if now := s.Seat(t, seats[2].SeatId); now.HoldId != pinned || now.Status != inventoryv1.SeatStatus_HELD {
		t.Fatalf("the payment lost its seat: %v", now)
	}
	if n := waiting(t, ch, release.Parking); n != 0 {
		t.Fatalf("%d harmless messages were parked", n)
	}
}

func TestMalformedMessagesAreParked(t *testing.T) {
	s, url := inventorytest.Start(t), testenv.RabbitMQ(t)
	consume(t, url, s)
	ch := channel(t, url)
	poison := []string{"", "{", "[]", `{"seat_id":1}`, `{"seat_id":"A-1","hold_id":"B"}`, `{"hold_id":"` + inventorytest.NewID() + `"}`}
	for _, body := range poison {
		expired(t, ch, []byte(body))
	}
	// They do not delay others.
	seat := s.Hall(t, 1)[0].SeatId
	hold := s.Hold(t, seat, inventorytest.NewID())
	s.Expire(t, seat, 0)
	expired(t, ch, holdMessage(t, seat, hold))
	inventorytest.Eventually(t, limit, "the seat is free", func() bool { return free(t, s, seat) })
	inventorytest.Eventually(t, limit, "all are parked", func() bool { return waiting(t, ch, release.Parking) == len(poison) })
	if n := waiting(t, ch, release.Queue); n != 0 {
		t.Fatalf("%d messages still wait", n)
	}
}

// The broker's clock may be ahead of the database's clock.
func TestAMessageThatIsEarlyIsTriedAgain(t *testing.T) {
	s, url := inventorytest.Start(t), testenv.RabbitMQ(t)
	consume(t, url, s)
	ch := channel(t, url)
	seat := s.Hall(t, 1)[0].SeatId
	held, err := s.ReserveSeat(t.Context(), &inventoryv1.ReserveSeatRequest{SeatId: seat, UserId: inventorytest.NewID(), HoldId: inventorytest.NewID(), HoldTtlMs: 1_500, MaxHolds: 1})
	if err != nil {
		t.Fatal(err)
	}
	expired(t, ch, holdUntil(t, seat, held.Seat.HoldId, held.Seat.HeldUntil.AsTime()))
	inventorytest.Eventually(t, limit, "the seat is free", func() bool { return free(t, s, seat) })
	if now := time.Now(); now.Before(held.Seat.HeldUntil.AsTime()) {
		t.Fatalf("freed %s before its time", held.Seat.HeldUntil.AsTime().Sub(now))
	}
	if n := waiting(t, ch, release.Parking); n != 0 {
		t.Fatalf("%d parked", n)
	}
}

// A hold that was extended while its message waited is released by the next message, not by this one.
func TestTheMessageOfAnExtendedHold(t *testing.T) {
	s, url := inventorytest.Start(t), testenv.RabbitMQ(t)
	consume(t, url, s)
	ch := channel(t, url)
	seats, user := s.Hall(t, 2), inventorytest.NewID()
	seat := seats[0].SeatId
	held, err := s.ReserveSeat(t.Context(), &inventoryv1.ReserveSeatRequest{SeatId: seat, UserId: user, HoldId: inventorytest.NewID(), HoldTtlMs: 60_000, MaxHolds: 10})
	if err != nil {
		t.Fatal(err)
	}
	first := holdUntil(t, seat, held.Seat.HoldId, held.Seat.HeldUntil.AsTime())
	extended, err := s.ExtendHolds(t.Context(), &inventoryv1.ExtendHoldsRequest{Holders: []*inventoryv1.Holder{{UserId: user, PersonId: user}}, WithinMs: 60_000, ByMs: 60_000})
	if err != nil || len(extended.Seats) != 1 {
		t.Fatal(extended, err)
	}
	until := extended.Seats[0].HeldUntil.AsTime()
	for range 200 { // tried again and again until the new end, they would hold up all others
		expired(t, ch, first)
	}
	due := s.Hold(t, seats[1].SeatId, user)
	s.Expire(t, seats[1].SeatId, 0)
	expired(t, ch, holdMessage(t, seats[1].SeatId, due))
	inventorytest.Eventually(t, limit, "the messages are worked off", func() bool { return free(t, s, seats[1].SeatId) && waiting(t, ch, release.Queue) == 0 })
	if free(t, s, seat) {
		t.Fatal("the first message frees the seat")
	}
	s.Expire(t, seat, 0)
	expired(t, ch, holdUntil(t, seat, held.Seat.HoldId, until))
	inventorytest.Eventually(t, limit, "the seat is free", func() bool { return free(t, s, seat) })
}

func TestTheConsumerSurvivesTheBroker(t *testing.T) {
	s, server := inventorytest.Start(t), testenv.PrivateRabbitMQ(t)
	consume(t, server.URL, s) // on an empty broker: it declares what it needs
	seats := s.Hall(t, 2)
	for i, seat := range seats {
		hold := s.Hold(t, seat.SeatId, inventorytest.NewID())
		s.Expire(t, seat.SeatId, 0)
		// The queue is there once the consumer has connected.
		inventorytest.Eventually(t, 30*time.Second, "the consumer is connected", func() bool {
			conn, err := amqp.Dial(server.URL)
			if err != nil {
				return false
			}
			defer conn.Close()
			ch, err := conn.Channel()
			if err != nil {
				return false
			}
			q, err := ch.QueueDeclarePassive(release.Queue, true, false, false, false, nil)
			return err == nil && q.Consumers > 0
		})
		expired(t, channel(t, server.URL), holdMessage(t, seat.SeatId, hold))
		inventorytest.Eventually(t, limit, "the seat is free", func() bool { return free(t, s, seat.SeatId) })
		if i == 0 {
			server.Stop()
			server.Start()
		}
	}
}

func TestSweep(t *testing.T) {
	s := inventorytest.Start(t)
	seats := s.Hall(t, 6)
	user := inventorytest.NewID()
	for i := range 5 {
		s.Hold(t, seats[i].SeatId, user)
	}
	pinned := s.Seat(t, seats[2].SeatId).HoldId
	if _, err := s.PinHold(t.Context(), &inventoryv1.PinHoldRequest{SeatId: seats[2].SeatId, HoldId: pinned, UserId: user, PinId: inventorytest.NewID()}); err != nil {
		t.Fatal(err)
	}
	s.Expire(t, seats[0].SeatId, time.Hour)
	s.Expire(t, seats[1].SeatId, time.Hour)
	s.Expire(t, seats[2].SeatId, time.Hour)
	s.Expire(t, seats[3].SeatId, time.Second) // within the grace: the message's turn
	// seats[4] is held, seats[5] never was.
	figures(t, s, map[string]float64{"live": 1, "overdue": 3, "oldest, in hours": 1})
	shown := metricstest.Value(t, lag, "by=sweep")

	// One row is locked by another transaction: the sweep skips it and releases it in a later round.
	tx, err := s.SQL.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	if _, err := tx.Exec(t.Context(), `SELECT FROM seats WHERE seat_id = $1 FOR UPDATE`, seats[1].SeatId); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); release.Sweep(ctx, s.Store, 20*time.Millisecond, 10*time.Second) }()
	defer func() { stop(); <-ended }()
	inventorytest.Eventually(t, limit, "the abandoned seat is free", func() bool { return free(t, s, seats[0].SeatId) })
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	inventorytest.Eventually(t, limit, "the one that was locked is free", func() bool { return free(t, s, seats[1].SeatId) })
	for _, i := range []int{2, 3, 4} {
		if free(t, s, seats[i].SeatId) {
			t.Fatalf("seat %d was swept", i)
		}
	}
	if n := metricstest.Value(t, lag, "by=sweep") - shown; n != 2 {
		t.Errorf("%v swept holds are shown", n)
	}
	figures(t, s, map[string]float64{"live": 1, "overdue": 1, "oldest, in hours": 0})
}

// figures holds what operators see of the holds to what is wanted; a pinned hold is none of them.
func figures(t *testing.T, s *inventorytest.Service, want map[string]float64) {
	t.Helper()
	values, err := s.Store.Figures(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, v := range values {
		var m dto.Metric
		if err := v.Write(&m); err != nil {
			t.Fatal(err)
		}
		if len(m.GetLabel()) > 0 {
			got[m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
		} else {
			got["oldest, in hours"] = math.Floor(m.GetGauge().GetValue() / 3600)
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("the figures are %v, not %v", got, want)
	}
}

// More holds than one statement releases, and two replicas at once.
func TestManySweeps(t *testing.T) {
	s := inventorytest.Start(t)
	const seats = 1_200
	event := s.Hall(t, seats)[0].EventId
	if _, err := s.SQL.Exec(t.Context(), `UPDATE seats SET status = 'HELD', held_by_user_id = gen_random_uuid(), hold_id = gen_random_uuid(),
		held_until = now() - interval '1 minute' WHERE event_id = $1`, event); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{}, 2)
	for range 2 {
		go func() {
			release.Sweep(ctx, s.Store, 10*time.Millisecond, time.Second)
			ended <- struct{}{}
		}()
	}
	defer func() { stop(); <-ended; <-ended }()
	inventorytest.Eventually(t, limit, "all are free", func() bool {
		var left int
		err := s.SQL.QueryRow(t.Context(), `SELECT count(*) FROM seats WHERE status <> 'AVAILABLE'`).Scan(&left)
		return err == nil && left == 0
	})
}

// The one message of a booking frees all of its seats.
func TestAMessageFreesABooking(t *testing.T) {
	s, url := inventorytest.Start(t), testenv.RabbitMQ(t)
	consume(t, url, s)
	ch := channel(t, url)
	seats := s.Hall(t, 3)
	r := &inventoryv1.ReserveSeatRequest{SeatId: seats[0].SeatId, UserId: inventorytest.NewID(), HoldId: inventorytest.NewID(), HoldTtlMs: 60_000, MaxHolds: 3}
	message := map[string]any{"seat_id": r.SeatId, "hold_id": r.HoldId, "user_id": r.UserId, "held_until": "2026-01-01T00:00:00Z"}
	var more []map[string]any
	for _, seat := range seats[1:] {
		hold := inventorytest.NewID()
		r.More = append(r.More, &inventoryv1.HeldSeat{SeatId: seat.SeatId, HoldId: hold})
		more = append(more, map[string]any{"seat_id": seat.SeatId, "hold_id": hold})
	}
	message["more"] = more
	if _, err := s.ReserveSeat(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	for _, seat := range seats {
		s.Expire(t, seat.SeatId, time.Second)
	}
	body, err := json.Marshal(message)
	if err != nil {
		t.Fatal(err)
	}
	expired(t, ch, body)
	for _, seat := range seats {
		inventorytest.Eventually(t, limit, "a seat is free", func() bool { return free(t, s, seat.SeatId) })
	}
}
