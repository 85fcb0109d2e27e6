package postgres_test

import (
	"testing"

	"ticketremaster/platform/testenv"

	"ticketremaster/user-service/postgres"
)

// docs/schema/users_db.sql is the schema that the migrations make.
func TestDumpIsCurrent(t *testing.T) {
	testenv.Schema(t, "../../docs/schema/users_db.sql", postgres.Migrations())
}
