package testenv

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"ticketremaster/platform/database"
	"ticketremaster/platform/native"
)

// Schema holds a file to the schema that the migrations make in an empty database, as pg_dump prints it. The test fails if they
// differ. With UPDATE_SCHEMA=1 in the environment (make schema) the file is written instead.
func Schema(t testing.TB, file string, migrations fs.FS) {
	t.Helper()
	url := Postgres(t)
	if err := database.Migrate(t.Context(), url, migrations); err != nil {
		t.Fatal(err)
	}
	text, err := dump(t.Context(), url)
	if err != nil {
		t.Fatalf("testenv: dump the schema: %v", err)
	}
	schema := fmt.Sprintf("-- %s as the migrations leave it. Made by `make schema`; do not edit.\n\n%s",
		strings.TrimSuffix(filepath.Base(file), ".sql"), normalise(text))
	if os.Getenv("UPDATE_SCHEMA") != "" {
		if err := os.WriteFile(file, []byte(schema), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	kept, err := os.ReadFile(file)
	if err != nil || string(kept) != schema {
		t.Errorf("%s is stale: run `make schema` (%v)%s", file, err, firstDifference(string(kept), schema))
	}
}

// dump runs pg_dump: this machine's if it is as new as the server, else the one of the server's image.
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
	options := []string{"--schema-only", "--no-owner", "--no-privileges", "--exclude-table=goose_db_version", url}
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

var noise = regexp.MustCompile(`^(--|SET |SELECT pg_catalog\.set_config|\\(un)?restrict)`)

// normalise leaves what is the same from every server and of every pg_dump: no comments, settings, or name of the one schema there is.
func normalise(text string) string {
	var kept []string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \n")
		if noise.MatchString(line) || line == "" && (len(kept) == 0 || kept[len(kept)-1] == "") {
			continue
		}
		kept = append(kept, strings.ReplaceAll(line, "public.", ""))
	}
	return strings.TrimRight(strings.Join(kept, "\n"), "\n") + "\n"
}

// firstDifference shows the first line in which two texts differ.
func firstDifference(kept, now string) string {
	a, b := strings.Split(kept, "\n"), strings.Split(now, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("\nline %d has\n%s\nand should have\n%s", i+1, a[i], b[i])
		}
	}
	return fmt.Sprintf("\nit has %d lines and should have %d", len(a), len(b))
}
