package bench

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"ticketremaster/stack/native"
)

// ceiling is pgbench on the seats cluster: what PostgreSQL alone does here.
type ceiling struct {
	b   *bench
	dir string
	dsn string
	bin string
}

// bareSeats is how many rows the hold statement chooses from. The hold expires at once, so that rows never run out.
const bareSeats = 192_000

// The statement holds a row of a table that is the service's own, with its columns, constraints, triggers and indexes.
// Each client has rows of its own: a lock that another holds would end the client.
const holdScript = `\set id 1 + :client_id + 128 * random(0, 1499)
WITH s AS (SELECT seat_id FROM seats WHERE seat_id = ('00000000-0000-7000-8000-' || lpad(:id::text, 12, '0'))::uuid FOR UPDATE NOWAIT)
UPDATE seats SET status = 'HELD', held_by_user_id = gen_random_uuid(), hold_id = gen_random_uuid(), held_until = clock_timestamp(), updated_at = clock_timestamp() FROM s WHERE seats.seat_id = s.seat_id;
`

const orderScript = `INSERT INTO orders (seat_id, user_id, price) VALUES (gen_random_uuid(), gen_random_uuid(), 60);
`

func newCeiling(ctx context.Context, b *bench) (*ceiling, error) {
	bin, err := native.PostgresBin()
	if err != nil {
		return nil, err
	}
	conn, err := pgx.Connect(ctx, b.stack.DSN("seats_db"))
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	for _, sql := range []string{"DROP DATABASE IF EXISTS ceiling WITH (FORCE)", "CREATE DATABASE ceiling"} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return nil, err
		}
	}
	c := &ceiling{b: b, bin: filepath.Join(bin, "pgbench"), dsn: strings.Replace(b.stack.DSN("seats_db"), "/seats_db", "/ceiling", 1)}
	bare, err := pgx.Connect(ctx, c.dsn)
	if err != nil {
		return nil, err
	}
	defer bare.Close(ctx)
	schema, err := exec.CommandContext(ctx, filepath.Join(bin, "pg_dump"), "--schema-only", b.stack.DSN("seats_db")).Output()
	if err != nil {
		return nil, fmt.Errorf("pg_dump: %w", err)
	}
	load := exec.CommandContext(ctx, filepath.Join(bin, "psql"), "-q", "-v", "ON_ERROR_STOP=1", c.dsn)
	load.Stdin, load.Env = bytes.NewReader(schema), os.Environ()
	if out, err := load.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("psql: %w: %s", err, out)
	}
	_, err = bare.Exec(ctx, fmt.Sprintf(`
		INSERT INTO seat_plans (event_id, total_seats, seats_per_row, tiers) VALUES (gen_random_uuid(), 1, 1, '{x}');
		INSERT INTO seats (seat_id, event_id, tier, row_number, seat_number)
		SELECT ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, event_id, 'x', 'A', n FROM seat_plans, generate_series(1, %d) n;
		CREATE TABLE orders (order_id uuid PRIMARY KEY DEFAULT gen_random_uuid(), seat_id uuid NOT NULL, user_id uuid NOT NULL, price numeric(10,2) NOT NULL, created_at timestamptz NOT NULL DEFAULT now());
		ANALYZE seats`, bareSeats))
	if err != nil {
		return nil, err
	}
	if c.dir, err = os.MkdirTemp("", "bench"); err != nil {
		return nil, err
	}
	for name, script := range map[string]string{"C1": holdScript, "C2": holdScript + orderScript} {
		if err := os.WriteFile(filepath.Join(c.dir, name), []byte(script), 0o644); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Close removes the scripts; the database goes with the stack.
func (c *ceiling) Close() { _ = os.RemoveAll(c.dir) }

// run runs one script in pgbench.
func (c *ceiling) run(ctx context.Context, id string, clients int) (figure, error) {
	seconds := max(1, int(c.b.plan.round.Seconds()))
	cmd := exec.CommandContext(ctx, c.bin, "-n", "-M", "prepared", "-c", strconv.Itoa(clients), "-j", "2", "-T", strconv.Itoa(seconds),
		"-f", filepath.Join(c.dir, id), c.dsn)
	cmd.Env = os.Environ()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return figure{}, fmt.Errorf("pgbench: %w: %s", err, out)
	}
	f := figure{ID: id, Clients: clients}
	for line := range strings.Lines(string(out)) {
		if rest, ok := strings.CutPrefix(line, "tps = "); ok {
			f.PerSecond, err = strconv.ParseFloat(strings.Fields(rest)[0], 64)
			if err != nil {
				return f, err
			}
		}
		if rest, ok := strings.CutPrefix(line, "latency average = "); ok {
			f.P50, _ = strconv.ParseFloat(strings.Fields(rest)[0], 64)
		}
	}
	if f.PerSecond == 0 {
		return f, fmt.Errorf("pgbench gave no rate: %s", out)
	}
	return f, nil
}
