package rules

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

var update = flag.Bool("update", false, "write testdata/vectors.json anew")

var (
	now   = time.Date(2027, 12, 31, 20, 0, 0, 0, time.UTC)
	event = uuid.MustParse("0193a5c0-0000-7000-8000-000000000002")
	venue = uuid.MustParse("0193a5c0-0000-7000-8000-000000000003")
	other = uuid.MustParse("0193a5c0-0000-7000-8000-000000000009")
)

// valid are the facts of a ticket that is let in.
func valid() Facts {
	return Facts{
		Now: now, Skew: 3 * time.Second, Direction: In, StaffHall: "HALL-1",
		Code: Code{EventID: event, HallID: "HALL-1", IssuedAt: now.Add(-10 * time.Second), Version: 3},
		Seat: &Seat{EventID: event, Status: Sold, Version: 3}, Paid: true,
		Event: Event{ID: event, Name: "The Long Night", VenueID: venue, Venue: "Star Theatre", HallID: "HALL-1", EndsAt: now.Add(time.Hour),
			BeginsText: "31 December 2027, 20:00", DoorsText: "31 December 2027, 19:00"},
	}
}

// cases are each line of the table, and that the earlier of two that fit decides.
var cases = []struct {
	name   string
	change func(f *Facts)
	want   Result
	reason Reason
	speaks string
}{
	{"a valid ticket", func(*Facts) {}, Success, "", "Welcome"},
	{"no such seat", func(f *Facts) { f.Seat = nil }, NotFound, NoSuchSeat, "Counterfeit"},
	{"a seat of another event", func(f *Facts) { f.Seat.EventID = other }, NotFound, NotOfEvent, "Counterfeit"},
	{"a seat that nobody bought", func(f *Facts) { f.Seat.Status = Available }, NotFound, NotSold, "not sold"},
	{"a former owner's code", func(f *Facts) { f.Code.Version = 2 }, NotFound, HandedOn, "handed on"},
	{"a former owner's code of a used ticket", func(f *Facts) { f.Code.Version, f.Seat.Status = 2, CheckedIn }, NotFound, HandedOn, ""},
	{"checked in", func(f *Facts) { f.Seat.Status = CheckedIn }, Duplicate, AlreadyIn, "Already Checked In"},
	{"a SUCCESS in the log", func(f *Facts) { f.Entered = true }, Duplicate, AlreadyIn, "Already Checked In"},
	{"checked in, and in the wrong hall with an old code", func(f *Facts) {
		f.Entered, f.StaffHall, f.Code.IssuedAt = true, "H2", now.Add(-time.Hour)
	}, Duplicate, AlreadyIn, ""},
	{"held, not paid", func(f *Facts) { f.Seat.Status, f.Seat.Version = Held, 0 }, Unpaid, NotPaid, "Incomplete Payment"},
	{"no confirmed order", func(f *Facts) { f.Paid = false }, Unpaid, NotPaid, ""},
	{"unpaid and in the wrong hall", func(f *Facts) { f.Paid, f.StaffHall = false, "H2" }, Unpaid, NotPaid, ""},
	{"the payment was taken back", func(f *Facts) { f.TakenBack = true }, Unpaid, PaymentTakenBack, "taken back"},
	{"the staff's hall", func(f *Facts) { f.StaffHall = "H2" }, WrongHall, OtherHall, "Go to Hall HALL-1"},
	{"the code's hall", func(f *Facts) { f.Code.HallID = "H2" }, WrongHall, OtherHall, "Go to Hall HALL-1"},
	{"the hall as people type it", func(f *Facts) { f.StaffHall = " hall 1" }, Success, "", ""},
	{"a hall that only looks alike", func(f *Facts) { f.StaffHall = "HALL-11" }, WrongHall, OtherHall, ""},
	{"no hall said, and none in the code", func(f *Facts) { f.StaffHall, f.Code.HallID = "", "" }, Success, "", ""},
	{"the wrong hall with an old code", func(f *Facts) { f.StaffHall, f.Code.IssuedAt = "H2", now.Add(-time.Hour) }, WrongHall, OtherHall, ""},
	{"the event that the device is set to", func(f *Facts) { f.StaffEvent = event }, Success, "", ""},
	{"another event than the device is set to", func(f *Facts) { f.StaffEvent = other }, WrongHall, OtherEvent,
		"This ticket is for The Long Night at Star Theatre, 31 December 2027, 20:00. Go to Hall HALL-1"},
	{"staff of this venue", func(f *Facts) { f.Assigned.Venues = []uuid.UUID{venue} }, Success, "", ""},
	{"staff of this event", func(f *Facts) { f.Assigned = Assignment{[]uuid.UUID{other}, []uuid.UUID{event}} }, Success, "", ""},
	{"staff of another venue whose hall is called the same", func(f *Facts) { f.Assigned.Venues = []uuid.UUID{other} }, WrongHall, NotAssigned, "Star Theatre"},
	{"staff of another event", func(f *Facts) { f.Assigned.Events = []uuid.UUID{other} }, WrongHall, NotAssigned, "Go to Hall HALL-1"},
	{"before the doors open", func(f *Facts) { f.Event.DoorsOpenAt = now.Add(time.Second) }, WrongHall, DoorsClosed,
		"Too early: the doors of The Long Night at Star Theatre open on 31 December 2027, 19:00. Go to Hall HALL-1 then"},
	{"as the doors open", func(f *Facts) { f.Event.DoorsOpenAt = now }, Success, "", ""},
	{"60 s old and the clocks apart", func(f *Facts) { f.Code.IssuedAt = now.Add(-63 * time.Second) }, Success, "", ""},
	{"older than 60 s", func(f *Facts) { f.Code.IssuedAt = now.Add(-64 * time.Second) }, Expired, CodeOld, "refresh"},
	{"the gate's clock a little behind", func(f *Facts) { f.Code.IssuedAt = now.Add(3 * time.Second) }, Success, "", ""},
	{"from the future", func(f *Facts) { f.Code.IssuedAt = now.Add(4 * time.Second) }, Expired, CodeFuture, "future"},
	{"the event is over", func(f *Facts) { f.Event.EndsAt = now.Add(-time.Second) }, Expired, EventOver, "over"},
	{"the event is cancelled", func(f *Facts) { f.Event.Cancelled = true }, Unpaid, Refunded, "refunded"},
	{"the ticket is refunded", func(f *Facts) { f.Seat.Void = true }, Unpaid, Refunded, "refunded"},
	{"refunded, and in the wrong hall", func(f *Facts) { f.Seat.Void, f.StaffHall = true, "H2" }, Unpaid, Refunded, ""},

	{"out, where nobody may come in again", func(f *Facts) { f.Direction, f.Entered = Out, true }, Duplicate, NoReentry, "re-entry"},
	{"out", func(f *Facts) { f.Direction, f.Entered, f.Event.Reentry = Out, true, true }, Success, "", "Goodbye"},
	{"out after the event's end", func(f *Facts) {
		f.Direction, f.Entered, f.Event.Reentry, f.Event.EndsAt = Out, true, true, now.Add(-time.Hour)
	}, Success, "", ""},
	{"out, the payment taken back since", func(f *Facts) { f.Direction, f.Entered, f.Event.Reentry, f.TakenBack = Out, true, true, true }, Success, "", ""},
	{"out before in", func(f *Facts) { f.Direction, f.Event.Reentry = Out, true }, Duplicate, NotInside, "Nobody is inside"},
	{"out twice", func(f *Facts) { f.Direction, f.Entered, f.Left, f.Event.Reentry = Out, true, true, true }, Duplicate, NotInside, ""},
	{"out by a former owner's code", func(f *Facts) { f.Direction, f.Entered, f.Event.Reentry, f.Code.Version = Out, true, true, 2 }, NotFound, HandedOn, ""},
	{"in again", func(f *Facts) { f.Entered, f.Left, f.Event.Reentry = true, true, true }, Success, "", "Welcome"},
	{"in again, where nobody may", func(f *Facts) { f.Entered, f.Left = true, true }, Duplicate, NoReentry, "no re-entry"},
	{"in twice, where one may come in again", func(f *Facts) { f.Entered, f.Event.Reentry = true, true }, Duplicate, AlreadyIn, ""},
	{"in again, the payment taken back since", func(f *Facts) { f.Entered, f.Left, f.Event.Reentry, f.TakenBack = true, true, true, true }, Unpaid, PaymentTakenBack, ""},
}

func TestTable(t *testing.T) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := valid()
			c.change(&f)
			got := Decide(f)
			if got.Result != c.want || got.Reason != c.reason || got.Message == "" || !strings.Contains(got.Message, c.speaks) {
				t.Errorf("%+v, want %s %s saying %q", got, c.want, c.reason, c.speaks)
			}
			if got.Result == WrongHall && !strings.Contains(got.Message, "Go to Hall HALL-1") {
				t.Errorf("the gatekeeper app looks for the hall in %q", got.Message)
			}
		})
	}
}

// vectors are the table's answers as page/rules.js has to give them too.
func vectors(t *testing.T) []byte {
	t.Helper()
	type vector struct {
		Name    string  `json:"name"`
		Facts   Facts   `json:"facts"`
		Verdict Verdict `json:"verdict"`
	}
	var all []vector
	for _, c := range cases {
		f := valid()
		c.change(&f)
		all = append(all, vector{c.name, f, Decide(f)})
	}
	text, err := json.MarshalIndent(all, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	return append(text, '\n')
}

func TestVectorsAreCurrent(t *testing.T) {
	const file = "testdata/vectors.json"
	want := vectors(t)
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%s is stale (%v): go test ./gate/rules -update", file, err)
	}
}

func TestScanned(t *testing.T) {
	for typed, want := range map[string]string{
		"MVeg.AAEC": "MVeg.AAEC", "MVeg.AAEC\r\n": "MVeg.AAEC", " \tMVeg.AAEC \n": "MVeg.AAEC", "]Q1MVeg.AAEC\r": "MVeg.AAEC",
		"": "", "\r\n": "", "]Q1": "]Q1", "]QQMVeg": "]QQMVeg", "MVeg.\r\nAAEC": "MVeg.\r\nAAEC",
	} {
		if got := Scanned(typed); got != want {
			t.Errorf("%q is read as %q, want %q", typed, got, want)
		}
	}
}

func TestSameHall(t *testing.T) {
	for _, same := range []string{"HALL-1", "hall-1", " Hall 1 ", "HALL_1", "hall  -  1", "Hall\u20111"} {
		if !SameHall("HALL-1", same) {
			t.Errorf("%q is another hall", same)
		}
	}
	for _, not := range []string{"HALL-11", "HALL-2", "HALL1", "", "1"} {
		if SameHall("HALL-1", not) {
			t.Errorf("%q is the same hall", not)
		}
	}
}

func TestLocal(t *testing.T) {
	if got := Local(now, "Asia/Singapore"); got != "1 January 2028, 04:00" {
		t.Error(got)
	}
	if got := Local(now, "Atlantis/Capital"); got != "31 December 2027, 20:00" {
		t.Error(got)
	}
}

func TestLost(t *testing.T) {
	for _, c := range []struct {
		d      Direction
		result Result
		reason Reason
	}{{In, Duplicate, AlreadyIn}, {Out, Duplicate, NotInside}, {In, NotFound, HandedOn}} {
		if v := Lost(c.d, c.result); v.Reason != c.reason || v.Result != c.result || v.Message == "" {
			t.Errorf("%+v", v)
		}
	}
}
