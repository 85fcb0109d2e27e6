package postgres_test

import (
	"testing"

	"ticketremaster/platform/testenv"

	"ticketremaster/event-service/postgres"
)

// docs/schema/events_db.sql is the schema that the migrations make.
func TestDumpIsCurrent(t *testing.T) {
	testenv.Schema(t, "../../docs/schema/events_db.sql", postgres.Migrations)
}
