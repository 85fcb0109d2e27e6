package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"ticketremaster/platform/native"
)

// ceiling is pgbench on the seats cluster: what PostgreSQL alone does here.
type ceiling struct {
	b   *bench
	dir string
	dsn string
	bin string
}

// bareSeats is how many rows the hold statement chooses from; a seat held before is held anew, so that they never end.
const bareSeats = 200_000

// Each client has rows of its own: a lock that is taken would end the client.
const holdScript = `\set id 1 + :client_id + 128 * random(0, 1500)
WITH s AS (SELECT id FROM bare_seats WHERE id = :id FOR UPDATE NOWAIT)
UPDATE bare_seats b SET status = 'HELD', held_by = :client_id, held_until = now() + interval '5 minutes' FROM s WHERE b.id = s.id;
`

const orderScript = `INSERT INTO bare_orders (seat_id, user_id, price) VALUES (:id, :client_id, 60);
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
	_, err = bare.Exec(ctx, fmt.Sprintf(`
		CREATE TABLE bare_seats (id int PRIMARY KEY, status text NOT NULL DEFAULT 'AVAILABLE', held_by int, held_until timestamptz) WITH (fillfactor = 70);
		INSERT INTO bare_seats (id) SELECT generate_series(1, %d);
		CREATE TABLE bare_orders (order_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, seat_id int NOT NULL, user_id int NOT NULL, price numeric(10,2) NOT NULL, created_at timestamptz NOT NULL DEFAULT now());
		ANALYZE bare_seats`, bareSeats))
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

// run lets pgbench run one script.
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
