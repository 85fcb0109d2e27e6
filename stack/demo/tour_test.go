package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"ticketremaster/stack"
)

// runTour runs every command of docs/tour.md as it stands there, against a stack that the demo has played on: each
// call's answer must be a success.
func runTour(ctx context.Context, t *testing.T, s *stack.Stack) {
	text, err := os.ReadFile("../../docs/tour.md")
	if err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	script.WriteString("set -eu\n")
	for _, block := range strings.Split(string(text), "```sh\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		script.WriteString(block)
	}
	commands := strings.NewReplacer("http://127.0.0.1:8000", s.URL(), "http://127.0.0.1:8025", s.SandboxURL()).Replace(script.String())
	shown := 0 // calls whose answer is printed whole
	for line := range strings.Lines(commands) {
		if strings.HasPrefix(line, "call ") && !strings.Contains(line, "| cut") {
			shown++
		}
	}
	cmd := exec.CommandContext(ctx, "sh")
	cmd.Stdin = strings.NewReader(commands)
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, &problems)
	}
	whole := 0
	for line := range strings.Lines(string(out)) {
		var answer struct {
			Success bool   `json:"success"`
			Status  string `json:"status"` // of /health
		}
		if json.Unmarshal([]byte(line), &answer) != nil {
			continue // the head of a long one
		}
		whole++
		if !answer.Success && answer.Status != "ok" {
			t.Errorf("answer %d: %s", whole, line)
		}
	}
	if whole != shown || shown < 30 {
		t.Errorf("%d answers of %d calls\n%s\n%s", whole, shown, out, &problems)
	}
	for _, result := range []string{`"result":"WRONG_HALL"`, `"result":"SUCCESS"`, `"result":"DUPLICATE"`, `"status":"REVERSED"`} {
		if !strings.Contains(string(out), result) {
			t.Errorf("no answer has %s", result)
		}
	}
}
