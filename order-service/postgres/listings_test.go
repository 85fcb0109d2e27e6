package postgres_test

import (
	"testing"

	"ticketremaster/platform/database"
	"ticketremaster/platform/testenv"
	"ticketremaster/platform/web"

	order "ticketremaster/order-service"
	"ticketremaster/order-service/postgres"
)

var active = order.ListingFilter{Status: order.Active}

// openWithListings returns a store with n active listings.
func openWithListings(t testing.TB, n int) postgres.Store {
	t.Helper()
	pool, err := database.Open(t.Context(), testenv.Postgres(t), postgres.Migrations)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	s := postgres.New(pool)
	addListings(t, s, n)
	if _, err := pool.Exec(t.Context(), `VACUUM (ANALYZE) listings`); err != nil {
		t.Fatal(err)
	}
	return s
}

func addListings(t testing.TB, s postgres.Store, n int) {
	t.Helper()
	if _, err := s.Pool.Exec(t.Context(), `
		INSERT INTO listings (listing_id, seat_id, event_id, seller_user_id, asking_price, check_from, created_at)
		SELECT gen_random_uuid(), gen_random_uuid(), md5((n % 50)::text)::uuid, gen_random_uuid(), 80, now() + interval '1 year', now() - n * interval '1 second'
		FROM generate_series(1, $1::int) AS n`, n); err != nil {
		t.Fatal(err)
	}
}

// A list is counted once for all reads within a few seconds; a page never has a total smaller than what it shows.
func TestListingsAreCountedOnce(t *testing.T) {
	s := openWithListings(t, 3)
	for _, step := range []struct{ add, page, want int }{{0, 1, 3}, {2, 1, 3}, {0, 4, 4}, {0, 5, 5}} {
		addListings(t, s, step.add)
		if _, total, err := s.Listings(t.Context(), active, web.Page{Number: step.page, Size: 1}); err != nil || total != step.want {
			t.Errorf("page %d: %d in all (%v), want %d", step.page, total, err, step.want)
		}
	}
}

// What a page of 100,000 listings takes.
func BenchmarkListings(b *testing.B) {
	s := openWithListings(b, 100_000)
	for name, page := range map[string]web.Page{"first": {Number: 1, Size: 20}, "hundredth": {Number: 100, Size: 20}, "last": {Number: 5000, Size: 20}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if found, total, err := s.Listings(b.Context(), active, page); err != nil || len(found) != 20 || total != 100_000 {
					b.Fatal(len(found), total, err)
				}
			}
		})
	}
}
