package postgres

import (
	"context"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"ticketremaster/orchestrator-service/messages"
	"ticketremaster/platform/broker"
	"ticketremaster/platform/metrics"
)

// Messages keeps parked messages; see messages.Store.
type Messages struct{ Pool *pgxpool.Pool }

var _ messages.Store = Messages{}

// Keep adds a message, unless it is there.
func (s Messages) Keep(ctx context.Context, m broker.Parked) error {
	text := func(s string) string { return strings.ReplaceAll(strings.ToValidUTF8(s, "�"), "\x00", "�") } // as PostgreSQL takes it
	_, err := s.Pool.Exec(ctx, `
		INSERT INTO messages (message_id, queue, because, correlation_id, parked_at, body) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT DO NOTHING`, m.ID, text(m.Queue), text(m.Because), text(m.CorrelationID), m.ParkedAt, append([]byte{}, m.Body...))
	return known(err)
}

const messageColumns = `message_id, queue, left(because, 4000), correlation_id, parked_at, status, decided_by, coalesce(reason, ''), coalesce(decided_at, 'epoch')`

func readMessage(row pgx.CollectableRow) (m messages.Message, err error) {
	err = row.Scan(&m.ID, &m.Queue, &m.Because, &m.CorrelationID, &m.ParkedAt, &m.Status, &m.DecidedBy, &m.Reason, &m.DecidedAt, &m.Body)
	return m, err
}

// mostShown is how many bytes of a body are listed.
const mostShown = "4000"

// List reads messages of one status, newest first, and how many there are in all. A long body is cut.
func (s Messages) List(ctx context.Context, status messages.Status, limit, offset int) ([]messages.Message, int, error) {
	var total int
	if err := s.Pool.QueryRow(ctx, `SELECT count(*) FROM messages WHERE status = $1`, status).Scan(&total); err != nil {
		return nil, 0, known(err)
	}
	rows, err := s.Pool.Query(ctx, `
		SELECT `+messageColumns+`, substr(body, 1, `+mostShown+`) FROM messages WHERE status = $1
		ORDER BY parked_at DESC, message_id DESC LIMIT $2 OFFSET $3`, status, limit, offset)
	if err != nil {
		return nil, 0, known(err)
	}
	list, err := pgx.CollectRows(rows, readMessage)
	return list, total, known(err)
}

// Decide locks messages, acts, and records the decision; see messages.Store.
func (s Messages) Decide(ctx context.Context, ids []uuid.UUID, to messages.Status, by uuid.UUID, reason string, act func([]messages.Message) error) error {
	var refused error
	err := pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT `+messageColumns+`, body FROM messages WHERE message_id = ANY($1) ORDER BY message_id FOR UPDATE`, ids)
		if err != nil {
			return err
		}
		found, err := pgx.CollectRows(rows, readMessage)
		if err != nil {
			return err
		}
		if refused = act(found); refused != nil {
			return refused
		}
		_, err = tx.Exec(ctx, `UPDATE messages SET status = $2, decided_by = $3, reason = $4, decided_at = clock_timestamp() WHERE message_id = ANY($1)`, ids, to, by, reason)
		return err
	})
	if refused != nil {
		return refused
	}
	return known(err)
}

var parkedMessages = metrics.Desc("parked_messages", "Messages that failed again and again and that nobody has decided about.")

// Figures counts the messages that wait for a person.
func (s Messages) Figures(ctx context.Context) ([]prometheus.Metric, error) {
	var n float64
	err := s.Pool.QueryRow(ctx, `SELECT count(*) FROM messages WHERE status = 'PARKED'`).Scan(&n)
	return []prometheus.Metric{metrics.Gauge(parkedMessages, n)}, known(err)
}
