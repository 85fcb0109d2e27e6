package device

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/gate/rules"
	"ticketremaster/orchestrator-service/qr"
	"ticketremaster/platform/config"
)

var (
	now   = time.Date(2027, 12, 31, 20, 0, 10, 0, time.UTC)
	event = uuid.MustParse("0193a5c0-0000-7000-8000-000000000002")
)

func codec(t testing.TB, fill byte) *qr.Codec {
	t.Helper()
	c, err := qr.NewCodec(config.Key32(bytes.Repeat([]byte{fill}, 32)), nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func seat(n int) uuid.UUID {
	return uuid.MustParse(fmt.Sprintf("0193a5c0-0000-7000-8000-%012d", n))
}

func header(t testing.TB, tickets int, change ...func(*rules.Event)) Header {
	e := rules.Event{ID: event, Name: "The Long Night", Venue: "Star Theatre", HallID: "HALL-1", EndsAt: now.Add(time.Hour), Reentry: true, BeginsText: "today"}
	for _, c := range change {
		c(&e)
	}
	return Header{Event: e, MadeAt: now.Add(-time.Hour), Skew: 3 * time.Second, Keys: codec(t, 7).EventKeys(event), Tickets: tickets}
}

// list is the manifest of these tickets.
func list(t testing.TB, tickets []Ticket, change ...func(*rules.Event)) *Manifest {
	t.Helper()
	text, err := Begin(header(t, len(tickets), change...))
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range tickets {
		text = AppendTicket(text, x)
	}
	c := codec(t, 7)
	id, signature := c.Sign(text)
	m, err := Read(text, signature, c.PublicKeys()[id])
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func device(t testing.TB, change ...func(*rules.Event)) *Device {
	return &Device{Name: "north", Hall: "hall 1", Manifest: list(t, []Ticket{
		{Seat: seat(1), Row: "A", Number: 1, Version: 1}, {Seat: seat(2), Row: "A", Number: 2, Version: 3}, {Seat: seat(3), Row: "AB", Number: 3, Version: 1, Entered: true},
		{Seat: seat(4), Row: "A", Number: 4, Version: 1, Entered: true, Left: true}, {Seat: seat(5), Row: "A", Number: 5, Version: 1, TakenBack: true},
	}, change...)}
}

func code(t testing.TB, n int, version int64, at time.Time) string {
	return codec(t, 7).Offline(seat(n), event, version).Code(at)
}

func (d *Device) expect(t *testing.T, payload string, direction rules.Direction, at time.Time, result rules.Result, reason rules.Reason) {
	t.Helper()
	before := len(d.Log)
	v, _, err := d.Scan(payload, direction, at)
	if err != nil || v.Result != result || v.Reason != reason || v.Message == "" {
		t.Errorf("%+v %v, want %s %s", v, err, result, reason)
	}
	if len(d.Log) != before+1 || d.Log[before].Result != result || !d.Log[before].At.Equal(at) {
		t.Errorf("the decision is not kept: %+v", d.Log[before:])
	}
}

func TestScans(t *testing.T) {
	d := device(t)
	d.expect(t, code(t, 1, 1, now)+"\r\n", rules.In, now, rules.Success, "")
	d.expect(t, code(t, 1, 1, now), rules.In, now, rules.Duplicate, rules.AlreadyIn)
	d.expect(t, code(t, 2, 2, now), rules.In, now, rules.NotFound, rules.HandedOn)
	d.expect(t, code(t, 2, 4, now), rules.In, now, rules.Success, "") // handed on after the list was made: the new owner's code is genuine
	d.expect(t, code(t, 2, 3, now), rules.In, now, rules.NotFound, rules.HandedOn)
	d.expect(t, code(t, 3, 1, now), rules.In, now, rules.Duplicate, rules.AlreadyIn)
	d.expect(t, code(t, 4, 1, now), rules.In, now, rules.Success, "")
	d.expect(t, code(t, 5, 1, now), rules.In, now, rules.Unpaid, rules.PaymentTakenBack)
	d.expect(t, code(t, 5, 2, now), rules.In, now, rules.Success, "") // whose payment was taken back has handed it on
	d.expect(t, code(t, 9, 1, now), rules.In, now, rules.NotFound, NotOnList)
	d.expect(t, code(t, 1, 1, now.Add(-10*time.Minute)), rules.Out, now, rules.Expired, rules.CodeOld)
	d.expect(t, code(t, 1, 1, now), rules.Out, now, rules.Success, "")
	d.expect(t, code(t, 1, 1, now), rules.Out, now, rules.Duplicate, rules.NotInside)
	d.expect(t, code(t, 1, 1, now), rules.In, now, rules.Success, "")
	d.Hall = "HALL-2"
	d.expect(t, code(t, 1, 1, now), rules.Out, now, rules.WrongHall, rules.OtherHall)

	early := device(t, func(e *rules.Event) { e.DoorsOpenAt = now.Add(time.Minute) })
	early.expect(t, code(t, 1, 1, now), rules.In, now, rules.WrongHall, rules.DoorsClosed)
}

// What the device cannot read it does not decide.
func TestWhatADeviceCannotRead(t *testing.T) {
	d := device(t)
	online, err := codec(t, 7).Seal(qr.Ticket{SeatID: seat(1), EventID: event, HallID: "HALL-1", IssuedAt: now, OwnershipVersion: 1})
	if err != nil {
		t.Fatal(err)
	}
	other := codec(t, 7).Offline(seat(1), seat(99), 1).Code(now)
	for payload, want := range map[string]error{online: ErrNeedsNetwork, "let me in": ErrUnreadable, "": ErrUnreadable, other: ErrUnreadable, codec(t, 8).Offline(seat(1), event, 1).Code(now): ErrUnreadable} {
		if _, _, err := d.Scan(payload, rules.In, now); !errors.Is(err, want) {
			t.Errorf("%.30q: %v, want %v", payload, err, want)
		}
	}
	if len(d.Log) != 0 {
		t.Errorf("%+v", d.Log)
	}
}

func TestByHand(t *testing.T) {
	d := device(t)
	if v, x, err := d.ByHand(seat(2), rules.In, now); err != nil || v.Result != rules.Success || x.Row != "A" || !d.Log[0].Manual || d.Log[0].Version != 3 {
		t.Errorf("%+v %+v %v", v, x, err)
	}
	if v, _, err := d.ByHand(seat(9), rules.In, now); err != nil || v.Reason != NotOnList {
		t.Errorf("%+v %v", v, err)
	}
}

func TestUndo(t *testing.T) {
	d := device(t)
	if err := d.Undo(seat(1), "x", now); !errors.Is(err, ErrNotPossible) {
		t.Errorf("nothing to undo: %v", err)
	}
	d.expect(t, code(t, 1, 1, now), rules.In, now, rules.Success, "")
	if err := d.Undo(seat(1), "x", now.Add(10*time.Minute+time.Second)); !errors.Is(err, ErrNotPossible) {
		t.Errorf("too late: %v", err)
	}
	if err := d.Undo(seat(1), "the wrong person", now.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if u := d.Log[1]; u.Direction != Undo || u.Undoes != d.Log[0].ScanID || u.Note != "the wrong person" {
		t.Errorf("%+v", u)
	}
	if err := d.Undo(seat(1), "x", now); !errors.Is(err, ErrNotPossible) {
		t.Errorf("undone twice: %v", err)
	}
	d.expect(t, code(t, 1, 1, now), rules.In, now, rules.Success, "")
	d.expect(t, code(t, 1, 1, now), rules.Out, now, rules.Success, "")
	if err := d.Undo(seat(1), "x", now); !errors.Is(err, ErrNotPossible) {
		t.Errorf("left since: %v", err)
	}
	d.expect(t, code(t, 1, 1, now), rules.In, now, rules.Success, "")
	if err := d.Undo(seat(1), "x", now); err != nil {
		t.Error(err)
	}
	d.expect(t, code(t, 1, 1, now), rules.Out, now, rules.Duplicate, rules.NotInside) // outside, as before
}

// What was uploaded still counts until a newer list is there; what was not survives it.
func TestSyncAndUpload(t *testing.T) {
	d := device(t)
	d.expect(t, code(t, 1, 1, now), rules.In, now, rules.Success, "")
	d.expect(t, code(t, 2, 3, now), rules.In, now, rules.Success, "")
	if len(d.Pending()) != 2 {
		t.Fatal(d.Pending())
	}
	d.Taken(map[uuid.UUID]bool{d.Log[0].ScanID: true})
	if p := d.Pending(); len(p) != 1 || p[0].SeatID != seat(2) {
		t.Errorf("%+v", p)
	}
	d.expect(t, code(t, 1, 1, now), rules.In, now, rules.Duplicate, rules.AlreadyIn)
	d.Sync(list(t, []Ticket{{Seat: seat(1), Row: "A", Number: 1, Version: 1, Entered: true}, {Seat: seat(2), Row: "A", Number: 2, Version: 3}}))
	if len(d.Log) != 2 {
		t.Errorf("%+v", d.Log)
	}
	d.expect(t, code(t, 1, 1, now), rules.In, now, rules.Duplicate, rules.AlreadyIn)
	d.expect(t, code(t, 2, 3, now), rules.In, now, rules.Duplicate, rules.AlreadyIn)
}

func TestManifestsAreWholeAndSigned(t *testing.T) {
	c := codec(t, 7)
	text, err := Begin(header(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	begin := string(text)
	text = AppendTicket(text, Ticket{Seat: seat(1), Row: "A", Number: 1, Version: 1})
	id, signature := c.Sign(text)
	key := c.PublicKeys()[id]
	if _, err := Read(text, signature, key); err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]struct {
		text, signature []byte
		key             ed25519.PublicKey
	}{
		"changed": {bytes.Replace(text, []byte(",1,1,"), []byte(",2,1,"), 1), signature, key}, "another's key": {text, signature, codec(t, 8).PublicKeys()["x"]}, "no signature": {text, nil, key},
	} {
		if _, err := Read(x.text, x.signature, x.key); !errors.Is(err, ErrManifest) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, bad := range map[string]string{
		"empty": "", "no header": "x\n", "another format": strings.Replace(string(text), `"v":1`, `"v":2`, 1), "cut": begin, "no fields": begin + "x\n",
		"no seat": begin + "AAAA,A,1,1,\n", "no number": begin + strings.Replace(string(text[len(begin):]), ",1,", ",x,", 1),
		"no version": begin + strings.Replace(string(text[len(begin):]), ",1,1,", ",1,x,", 1), "endless line": begin + strings.Repeat("x", 70_000),
	} {
		_, signature := c.Sign([]byte(bad))
		if _, err := Read([]byte(bad), signature, key); !errors.Is(err, ErrManifest) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A line of the manifest has less than 100 bytes; a hall of 100,000 tickets is made and read at once.
func BenchmarkManifest(b *testing.B) {
	const tickets = 100_000
	ids := make([]uuid.UUID, tickets)
	for i := range ids {
		ids[i] = uuid.Must(uuid.NewV7())
	}
	c := codec(b, 7)
	var text []byte
	for b.Loop() {
		text, _ = Begin(header(b, tickets))
		for i, id := range ids {
			text = AppendTicket(text, Ticket{Seat: id, Row: "ZZ", Number: i + 1, Version: 1, Entered: i%2 == 0})
		}
		c.Sign(text)
	}
	b.ReportMetric(float64(len(text))/tickets, "bytes/ticket")
	b.ReportMetric(float64(len(text))/1e6, "MB")
	if len(text) > 100*tickets {
		b.Errorf("%d bytes", len(text))
	}
}
