package database_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"ticketremaster/platform/database"
	"ticketremaster/platform/testenv"
)

// accounts creates a table of ten accounts, 1 to 10, with 100 each.
func accounts(t *testing.T, dsn string) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	_, err = pool.Exec(t.Context(), `CREATE TABLE accounts (id int PRIMARY KEY, amount int NOT NULL CONSTRAINT amount_not_negative CHECK (amount >= 0));
		INSERT INTO accounts SELECT n, 100 FROM generate_series(1, 10) n`)
	if err != nil {
		t.Fatal(err)
	}
	return pool
}

// move adds an amount to an account and returns the new balance and the id of the transaction.
func move(ctx context.Context, g *database.GroupCommit, account, by int) (after int, transaction string, err error) {
	type answer struct {
		Amount      int
		Transaction string
	}
	a, err := database.Commit(ctx, g, pgx.RowToStructByPos[answer], database.Statement{
		SQL: `UPDATE accounts SET amount = amount + $2 WHERE id = $1 RETURNING amount, pg_current_xact_id()::text`, Args: []any{account, by}})
	return a.Amount, a.Transaction, err
}

func TestTransactionsAtOnceShareACommitAndSeeEachOther(t *testing.T) {
	g := database.NewGroupCommit(accounts(t, testenv.Postgres(t)))
	const calls = 200
	var mu sync.Mutex
	amounts, transactions := map[int]bool{}, map[string]bool{}
	var all sync.WaitGroup
	for range calls {
		all.Go(func() {
			after, transaction, err := move(t.Context(), g, 1, 1)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			amounts[after], transactions[transaction] = true, true
		})
	}
	all.Wait()
	for n := 101; n <= 100+calls; n++ {
		if !amounts[n] {
			t.Errorf("nobody saw %d", n)
		}
	}
	if len(transactions) > calls/4 {
		t.Errorf("%d calls at once took %d transactions", calls, len(transactions))
	}
}

func TestOneTransactionsFaultIsNoOthers(t *testing.T) {
	pool := accounts(t, testenv.Postgres(t))
	g := database.NewGroupCommit(pool)
	var all sync.WaitGroup
	for n := range 100 {
		all.Go(func() {
			switch n % 10 {
			case 3: // a violation, and of two statements neither is done
				err := g.Exec(t.Context(), database.Statement{SQL: `UPDATE accounts SET amount = amount + 1000 WHERE id = 2`},
					database.Statement{SQL: `UPDATE accounts SET amount = amount - $1 WHERE id = 3`, Args: []any{500}})
				if !database.Violates(err, "amount_not_negative") {
					t.Errorf("too much taken: %v", err)
				}
			case 7: // no row is no fault of the transaction: its first statement stays done
				_, err := database.Commit(t.Context(), g, pgx.RowTo[int], database.Statement{SQL: `UPDATE accounts SET amount = amount + 1 WHERE id = 4`},
					database.Statement{SQL: `SELECT id FROM accounts WHERE id = 99`})
				if !errors.Is(err, pgx.ErrNoRows) {
					t.Errorf("no row: %v", err)
				}
			default:
				if _, _, err := move(t.Context(), g, 1, 1); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	var amounts [4]int
	for i := range amounts {
		if err := pool.QueryRow(t.Context(), `SELECT amount FROM accounts WHERE id = $1`, i+1).Scan(&amounts[i]); err != nil {
			t.Fatal(err)
		}
	}
	if want := [4]int{180, 100, 100, 110}; amounts != want {
		t.Errorf("afterwards %v, want %v", amounts, want)
	}
}

// A transaction that fails at its commit is not reported as a success.
func TestARefusedCommitIsNoSuccess(t *testing.T) {
	pool := accounts(t, testenv.Postgres(t))
	if _, err := pool.Exec(t.Context(), `CREATE TABLE names (name text CONSTRAINT one_name UNIQUE DEFERRABLE INITIALLY DEFERRED)`); err != nil {
		t.Fatal(err)
	}
	_, err := database.Commit(t.Context(), database.NewGroupCommit(pool), pgx.RowTo[string],
		database.Statement{SQL: `INSERT INTO names VALUES ('a')`}, database.Statement{SQL: `INSERT INTO names VALUES ('a') RETURNING name`})
	if !database.Violates(err, "one_name") {
		t.Errorf("%v", err)
	}
}

// A transaction that waits for a lock held outside the group does not delay the others.
func TestALockKeepsNobodyElseWaiting(t *testing.T) {
	pool := accounts(t, testenv.Postgres(t))
	g := database.NewGroupCommit(pool)
	outside, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer outside.Rollback(context.Background())
	if _, err := outside.Exec(t.Context(), `SELECT FROM accounts WHERE id = 1 FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	held := make(chan error, 100)
	var others sync.WaitGroup
	for n := range 100 {
		if n%50 == 10 { // alone, such a call would occupy a lane: in a group it must not
			go func() { _, _, err := move(t.Context(), g, 1, 1); held <- err }()
			continue
		}
		others.Go(func() {
			if _, _, err := move(t.Context(), g, 2+n%9, 1); err != nil {
				t.Error(err)
			}
		})
	}
	others.Wait() // while the lock is held
	select {
	case err := <-held:
		t.Fatalf("did not wait for the lock: %v", err)
	default:
	}
	if err := outside.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := <-held; err != nil {
			t.Error(err)
		}
	}
}

// Transactions that lock their rows in one order do not when they share a commit: some wait for each other, and all
// succeed.
func TestThoseThatWaitForEachOtherPart(t *testing.T) {
	pool := accounts(t, testenv.Postgres(t))
	groups := []*database.GroupCommit{database.NewGroupCommit(pool), database.NewGroupCommit(pool)}
	var all sync.WaitGroup
	for n := range 300 {
		from := 1 + rand.N(9)
		to := from + 1 + rand.N(10-from)
		all.Go(func() {
			err := groups[n%2].Exec(t.Context(), database.Statement{SQL: `UPDATE accounts SET amount = amount + 1 WHERE id = $1`, Args: []any{from}},
				database.Statement{SQL: `UPDATE accounts SET amount = amount + 1 WHERE id = $1`, Args: []any{to}})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	var total int
	if err := pool.QueryRow(t.Context(), `SELECT sum(amount) FROM accounts`).Scan(&total); err != nil || total != 1600 {
		t.Errorf("in all %d, want 1600 (%v)", total, err)
	}
}

func TestADatabaseThatIsGoneIsSaidToAllAtOnce(t *testing.T) {
	server := testenv.PrivatePostgres(t)
	accounts(t, server.URL)
	config, err := pgxpool.ParseConfig(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	var tries atomic.Int64
	config.BeforeConnect = func(context.Context, *pgx.ConnConfig) error { tries.Add(1); return nil }
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	g := database.NewGroupCommit(pool)
	server.Kill()
	tries.Store(0)
	start := time.Now()
	var all sync.WaitGroup
	for n := range 50 {
		all.Go(func() {
			if _, _, err := move(t.Context(), g, 1+n%10, 1); !database.Unreachable(err) {
				t.Errorf("%v", err)
			}
		})
	}
	all.Wait()
	if n, took := tries.Load(), time.Since(start); n > 25 || took > 10*time.Second {
		t.Errorf("50 calls at once tried to connect %d times, for %s", n, took)
	}
	server.Start()
	ping := func() error {
		_, err := database.Commit(t.Context(), g, pgx.RowTo[int], database.Statement{SQL: `SELECT 1`})
		return err
	}
	for deadline := time.Now().Add(10 * time.Second); ping() != nil; {
		if time.Now().After(deadline) {
			t.Fatalf("does not come back: %v", ping())
		}
	}
}
