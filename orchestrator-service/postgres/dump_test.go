package postgres_test

import (
	"testing"

	"ticketremaster/platform/testenv"

	"ticketremaster/orchestrator-service/postgres"
)

// docs/schema/sagas_db.sql is the schema that the migrations make.
func TestDumpIsCurrent(t *testing.T) {
	testenv.Schema(t, "../../docs/schema/sagas_db.sql", postgres.Migrations())
}
