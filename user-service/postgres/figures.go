package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"ticketremaster/platform/metrics"
)

var (
	escrowCredits = metrics.Desc("escrow_credits", "Credits in escrow: of swaps under way, and of purchases that wait for their seller.")
	frozenCredits = metrics.Desc("frozen_credits", "Credits that disputes have frozen.")
	debtCredits   = metrics.Desc("debt_credits", "Credits that users owe, by whom they are owed to: frozen, stripe, platform.", "owed_to")
	anomalies     = metrics.Desc("payment_anomalies", "Payments that fit nothing and that nobody has settled.")
)

// figures are sums over what is open: operations_open, debts_open and payment_anomalies_open have it and nothing else, however
// long the ledger is. What a freeze is short of is a debt to it, and not frozen yet.
const figures = `
SELECT kind::text, (sum(amount) * 100)::bigint FROM operations WHERE state = 'DONE' AND kind <> 'purchase' GROUP BY kind
UNION ALL
SELECT 'debt ' || target, (sum(remaining) * 100)::bigint FROM debts WHERE remaining > 0 GROUP BY target
UNION ALL
SELECT 'anomalies', count(*) FROM payment_anomalies WHERE resolved_at IS NULL`

// Figures reads what operators see of the credits.
func (s *Store) Figures(ctx context.Context) ([]prometheus.Metric, error) {
	rows, err := s.pool.Query(ctx, figures)
	if err != nil {
		return nil, faulty(err)
	}
	sums := map[string]int64{} // of money in cents, which are exact
	var what string
	var sum int64
	if _, err := pgx.ForEachRow(rows, []any{&what, &sum}, func() error { sums[what] = sum; return nil }); err != nil {
		return nil, faulty(err)
	}
	// Prometheus knows floats only. They are shown; nothing is computed with them.
	credits := func(cents int64) float64 { return float64(cents) / 100 }
	values := []prometheus.Metric{
		metrics.Gauge(escrowCredits, credits(sums["escrow"])),
		metrics.Gauge(frozenCredits, credits(sums["freeze"]-sums["debt frozen"])),
		metrics.Gauge(anomalies, float64(sums["anomalies"])),
	}
	for _, to := range []string{"frozen", "stripe", "platform"} {
		values = append(values, metrics.Gauge(debtCredits, credits(sums["debt "+to]), to))
	}
	return values, nil
}
