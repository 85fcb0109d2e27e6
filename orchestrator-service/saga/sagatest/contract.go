package sagatest

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/platform/fault"
)

// Contract tests that a log does what saga.Log says. open returns an empty one. Leases that are to be over have a
// length below zero, so that no clock need be waited for.
func Contract(t *testing.T, open func(*testing.T) saga.Log) {
	for name, test := range map[string]func(*testing.T, saga.Log){
		"a subject has one saga that is not undone": oneSagaPerSubject,
		"each claim has a later epoch":              epochsGrow,
		"only the latest claim writes":              onlyTheLatestClaimWrites,
		"a driver may repeat what it wrote":         repeats,
		"a lease that is kept is not taken over":    leases,
		"stalled sagas starve none":                 shares,
		"progress is kept":                          progress,
		"a parked saga is reopened once":            reopening,
		"reading":                                   reading,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

const (
	over = -time.Second
	long = time.Minute
)

func begin(t *testing.T, log saga.Log, lease time.Duration) *saga.Record {
	t.Helper()
	id := uuid.New()
	return beginSubject(t, log, id, id.String(), lease)
}

func beginSubject(t *testing.T, log saga.Log, id uuid.UUID, subject string, lease time.Duration) *saga.Record {
	t.Helper()
	r := &saga.Record{ID: id, Kind: "trip", Subject: subject, Status: saga.Running, State: json.RawMessage(`{"a": 1}`), Owner: uuid.New(), Epoch: 1}
	if err := log.Begin(t.Context(), r, lease); err != nil {
		t.Fatal(err)
	}
	return r
}

func claim(t *testing.T, log saga.Log, lease time.Duration, limit int) []*saga.Record {
	t.Helper()
	records, err := log.Claim(t.Context(), uuid.New(), lease, limit)
	if err != nil {
		t.Fatal(err)
	}
	return records
}

func get(t *testing.T, log saga.Log, id uuid.UUID) *saga.Record {
	t.Helper()
	r, err := log.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// end writes a saga's end, from RUNNING.
func end(t *testing.T, log saga.Log, r *saga.Record, status saga.Status) {
	t.Helper()
	if status == saga.Undone {
		r.Refusal = fault.New(fault.Conflict, "NO", "no")
		if err := log.Turn(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if r.Status = status; status == saga.Parked {
		r.Refusal, r.ParkedFrom = fault.New(fault.Conflict, "NO", "no"), saga.Running
	}
	if err := log.End(t.Context(), r); err != nil {
		t.Fatal(err)
	}
}

func oneSagaPerSubject(t *testing.T, log saga.Log) {
	first := begin(t, log, long)
	for _, c := range []struct {
		name string
		id   uuid.UUID
		want error
		ends saga.Status // of the first, before
	}{
		{"itself", first.ID, saga.ErrLive, ""}, {"another", uuid.New(), saga.ErrLive, ""},
		{"itself, parked", first.ID, saga.ErrLive, saga.Parked}, {"another, while it is parked", uuid.New(), saga.ErrLive, ""},
	} {
		if c.ends != "" {
			end(t, log, first, c.ends)
		}
		r := &saga.Record{ID: c.id, Kind: "trip", Subject: first.Subject, Status: saga.Running, State: json.RawMessage(`{}`), Owner: uuid.New(), Epoch: 1}
		err := log.Begin(t.Context(), r, long)
		if !errors.Is(err, c.want) || fault.From(err).Details["saga_id"] != first.ID.String() {
			t.Errorf("%s: %v, of %v", c.name, err, fault.From(err).Details)
		}
	}
	done := begin(t, log, long)
	end(t, log, done, saga.Done)
	r := &saga.Record{ID: uuid.New(), Kind: "trip", Subject: done.Subject, Status: saga.Running, State: json.RawMessage(`{}`), Owner: uuid.New(), Epoch: 1}
	if err := log.Begin(t.Context(), r, long); !errors.Is(err, saga.ErrDone) {
		t.Errorf("after one that is done: %v", err)
	}
	undone := begin(t, log, long)
	end(t, log, undone, saga.Undone)
	beginSubject(t, log, uuid.New(), undone.Subject, long)
}

func epochsGrow(t *testing.T, log saga.Log) {
	r := begin(t, log, over)
	for epoch := int64(2); epoch < 5; epoch++ {
		claimed := claim(t, log, over, 10)
		if len(claimed) != 1 || claimed[0].Epoch != epoch || claimed[0].ID != r.ID || !claimed[0].Unreported {
			t.Fatalf("claimed %+v, want epoch %d", claimed, epoch)
		}
	}
}

// writes are all that a driver writes, by name.
func writes(t *testing.T, log saga.Log) map[string]func(*saga.Record) error {
	refused := func(r saga.Record, status saga.Status) *saga.Record {
		r.Status, r.Refusal = status, fault.New(fault.Conflict, "NO", "no")
		return &r
	}
	return map[string]func(*saga.Record) error{
		"Turn":     func(r *saga.Record) error { return log.Turn(t.Context(), refused(*r, saga.Compensating)) },
		"End DONE": func(r *saga.Record) error { c := *r; c.Status = saga.Done; return log.End(t.Context(), &c) },
		"Park":     func(r *saga.Record) error { return log.End(t.Context(), refused(*r, saga.Parked)) },
		"Renew":    func(r *saga.Record) error { return log.Renew(t.Context(), r, long) },
		"Rest":     func(r *saga.Record) error { return log.Rest(t.Context(), r, over) },
	}
}

func onlyTheLatestClaimWrites(t *testing.T, log saga.Log) {
	for name, write := range writes(t, log) {
		first := begin(t, log, over)
		second := claim(t, log, long, 10)[0]
		stranger := *second
		stranger.Owner = uuid.New()
		unknown := *first
		unknown.ID = uuid.New()
		before := get(t, log, first.ID)
		for who, r := range map[string]*saga.Record{"the earlier driver": first, "who is not the owner": &stranger, "a saga that is not there": &unknown} {
			if err := write(r); !errors.Is(err, saga.ErrLost) {
				t.Errorf("%s by %s: %v", name, who, err)
			}
		}
		if after := get(t, log, first.ID); after.Status != before.Status || after.Epoch != before.Epoch || !after.UpdatedAt.Equal(before.UpdatedAt) {
			t.Errorf("%s changed the saga: %+v", name, after)
		}
		if len(claim(t, log, long, 10)) != 0 {
			t.Errorf("%s by another gave the lease away", name)
		}
		if err := write(second); err != nil {
			t.Errorf("%s by the latest driver: %v", name, err)
		}
		claim(t, log, long, 10) // what Rest gave back
	}
	// The same process that takes its own saga up again is another driver.
	mine := begin(t, log, over)
	again, err := log.Claim(t.Context(), mine.Owner, long, 10)
	if err != nil || len(again) != 1 {
		t.Fatal(again, err)
	}
	if err := log.Renew(t.Context(), mine, long); !errors.Is(err, saga.ErrLost) {
		t.Errorf("its former claim: %v", err)
	}
}

func repeats(t *testing.T, log saga.Log) {
	r := begin(t, log, long)
	r.Refusal, r.Turned = fault.New(fault.Conflict, "NO", "no"), 2
	for range 2 {
		if err := log.Turn(t.Context(), r); err != nil {
			t.Error(err)
		}
	}
	r.Status = saga.Undone
	for range 2 {
		if err := log.End(t.Context(), r); err != nil {
			t.Error(err)
		}
	}
	if err := log.Turn(t.Context(), r); !errors.Is(err, saga.ErrLost) {
		t.Errorf("a Turn that comes after the end: %v", err)
	}
	r.Status = saga.Done
	if err := log.End(t.Context(), r); !errors.Is(err, saga.ErrLost) {
		t.Errorf("another end: %v", err)
	}
	if got := get(t, log, r.ID); got.Status != saga.Undone || got.Turned != 2 || got.Refusal.Code != "NO" {
		t.Errorf("it is %+v", got)
	}
}

func leases(t *testing.T, log saga.Log) {
	r := begin(t, log, long)
	if got := claim(t, log, long, 10); len(got) != 0 {
		t.Errorf("another took it over: %+v", got)
	}
	if err := log.Renew(t.Context(), r, over); err != nil {
		t.Error(err)
	}
	r = claim(t, log, over, 10)[0]
	if err := log.Renew(t.Context(), r, long); err != nil { // it was late, but nobody came
		t.Error(err)
	}
	if err := log.Rest(t.Context(), r, long); err != nil {
		t.Error(err)
	}
	if got := claim(t, log, long, 10); len(got) != 0 {
		t.Errorf("a saga that rests was taken up: %+v", got)
	}
	for _, status := range []saga.Status{saga.Done, saga.Undone, saga.Parked} {
		ended := begin(t, log, over)
		end(t, log, ended, status)
	}
	if got := claim(t, log, long, 10); len(got) != 0 {
		t.Errorf("one that ended was taken up: %+v", got)
	}
}

func shares(t *testing.T, log saga.Log) {
	stalled := map[uuid.UUID]bool{}
	for range 20 { // all older than the fresh ones
		r := begin(t, log, long)
		r.StalledSince = time.Now()
		if err := log.Rest(t.Context(), r, 10*over); err != nil {
			t.Fatal(err)
		}
		stalled[r.ID] = true
	}
	for range 20 {
		begin(t, log, over)
	}
	for look, want := range [][2]int{{5, 5}, {5, 5}, {5, 5}, {5, 5}, {0, 0}} {
		var got [2]int
		for _, r := range claim(t, log, long, 10) {
			if stalled[r.ID] {
				got[1]++
			} else {
				got[0]++
			}
		}
		if got != want {
			t.Errorf("look %d took %d fresh and %d stalled ones, want %v", look, got[0], got[1], want)
		}
	}
}

func progress(t *testing.T, log saga.Log) {
	r := begin(t, log, long)
	r.Reached, r.Rounds, r.StalledSince = 2, 3, time.Now().UTC().Truncate(time.Millisecond)
	if err := log.Rest(t.Context(), r, over); err != nil {
		t.Fatal(err)
	}
	c := claim(t, log, long, 10)[0]
	if c.Reached != 2 || c.Rounds != 3 || !c.StalledSince.Equal(r.StalledSince) || c.Unreported {
		t.Errorf("after a rest: %+v", c)
	}
	c.Refusal = fault.New(fault.Conflict, "NO", "no")
	if err := log.Turn(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if err := log.Renew(t.Context(), c, over); err != nil {
		t.Fatal(err)
	}
	c = claim(t, log, long, 10)[0]
	if c.Reached != 0 || c.Rounds != 0 || !c.StalledSince.IsZero() || !c.Unreported || c.Status != saga.Compensating {
		t.Errorf("on the way back, after a driver that vanished: %+v", c)
	}
}

func reopening(t *testing.T, log saga.Log) {
	r := begin(t, log, long)
	if err := log.Reopen(t.Context(), r); !errors.Is(err, saga.ErrNotParked) {
		t.Errorf("a live saga was reopened: %v", err)
	}
	r.Rounds = 9
	end(t, log, r, saga.Parked)
	first := get(t, log, r.ID)
	if first.ParkedFrom != saga.Running {
		t.Errorf("parked from %q", first.ParkedFrom)
	}
	second := *first
	first.Status, first.Refusal, first.Trail = saga.Running, nil, append(first.Trail, saga.Entry{Step: "it was mended", What: "resumed", Note: "me"})
	if err := log.Reopen(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	second.Status = saga.Compensating
	if err := log.Reopen(t.Context(), &second); !errors.Is(err, saga.ErrNotParked) {
		t.Errorf("of two who reopen it, the second: %v", err)
	}
	if err := log.End(t.Context(), r); !errors.Is(err, saga.ErrLost) {
		t.Errorf("who parked it parks it again: %v", err)
	}
	c := claim(t, log, long, 10)
	if len(c) != 1 || c[0].Status != saga.Running || c[0].Refusal != nil || c[0].ParkedFrom != "" || c[0].Rounds != 0 || len(c[0].Trail) != 1 || c[0].Epoch != 3 {
		t.Errorf("claimed %+v", c)
	}
}

func reading(t *testing.T, log saga.Log) {
	if _, err := log.Get(t.Context(), uuid.New()); fault.Code(err) != fault.CodeNotFound {
		t.Errorf("one that is not there: %v", err)
	}
	if r, err := log.Latest(t.Context(), "trip", "nobody's"); r != nil || err != nil {
		t.Errorf("of a subject without any: %v, %v", r, err)
	}
	older := begin(t, log, long)
	end(t, log, older, saga.Undone)
	newer := beginSubject(t, log, uuid.New(), older.Subject, long)
	if r, err := log.Latest(t.Context(), "trip", older.Subject); err != nil || r.ID != newer.ID {
		t.Errorf("the newest is %v, %v", r, err)
	}
	end(t, log, newer, saga.Parked)
	other := begin(t, log, long)
	end(t, log, other, saga.Parked)
	all, total, err := log.List(t.Context(), saga.Parked, 10, 0)
	if err != nil || total != 2 || !slices.ContainsFunc(all, func(r *saga.Record) bool { return r.ID == newer.ID }) || all[0].ID != other.ID {
		t.Errorf("the parked ones: %v of %d, %v", all, total, err)
	}
	if page, total, err := log.List(t.Context(), saga.Parked, 10, 2); err != nil || len(page) != 0 || total != 2 {
		t.Errorf("the second page: %v of %d, %v", page, total, err)
	}
}
