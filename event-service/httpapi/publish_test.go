package httpapi_test

import (
	"net/http"
	"sync"
	"testing"

	"github.com/google/uuid"

	event "ticketremaster/event-service"
	"ticketremaster/platform/database"
	"ticketremaster/platform/fault"
)

func TestPublishedStays(t *testing.T) {
	s := start(t)
	e := s.published(t, concert(nil))
	if e.Status != event.StatusPublished {
		t.Fatalf("status is %s", e.Status)
	}
	path := "/events/" + e.ID.String()
	if err := s.Do(t.Context(), http.MethodPost, path+"/publish", nil, &e); err != nil || e.Status != event.StatusPublished {
		t.Errorf("publishing again: %v, %s", err, e.Status)
	}
	wantCode(t, s.Do(t.Context(), http.MethodDelete, path, nil, nil), "EVENT_PUBLISHED")
	if err := s.Do(t.Context(), http.MethodGet, path, nil, nil); err != nil {
		t.Errorf("after the refused delete: %v", err)
	}
	for _, sql := range []string{`DELETE FROM events`, `UPDATE events SET status = 'DRAFT', published_at = NULL`} {
		if _, err := s.pool.Exec(t.Context(), sql); !database.Violates(err, "events_published_stays") {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

func TestDeletedDraftRefusesALateCreate(t *testing.T) {
	s := start(t)
	b := concert(nil)
	path := "/events/" + s.make(t, b).ID.String()
	for range 2 {
		if err := s.Do(t.Context(), http.MethodDelete, path, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	wantCode(t, s.Do(t.Context(), http.MethodGet, path, nil, nil), "EVENT_NOT_FOUND")
	wantCode(t, s.Do(t.Context(), http.MethodPost, "/events", b, nil), "OPERATION_VOIDED")
	wantCode(t, s.Do(t.Context(), http.MethodPost, path+"/publish", nil, nil), "EVENT_NOT_FOUND")
}

func TestDeleteBeforeCreateVoidsIt(t *testing.T) {
	s := start(t)
	b := concert(body{"venue": body{"name": "Nowhere", "address": "x", "total_halls": 1}})
	if err := s.Do(t.Context(), http.MethodDelete, "/events/"+b["event_id"].(string), nil, nil); err != nil {
		t.Fatal(err)
	}
	wantCode(t, s.Do(t.Context(), http.MethodPost, "/events", b, nil), "OPERATION_VOIDED")
	var venues int
	if err := s.pool.QueryRow(t.Context(), `SELECT count(*) FROM venues`).Scan(&venues); err != nil || venues != 0 {
		t.Errorf("%d venues were left behind (%v)", venues, err)
	}
}

// Create, publish and delete of one event at once leave either a published event or a mark, never both nor a draft
// that a mark denies.
func TestCreatePublishAndDeleteRace(t *testing.T) {
	s := start(t)
	for range 20 {
		b := concert(nil)
		path := "/events/" + b["event_id"].(string)
		calls := []func() error{
			func() error { return s.Do(t.Context(), http.MethodPost, "/events", b, nil) },
			func() error { return s.Do(t.Context(), http.MethodPost, path+"/publish", nil, nil) },
			func() error { return s.Do(t.Context(), http.MethodDelete, path, nil, nil) },
		}
		var all sync.WaitGroup
		for range 3 {
			for _, c := range calls {
				all.Go(func() {
					if err := c(); fault.Unknown(err) {
						t.Error(err)
					}
				})
			}
		}
		all.Wait()
		var both int
		err := s.pool.QueryRow(t.Context(), `SELECT count(*) FROM events JOIN voided_events USING (event_id)`).Scan(&both)
		if err != nil || both != 0 {
			t.Fatalf("%d events stand beside their mark (%v)", both, err)
		}
	}
}

func TestCreateAndDeleteOfOneEventQueue(t *testing.T) {
	s := start(t)
	b := concert(nil)
	err := s.afterwards(t, func() error { return s.Do(t.Context(), http.MethodPost, "/events", b, nil) }, b["event_id"],
		`INSERT INTO voided_events (event_id) VALUES ($1)`)
	wantCode(t, err, "OPERATION_VOIDED")

	s.make(t, concert(nil))
	id := uuid.NewString()
	err = s.afterwards(t, func() error { return s.Do(t.Context(), http.MethodDelete, "/events/"+id, nil, nil) }, id, `
		INSERT INTO events (event_id, name, venue_id, hall_id, event_date, ends_at, total_seats, seats_per_row, pricing_tiers)
		SELECT $1, name, venue_id, hall_id, event_date, ends_at, total_seats, seats_per_row, pricing_tiers FROM events LIMIT 1`)
	wantCode(t, err, "")
	wantCode(t, s.Do(t.Context(), http.MethodGet, "/events/"+id, nil, nil), "EVENT_NOT_FOUND")
}
