package database

import (
	"context"
	"embed"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pressly/goose/v3"

	"ticketremaster/platform/fence"
)

//go:embed fences/*.sql
var fenceFiles embed.FS

// fenceVersions is goose's table for the fences' own migrations, which Migrate runs beside the service's.
const fenceVersions = "saga_fences_version"

// Fenced adds to a service's migrations what Fence needs in the database.
func Fenced(migrations fs.FS) fs.FS { return fenced{migrations} }

type fenced struct{ fs.FS }

// migrationSets returns the migrations of a database by goose's table for their versions.
func migrationSets(migrations fs.FS) map[string]fs.FS {
	sets := map[string]fs.FS{goose.DefaultTablename: migrations}
	if _, ok := migrations.(fenced); ok {
		fences, err := fs.Sub(fenceFiles, "fences")
		if err != nil {
			panic(err) // the folder is embedded above
		}
		sets[fenceVersions] = fences
	}
	return sets
}

// Fence returns the statements that must come first in a transaction that executes a step of a saga: with them the
// transaction fails (see Stale) if a later driver of that saga was seen. There are none if ctx carries no fencing
// token. ctx must be the caller's own, not that of a batch.
//
// The driver that began a saga costs one lookup and no write. A later one raises the fence first, in a round trip of
// its own.
func Fence(ctx context.Context, pool *pgxpool.Pool) ([]Statement, error) {
	t, ok := fence.From(ctx)
	if !ok {
		return nil, nil
	}
	if t.Epoch > 1 {
		if _, err := pool.Exec(ctx, `SELECT saga_fence_raise($1, $2)`, t.Saga, t.Epoch); err != nil {
			return nil, err
		}
	}
	return []Statement{{SQL: `SELECT saga_fence_check($1, $2)`, Args: []any{t.Saga, t.Epoch}}}, nil
}

// FencedBatch begins a batch with Fence's statements, whose answers must be read like the others.
func FencedBatch(ctx context.Context, pool *pgxpool.Pool) (*pgx.Batch, error) {
	statements, err := Fence(ctx, pool)
	var b pgx.Batch
	for _, s := range statements {
		b.Queue(s.SQL, s.Args...)
	}
	return &b, err
}

// BeginFenced runs work in a transaction that begins with Fence's statements.
func BeginFenced(ctx context.Context, pool *pgxpool.Pool, work func(pgx.Tx) error) error {
	b, err := FencedBatch(ctx, pool)
	if err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if b.Len() > 0 {
			if err := tx.SendBatch(ctx, b).Close(); err != nil {
				return err
			}
		}
		return work(tx)
	})
}
