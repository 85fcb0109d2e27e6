package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"ticketremaster/platform/money"
)

// A TypeScript client that is generated from docs/openapi.yaml compiles with --strict and makes a purchase.
func TestTheGeneratedTypeScriptClient(t *testing.T) {
	document, err := filepath.Abs(documentFile)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "typescript")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"package.json", "package-lock.json", "tsconfig.json", "purchase.ts"} {
		text, err := os.ReadFile(filepath.Join("../typescript", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	n, e := made.Add(1), newEvent(t, 2)
	npm := func(args ...string) []byte {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "npm", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "DOCUMENT="+document, "GATEWAY="+app.Gateway, "SANDBOX="+app.Sandbox, "EVENT="+e.ID,
			fmt.Sprintf("EMAIL=u%d-%s@example.com", n, run), fmt.Sprintf("PHONE=+65%s%03d", run[4:], n%1000))
		out, err := cmd.Output()
		if err != nil {
			var stderr []byte
			if failed, ok := err.(*exec.ExitError); ok {
				stderr = failed.Stderr
			}
			t.Fatalf("npm %v: %v\n%s%s", args, err, out, stderr)
		}
		return out
	}
	npm("ci", "--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline")
	npm("run", "--silent", "generate")
	npm("run", "--silent", "compile")
	var bought struct {
		SeatID  string `json:"seat_id"`
		Charged money.Cents
		Refused string
		QR      string `json:"qr_payload"`
	}
	out := npm("run", "--silent", "purchase")
	if err := json.Unmarshal(out, &bought); err != nil || bought.SeatID != e.Seats[0].ID || bought.Charged != 60_00 || bought.Refused != "SEAT_ALREADY_SOLD" || bought.QR == "" {
		t.Errorf("%s", out)
	}
}
