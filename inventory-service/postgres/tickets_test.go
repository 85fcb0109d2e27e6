package postgres

import (
	"testing"
)

// A gate's list of a large hall is read in portions, each by its index: what 100,000 sold seats take is printed.
func BenchmarkTicketsOfALargeHall(b *testing.B) {
	s := openWith(b, "4")
	event, _ := fillHall(b, s, 100_000)
	if _, err := s.pool.Exec(b.Context(), `SET session_replication_role = replica;
		UPDATE seats SET status = 'SOLD', owner_user_id = seat_id, hold_id = seat_id, price_paid = 1, ownership_version = 1, sold_at = now();
		SET session_replication_role = DEFAULT`); err != nil {
		b.Fatal(err)
	}
	if _, err := s.pool.Exec(b.Context(), `VACUUM (ANALYZE) seats`); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		n, row, number := 0, "", 0
		for {
			tickets, err := s.Tickets(b.Context(), event, row, number)
			if err != nil {
				b.Fatal(err)
			}
			n += len(tickets)
			if len(tickets) < TicketPortion {
				break
			}
			row, number = tickets[len(tickets)-1].Row, tickets[len(tickets)-1].Number
		}
		if n != 100_000 {
			b.Fatalf("%d tickets of %s", n, event)
		}
	}
	b.ReportMetric(100_000, "tickets")
}
