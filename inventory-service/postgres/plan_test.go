package postgres

// These tests look at the statements themselves, so they stand inside the package.

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"ticketremaster/platform/testenv"

	inventory "ticketremaster/inventory-service"
)

func openEmpty(t *testing.T) *Store { return openWith(t, "16") }

func openWith(t testing.TB, connections string) *Store {
	t.Helper()
	u, err := url.Parse(testenv.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("pool_max_conns", connections)
	u.RawQuery = q.Encode()
	store, err := Open(t.Context(), u.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	return store
}

// fillHall makes an event and returns one of its seats in the middle.
func fillHall(t testing.TB, s *Store, seats int) (event, seat uuid.UUID) {
	t.Helper()
	p := inventory.Plan{EventID: uuid.Must(uuid.NewV7()), Total: seats, Tiers: []string{"CAT1", "CAT2"}}
	if err := p.Check(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.CreateSeats(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	all, err := s.Seats(t.Context(), p.EventID, "", 0, 100_000)
	if err != nil {
		t.Fatal(err)
	}
	return p.EventID, all[len(all)/2].ID
}

// work runs a statement and returns its plan's lines, and the buffers and rows that it touched, and takes it back.
func work(t *testing.T, s *Store, sql string, args ...any) (plan string, buffers int) {
	t.Helper()
	err := pgx.BeginFunc(t.Context(), s.pool, func(tx pgx.Tx) error {
		rows, err := tx.Query(t.Context(), `EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, COSTS OFF, SUMMARY OFF) `+sql, args...)
		if err != nil {
			return err
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		plan = strings.Join(lines, "\n")
		// The first line of Buffers is the whole statement's.
		for _, line := range lines {
			if b, found := strings.CutPrefix(strings.TrimSpace(line), "Buffers: shared "); found {
				for _, part := range strings.Fields(b) {
					var n int
					if _, err := fmt.Sscanf(part, "hit=%d", &n); err == nil {
						buffers += n
					} else if _, err := fmt.Sscanf(part, "read=%d", &n); err == nil {
						buffers += n
					}
				}
				break
			}
		}
		return errUndo
	})
	if err != errUndo {
		t.Fatalf("%s: %v", sql, err)
	}
	if buffers == 0 {
		t.Fatalf("no buffers in the plan:\n%s", plan)
	}
	return plan, buffers
}

var errUndo = fmt.Errorf("undo")

// A reservation does work proportional to one seat, whatever the hall.
func TestReserveDoesNotGrowWithTheHall(t *testing.T) {
	s := openEmpty(t)
	user := uuid.Must(uuid.NewV7())
	measure := func(seat uuid.UUID) int {
		args := reserveArgs([]inventory.Reservation{{Seats: []inventory.HeldSeat{{SeatID: seat, HoldID: uuid.Must(uuid.NewV7())}}, UserID: user, PersonID: user, TTL: time.Minute, MaxHolds: 10}}, []int{0})
		work(t, s, reserve, args...) // the first run fills the catalogue's caches
		plan, buffers := work(t, s, reserve, args...)
		if strings.Contains(plan, "Seq Scan") || !strings.Contains(plan, "seats_pkey") || !strings.Contains(plan, "seats_held_by") {
			t.Fatalf("not by its indexes:\n%s", plan)
		}
		return buffers
	}
	_, small := fillHall(t, s, 100)
	before := measure(small)
	_, large := fillHall(t, s, 20_000)
	after := measure(large)
	t.Logf("buffers: %d with 100 seats, %d with 20,000", before, after)
	// Each index may have become a level or two deeper, and the row may have gone to another page.
	if after > before+24 {
		t.Fatalf("a reservation touches %d pages with 20,000 seats, %d with 100", after, before)
	}
}

// A plan that was right while the table was tiny is kept for the connection's life: it must not scan the hall that came
// later.
func TestAPlanOutlivesASmallTable(t *testing.T) {
	s := openWith(t, "1")
	reserveOne := func(seat uuid.UUID) {
		person := uuid.Must(uuid.NewV7())
		r := inventory.Reservation{Seats: []inventory.HeldSeat{{SeatID: seat, HoldID: uuid.Must(uuid.NewV7())}}, UserID: person, PersonID: person, TTL: time.Minute, MaxHolds: 10}
		if _, err := s.Reserve(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	scanned := func() (rows int) {
		if _, err := s.pool.Exec(t.Context(), `SELECT pg_stat_force_next_flush()`); err != nil {
			t.Fatal(err)
		}
		if err := s.pool.QueryRow(t.Context(), `SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'seats'`).Scan(&rows); err != nil {
			t.Fatal(err)
		}
		return rows
	}
	_, small := fillHall(t, s, 10)
	if _, err := s.pool.Exec(t.Context(), `ANALYZE seats`); err != nil {
		t.Fatal(err)
	}
	reserveOne(small)
	_, large := fillHall(t, s, 5_000)
	before := scanned()
	reserveOne(large)
	if read := scanned() - before; read > 0 {
		t.Fatalf("one reservation read %d rows of the whole table", read)
	}
}

// walks returns the scan of an index without a condition on its columns, which reads the whole index; empty if there is
// none.
func walks(plan string) string {
	lines := strings.Split(plan, "\n")
	for i, line := range lines {
		if strings.Contains(line, "Scan using") && (i+1 == len(lines) || !strings.Contains(lines[i+1], "Index Cond")) {
			return line
		}
	}
	return ""
}

// Every other statement of a request has its index too, though the tables were empty when it was planned. And none
// about one seat walks through the holds or the sales of all, as good as that looks while there are none.
func TestNoStatementReadsAWholeTable(t *testing.T) {
	s := openEmpty(t)
	event, seat := fillHall(t, s, 5_000)
	for _, sql := range []string{ // scans, of which none let anyone in
		`INSERT INTO entry_logs (log_id, event_id, scanned_by_staff_id, result)
			SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'NOT_FOUND' FROM generate_series(1, 5000)`,
		`VACUUM (ANALYZE) seats, entry_logs`,
	} {
		if _, err := s.pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	id := uuid.Must(uuid.NewV7())
	one, ids := []uuid.UUID{seat}, []uuid.UUID{id}
	scanned := inventory.CheckIn{Scan: inventory.Scan{ID: id, SeatID: seat, EventID: event, StaffID: id}, OwnerID: id, OwnershipVersion: 1}
	for name, c := range map[string]struct {
		sql  string
		args []any
	}{
		"reserve":  {reserve, reserveArgs([]inventory.Reservation{{Seats: []inventory.HeldSeat{{SeatID: seat, HoldID: id}}, UserID: id, PersonID: id, TTL: time.Minute, MaxHolds: 10}}, []int{0})},
		"pin":      {pin, []any{one, ids, id, id}},
		"unpin":    {unpin, []any{one, ids, id}},
		"confirm":  {confirm, []any{one, ids, id, id, []string{"1.00"}, []string{""}}},
		"singles":  {singles, []any{one}},
		"together": {together, []any{ids, ids}},
		"lock":     {lockSeats, []any{one}},
		"release":  {release, []any{seat, id, true}},
		"sweep":    {sweep, []any{0, 100}},
		"extend":   {extend, []any{[]uuid.UUID{id}, []uuid.UUID{id}, 60_000, 300_000}},
		"hand":     {handOver, []any{seat, id, user2, id, "TRANSFER"}},
		"qr":       {recordQR, []any{seat, id, 1, "ab"}},
		"checkin":  {checkIn, append(decisionArgs(scanned), false)},
		"reentry":  {checkIn, append(decisionArgs(scanned), true)},
		"exit":     {exit, decisionArgs(scanned)},
		"undo":     {undo, []any{seat, id, id, false, id, "", "", nil, 1000}},
		"ticket":   {ticketsByID, []any{[]uuid.UUID{seat}}},
		"find":     {found, []any{event, []uuid.UUID{id}, []uuid.UUID{seat}, "A", 1, 100}},
		"void":     {voidTicket, []any{seat, id, id}},
		"free":     {freeTicket, []any{seat, id, false}},
		"restore":  {restore, []any{[]uuid.UUID{seat}, []uuid.UUID{id}}},
		"settle":   {settle, []any{[]uuid.UUID{seat}, []uuid.UUID{id}}},
		"some":     {voidSome, []any{event, []uuid.UUID{id}, 100}},
		"block":    {block, []any{event, []uuid.UUID{seat}, true}},
		"count":    {countSeats, []any{[]uuid.UUID{event}}},
	} {
		t.Run(name, func(t *testing.T) {
			work(t, s, c.sql, c.args...) // the first run fills the catalogue's caches
			plan, buffers := work(t, s, c.sql, c.args...)
			if strings.Contains(plan, "Seq Scan on seats") || buffers > 60 {
				t.Fatalf("%d buffers:\n%s", buffers, plan)
			}
			if walk := walks(plan); walk != "" && name != "sweep" {
				t.Fatalf("%s reads a whole index:\n%s", walk, plan)
			}
		})
	}
	start := time.Now()
	if seats, err := s.Seats(t.Context(), event, "", 0, 5_000); err != nil || len(seats) != 5_000 {
		t.Fatalf("%d seats (%v)", len(seats), err)
	}
	t.Logf("5,000 seats read in %s", time.Since(start))
	for name, sql := range map[string]string{"seats": listSeats, "statuses": listStatuses} {
		args := []any{event}
		if name == "seats" {
			args = []any{event, "IP", 1, 20}
		}
		work(t, s, sql, args...)
		plan, buffers := work(t, s, sql, args...)
		if strings.Contains(plan, "Seq Scan") || strings.Contains(plan, "Sort") {
			t.Fatalf("a list of %s reads more than its hall, or sorts it:\n%s", name, plan)
		}
		if name == "seats" && buffers > 60 {
			t.Fatalf("a portion begins by reading what is before it, %d buffers:\n%s", buffers, plan)
		}
	}
}

// An entry is the gate's work: it writes the seat's page and no index of seats.
func TestAnEntryWritesNoIndexOfSeats(t *testing.T) {
	s := openWith(t, "1") // so that all counts are flushed
	_, seat := fillHall(t, s, 100)
	user, pin := uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7())
	hold := uuid.Must(uuid.NewV7())
	if _, err := s.Reserve(t.Context(), inventory.Reservation{Seats: []inventory.HeldSeat{{SeatID: seat, HoldID: hold}}, UserID: user, PersonID: user, TTL: time.Minute, MaxHolds: 1}); err != nil {
		t.Fatal(err)
	}
	p := inventory.Pin{Seats: []inventory.HeldSeat{{SeatID: seat, HoldID: hold}}, UserID: user, PinID: pin}
	if _, err := s.Pin(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	sold, err := s.Confirm(t.Context(), inventory.Sale{Pin: p, Terms: []inventory.Terms{{Price: 100}}})
	if err != nil {
		t.Fatal(err)
	}
	updates := func() (in, out int) {
		if _, err := s.pool.Exec(t.Context(), `SELECT pg_stat_force_next_flush()`); err != nil {
			t.Fatal(err)
		}
		err := s.pool.QueryRow(t.Context(), `SELECT n_tup_hot_upd, n_tup_upd - n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'seats'`).Scan(&in, &out)
		if err != nil {
			t.Fatal(err)
		}
		return in, out
	}
	inPage, elsewhere := updates()
	scan := inventory.Scan{ID: uuid.Must(uuid.NewV7()), SeatID: seat, PresentedSeatID: seat, StaffID: user, Direction: inventory.In}
	if result, _, err := s.CheckIn(t.Context(), inventory.CheckIn{Scan: scan, OwnerID: user, OwnershipVersion: sold[0].OwnershipVersion}); result != "SUCCESS" || err != nil {
		t.Fatal(result, err)
	}
	if in, out := updates(); in != inPage+1 || out != elsewhere {
		t.Errorf("in its page %d, elsewhere %d; before %d and %d", in, out, inPage, elsewhere)
	}
	counts, err := s.Counts(t.Context(), []uuid.UUID{sold[0].EventID})
	if err != nil || counts[0].Sold != 1 || counts[0].CheckedIn != 1 || counts[0].Revenue != 100 {
		t.Errorf("%+v, %v", counts, err)
	}
}

var user2 = uuid.MustParse("01930000-0000-7000-8000-000000000002")

// Replicas that start at the same moment on an empty database: one migrates, the others wait.
func TestReplicasStartAtOnce(t *testing.T) {
	dsn := testenv.Postgres(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	results := make(chan error, 3)
	for range 3 {
		go func() {
			s, err := Open(ctx, dsn)
			if err == nil {
				_, err = s.Seats(ctx, user2, "", 0, 1)
				s.Close()
			}
			results <- err
		}()
	}
	for range 3 {
		if err := <-results; err != nil {
			t.Fatal(err)
		}
	}
}
