// Package release frees seats whose hold was abandoned: when the hold's message comes back from the broker as
// a dead letter, and, for messages that were lost, by a sweep.
package release

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ticketremaster/platform/broker"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/metrics"
	"ticketremaster/platform/web"

	inventory "ticketremaster/inventory-service"
	"ticketremaster/inventory-service/postgres"
)

// The broker's names, as in rabbitmq/definitions.json.
const (
	Exchange = "seat.release.exchange"
	Queue    = "seat.release.queue"
	Parking  = "parked.queue"
	key      = "hold"
)

// Consumer returns the consumer of the release queue; its Run ends with its context. A dead letter may come late,
// twice, or for a hold that another one followed: it frees only what ReleaseSeat(only_if_expired) frees.
func Consumer(url string, store *postgres.Store) broker.Consumer {
	return broker.Consumer{
		URL: url, Role: "inventory-service: release", Queue: Queue, Parking: Parking,
		Topology: broker.Topology{Exchanges: []string{Exchange}, Queues: []broker.Queue{{Name: Queue, Exchange: Exchange, Key: key}, {Name: Parking}}},
		Handle:   func(ctx context.Context, body []byte) error { return handle(ctx, store, body) },
	}
}

// errEarly makes the consumer try again later: the broker's clock and the database's differ.
var errEarly = fault.New(fault.Unavailable, fault.CodeUnavailable, "The hold's time is not over yet")

// lag has buckets around the objective of monitor/rules.yml, ten seconds.
var lag = metrics.New.NewHistogramVec(prometheus.HistogramOpts{Namespace: metrics.Namespace, Name: "hold_release_lag_seconds",
	Help:    "How long after its end a hold was ended, by what did it: its message, or the sweep for a message that was lost.",
	Buckets: []float64{.1, .5, 1, 2, 5, 10, 30, 60, 300}}, []string{"by"})

func init() {
	for _, by := range []string{"message", "sweep"} {
		lag.WithLabelValues(by) // 0 is a value, too
	}
}

// held is a seat of a hold message.
type held struct {
	SeatID string `json:"seat_id"`
	HoldID string `json:"hold_id"`
}

// handle reads the hold message (docs/internal-api.md) and frees its seats.
func handle(ctx context.Context, store *postgres.Store, body []byte) error {
	var message struct {
		held
		More  []held    `json:"more"`
		Until time.Time `json:"held_until"`
	}
	if err := json.Unmarshal(body, &message); err != nil {
		return fault.New(fault.Invalid, fault.CodeValidation, "Not a hold message").Because(err)
	}
	for _, h := range append([]held{message.held}, message.More...) {
		seat, err := web.UUID("seat_id", h.SeatID)
		if err != nil {
			return err
		}
		hold, err := web.UUID("hold_id", h.HoldID)
		if err != nil {
			return err
		}
		outcome, until, err := store.Release(ctx, seat, hold, true)
		switch {
		case err != nil:
			return err
		case outcome == inventory.NotDue && !until.After(message.Until):
			return errEarly
		} // NOT_DUE, and later than the message says: the hold was extended since, and another message follows
		if !message.Until.IsZero() && (outcome == inventory.Released || outcome == inventory.Gone) {
			lag.WithLabelValues("message").Observe(max(time.Since(message.Until), 0).Seconds())
		}
		slog.InfoContext(ctx, "hold message came back", "seat_id", seat, "hold_id", hold, "outcome", outcome)
	}
	return nil
}
