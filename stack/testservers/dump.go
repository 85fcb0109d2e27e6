package testservers

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"

	"ticketremaster/stack/native"
)

// dump returns the schema of a Dumpable server's database by the pg_dump that came with the server: pg_dump refuses a
// server newer than itself.
func dump(ctx context.Context, url string) (string, error) {
	options := []string{"--schema-only", "--no-owner", "--no-privileges", "--exclude-table=*_version", url}
	cmd := exec.CommandContext(ctx, "docker", append([]string{"run", "--rm", "--network=host", postgresImage, "pg_dump"}, options...)...)
	if bin, err := native.PostgresBin(); err == nil {
		cmd = exec.CommandContext(ctx, filepath.Join(bin, "pg_dump"), options...)
	}
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", cmd.Path, err, &problems)
	}
	return string(out), nil
}
