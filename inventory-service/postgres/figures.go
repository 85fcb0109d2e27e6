package postgres

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"ticketremaster/platform/metrics"
)

var (
	holds   = metrics.Desc("holds", "Holds that no payment has pinned, by state: live, or overdue, which a message or the sweep is to end.", "state")
	overdue = metrics.Desc("hold_oldest_overdue_seconds", "How long the hold that is overdue the longest has been so; 0 if none is.")
)

// figures looks at the holds alone, by seats_held_until, as the sweep does.
const figures = `
SELECT count(*) FILTER (WHERE late <= 0), count(*) FILTER (WHERE late > 0), greatest(coalesce(max(late), 0), 0)
FROM (SELECT extract(epoch FROM clock_timestamp() - held_until)::float8 AS late FROM seats WHERE held_until IS NOT NULL AND sold_at IS NULL AND pin_id IS NULL) h`

// Figures reads what operators see of the holds.
func (s *Store) Figures(ctx context.Context) ([]prometheus.Metric, error) {
	var live, late, oldest float64
	if err := s.pool.QueryRow(ctx, figures).Scan(&live, &late, &oldest); err != nil {
		return nil, translate(err)
	}
	return []prometheus.Metric{metrics.Gauge(holds, live, "live"), metrics.Gauge(holds, late, "overdue"), metrics.Gauge(overdue, oldest)}, nil
}
