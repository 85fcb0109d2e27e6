package main

import (
	"testing"

	"ticketremaster/platform/testenv"
)

func TestMain(m *testing.M) { testenv.RunMain(m, main) }

func TestProgram(t *testing.T) {
	testenv.ServiceProgram(t, "EVENT_DB_PASS", []string{"EVENT_TOKEN=secret"})
}
