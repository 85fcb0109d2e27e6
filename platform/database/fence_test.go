package database_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"ticketremaster/platform/database"
	"ticketremaster/platform/fence"
	"ticketremaster/platform/testenv"
)

func fenced(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool, err := database.Open(t.Context(), testenv.Postgres(t), database.Fenced(fstest.MapFS{
		"0001_init.sql": {Data: []byte("-- +goose Up\nCREATE TABLE done (saga uuid, epoch bigint);")},
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// step executes a step of a saga, as a service would.
func step(ctx context.Context, pool *pgxpool.Pool, group *database.GroupCommit, saga uuid.UUID, epoch int64) error {
	ctx = fence.With(ctx, fence.Token{Saga: saga, Epoch: epoch})
	statements, err := database.Fence(ctx, pool)
	if err != nil {
		return err
	}
	return group.Exec(ctx, append(statements, database.Statement{SQL: `INSERT INTO done VALUES ($1, $2)`, Args: []any{saga, epoch}})...)
}

func TestAnEarlierDriverIsRefusedOnceALaterOneCame(t *testing.T) {
	pool := fenced(t)
	group := database.NewGroupCommit(pool)
	saga, other := uuid.New(), uuid.New()
	for _, c := range []struct {
		saga  uuid.UUID
		epoch int64
		stale bool
	}{{saga, 1, false}, {saga, 1, false}, {saga, 3, false}, {saga, 1, true}, {saga, 2, true}, {saga, 3, false}, {other, 1, false}, {saga, 4, false}, {saga, 3, true}} {
		if err := step(t.Context(), pool, group, c.saga, c.epoch); errors.Is(database.Fault(err, "the test"), fence.ErrStale) != c.stale || err != nil && !c.stale {
			t.Errorf("epoch %d: %v", c.epoch, err)
		}
	}
	if _, err := database.Fence(t.Context(), pool); err != nil {
		t.Errorf("without a token: %v", err)
	}
	var fences int
	if err := pool.QueryRow(t.Context(), `SELECT count(*) FROM saga_fences`).Scan(&fences); err != nil || fences != 1 {
		t.Errorf("%d fences were written, want one: a saga's first driver writes none; %v", fences, err)
	}
}

// The fence is kept even if the step that raised it was refused: where a later driver did not succeed, an earlier one
// must not.
func TestAFenceStandsThoughItsStepIsRefused(t *testing.T) {
	pool := fenced(t)
	saga := uuid.New()
	b, err := database.FencedBatch(fence.With(t.Context(), fence.Token{Saga: saga, Epoch: 2}), pool)
	if err != nil {
		t.Fatal(err)
	}
	b.Queue(`SELECT 1/0`)
	if err := pool.SendBatch(t.Context(), b).Close(); err == nil {
		t.Fatal("the step was not refused")
	}
	if err := step(t.Context(), pool, database.NewGroupCommit(pool), saga, 1); !errors.Is(database.Fault(err, "the test"), fence.ErrStale) {
		t.Errorf("the earlier driver gets %v", err)
	}
}

// A later driver's fence waits for an earlier driver's step in progress, so it sees its result.
func TestAFenceWaitsForAStepUnderWay(t *testing.T) {
	pool := fenced(t)
	saga := uuid.New()
	early := fence.With(t.Context(), fence.Token{Saga: saga, Epoch: 1})
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b, err := database.FencedBatch(early, pool)
	if err != nil {
		t.Fatal(err)
	}
	b.Queue(`INSERT INTO done VALUES ($1, 1)`, saga)
	if err := tx.SendBatch(t.Context(), b).Close(); err != nil {
		t.Fatal(err)
	}
	raised := make(chan error, 1)
	go func() {
		_, err := database.Fence(fence.With(t.Context(), fence.Token{Saga: saga, Epoch: 2}), pool)
		raised <- err
	}()
	select {
	case err := <-raised:
		t.Fatalf("the fence did not wait: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-raised; err != nil {
		t.Fatal(err)
	}
	if err := step(t.Context(), pool, database.NewGroupCommit(pool), saga, 1); !errors.Is(database.Fault(err, "the test"), fence.ErrStale) {
		t.Errorf("the earlier driver gets %v", err)
	}
}

// Of steps of many sagas that share a commit, the stale ones fail and no other does.
func TestStepsThatShareACommitKeepTheirOwnEpochs(t *testing.T) {
	pool := fenced(t)
	group := database.NewGroupCommit(pool)
	var all sync.WaitGroup
	for n := range 60 {
		saga, stale := uuid.New(), n%3 == 0
		if stale {
			if err := step(t.Context(), pool, group, saga, 2); err != nil {
				t.Fatal(err)
			}
		}
		all.Go(func() {
			if err := step(t.Context(), pool, group, saga, 1); errors.Is(database.Fault(err, "the test"), fence.ErrStale) != stale || err != nil && !stale {
				t.Errorf("stale %v: %v", stale, err)
			}
		})
	}
	all.Wait()
	rows, err := pool.Query(t.Context(), `SELECT count(*) FROM done WHERE epoch = 1`)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[int]); err != nil || n != 40 {
		t.Errorf("%d steps were done, want 40; %v", n, err)
	}
}
