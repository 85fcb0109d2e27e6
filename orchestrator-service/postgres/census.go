package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"ticketremaster/orchestrator-service/saga"
)

// census reads sagas_live and sagas_parked, which have no saga that has ended, however many those are.
const census = `
SELECT kind, status, count(*), clock_timestamp() - min(created_at) FROM sagas WHERE status IN ('RUNNING', 'COMPENSATING') GROUP BY kind, status
UNION ALL
SELECT kind, status, count(*), clock_timestamp() - min(created_at) FROM sagas WHERE status = 'PARKED' GROUP BY kind, status`

// Census counts the sagas that have not ended or are parked.
func (s *Sagas) Census(ctx context.Context) ([]saga.Census, error) {
	rows, err := s.Pool.Query(ctx, census)
	if err != nil {
		return nil, known(err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[saga.Census])
	return found, known(err)
}
