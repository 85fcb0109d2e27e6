package testenv

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"ticketremaster/platform/database"
)

// Schema holds a file to the schema that the migrations make in an empty database, as pg_dump prints it. The test fails
// if they differ. With UPDATE_SCHEMA=1 in the environment (make schema) the file is written instead. The server belongs
// to this test alone: the one that all tests share may be newer than any pg_dump here, and pg_dump then refuses it.
func Schema(t testing.TB, file string, migrations fs.FS) {
	t.Helper()
	url := private(t, "dumpable").URL
	if err := database.Migrate(t.Context(), url, migrations); err != nil {
		t.Fatal(err)
	}
	dumped, err := ask(request{Do: "dump", URL: url})
	if err != nil {
		t.Fatalf("testenv: dump the schema: %v", err)
	}
	schema := fmt.Sprintf("-- %s as the migrations leave it. Made by `make schema`; do not edit.\n\n%s",
		strings.TrimSuffix(filepath.Base(file), ".sql"), normalise(dumped.Text))
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

var noise = regexp.MustCompile(`^(--|SET |SELECT pg_catalog\.set_config|\\(un)?restrict)`)

// normalise leaves what is the same from every server and of every pg_dump: no comments, settings, or name of the one
// schema there is.
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
