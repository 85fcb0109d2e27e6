package postgres_test

import (
	"testing"

	"ticketremaster/platform/testenv"

	"ticketremaster/inventory-service/postgres"
)

// docs/schema/seats_db.sql shows what the migrations make.
func TestDumpIsCurrent(t *testing.T) {
	testenv.Schema(t, "../../docs/schema/seats_db.sql", postgres.Migrations())
}
