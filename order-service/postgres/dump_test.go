package postgres_test

import (
	"testing"

	"ticketremaster/platform/testenv"

	"ticketremaster/order-service/postgres"
)

// docs/schema/orders_db.sql is the schema that the migrations make.
func TestDumpIsCurrent(t *testing.T) {
	testenv.Schema(t, "../../docs/schema/orders_db.sql", postgres.Migrations)
}
