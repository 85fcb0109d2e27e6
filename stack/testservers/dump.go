package testservers

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"

	"github.com/jackc/pgx/v5"

	"ticketremaster/stack/native"
)

// dump returns a database's schema by pg_dump: this machine's if it is as new as the server, else the one of the
// server's image.
func dump(ctx context.Context, url string) (string, error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return "", err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var version int
	if err := conn.QueryRow(ctx, "SELECT current_setting('server_version_num')::int / 10000").Scan(&version); err != nil {
		return "", err
	}
	options := []string{"--schema-only", "--no-owner", "--no-privileges", "--exclude-table=*_version", url}
	cmd := exec.CommandContext(ctx, "docker", append([]string{"run", "--rm", "--network=host", postgresImage, "pg_dump"}, options...)...)
	if bin, err := native.PostgresBin(); err == nil {
		program := filepath.Join(bin, "pg_dump")
		var own int
		if out, err := exec.CommandContext(ctx, program, "--version").Output(); err == nil { // "pg_dump (PostgreSQL) 15.9 (…)"
			_, _ = fmt.Sscanf(string(out), "pg_dump (PostgreSQL) %d", &own)
		}
		if own >= version {
			cmd = exec.CommandContext(ctx, program, options...)
		}
	}
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", cmd.Path, err, &problems)
	}
	return string(out), nil
}
