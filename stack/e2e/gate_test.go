package e2e

import (
	"bytes"
	"image/png"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"

	"ticketremaster/stack/client"
)

// Every result in the table of docs/architecture.md#verification comes of a real scan and is logged.
func TestAllResultsOfTheGate(t *testing.T) {
	staff := employee(t, "staff")
	e := newEvent(t, 8)
	owner, next := person(t, 500_00), person(t, 0)
	key := qrKey(t)
	sold := func(i int) qrTicket {
		buy(t, owner, e.Seats[i].ID)
		return key.open(t, qrOf(t, owner, e.Seats[i].ID))
	}
	now := time.Now().Unix()
	valid, handedOn := sold(0), sold(1)
	ofFormer := handedOn
	handOver(t, owner, next, e.Seats[1].ID, 0)
	reserve(t, owner, e.Seats[2].ID)
	at := func(x qrTicket, when int64) qrTicket { x.Time = when; return x }
	for _, c := range []struct {
		name, hall     string
		ticket         qrTicket
		result, speaks string
	}{
		{"older than 60 seconds and any skew", "H1", at(valid, now-75), "EXPIRED", "refresh"},
		{"from the future", "H1", at(valid, now+45), "EXPIRED", "future"},
		{"another hall's staff", "H2", valid, "WRONG_HALL", "Go to Hall H1"},
		{"another hall in the code", "H1", valid.in("H2"), "WRONG_HALL", "Go to Hall H1"},
		{"a former owner's", "H1", ofFormer, "NOT_FOUND", ""},
		{"a seat that is not there", "H1", valid.of(uuid.New()), "NOT_FOUND", "Counterfeit"},
		{"another event's", "H1", valid.at(uuid.New()), "NOT_FOUND", "Counterfeit"},
		{"an available seat", "H1", valid.of(uuid.MustParse(e.Seats[3].ID)), "NOT_FOUND", "Counterfeit"},
		{"a held seat", "H1", valid.of(uuid.MustParse(e.Seats[2].ID)), "UNPAID", "Payment"},
		// Of several reasons to reject, the first in the table's order is the result.
		{"a held seat, and old, and in another hall", "H2", at(valid.of(uuid.MustParse(e.Seats[2].ID)), now-900), "UNPAID", ""},
		{"old, and in another hall", "H2", at(valid, now-900), "WRONG_HALL", ""},
		{"within the clocks' skew, late", "H1", at(key.open(t, qrOf(t, next, e.Seats[1].ID)), now-60), "SUCCESS", ""},
		{"within the clocks' skew, early", "H1", at(valid, time.Now().Unix()+2), "SUCCESS", ""},
		{"replayed", "H1", valid, "DUPLICATE", "Already"},
		{"replayed when it is old, in another hall", "H2", at(valid, now-900), "DUPLICATE", "Already"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := must(t, scan(t, staff, key.seal(t, c.ticket), c.hall), nil, http.StatusOK)
			if a.Text("result") != c.result || a.Text("message") == "" || !strings.Contains(a.Text("message"), c.speaks) {
				t.Fatalf("%s, want %s saying %q", a.Data, c.result, c.speaks)
			}
			if c.result != "SUCCESS" {
				if a.Text("owner_name") != "" {
					t.Errorf("a refused scan names the owner: %s", a.Data)
				}
				return
			}
			_, isNumber := field(a, "seat_number").(float64)
			if a.Text("seat_id") == "" || a.Text("row_number") == "" || !isNumber || !strings.Contains(a.Text("owner_name"), "@") {
				t.Errorf("SUCCESS: %s", a.Data)
			}
		})
	}
	want := map[string]int{"SUCCESS": 2, "DUPLICATE": 2, "UNPAID": 2, "NOT_FOUND": 3, "WRONG_HALL": 3, "EXPIRED": 2} // the unknown event's is not this event's
	expectScans(t, e.ID, want)
	if got := scansOf(t, e.ID, "?result=UNPAID&per_page=1"); len(got.Scans) != 1 || got.Scans[0].Result != "UNPAID" || got.Scans[0].Staff != staff.ID || got.Total != 2 {
		t.Errorf("filtered: %+v", got)
	}
	a, err := admin.Get(t.Context(), "/admin/events/"+e.ID+"/dashboard")
	counts := field(must(t, a, err, http.StatusOK), "stats").(map[string]any)["scans"].(map[string]any)
	for result, n := range want {
		if counts[result] != float64(n) {
			t.Errorf("the dashboard counts %v %s, want %d", counts[result], result, n)
		}
	}
	a, err = owner.Get(t.Context(), "/tickets/"+e.Seats[0].ID+"/qr")
	refused(t, a, err, http.StatusConflict, "SEAT_UNAVAILABLE") // used
	a, err = owner.Get(t.Context(), "/tickets/"+e.Seats[2].ID+"/qr")
	refused(t, a, err, http.StatusConflict, "SEAT_UNAVAILABLE") // not paid for
	a, err = next.Get(t.Context(), "/tickets/"+e.Seats[0].ID+"/qr")
	refused(t, a, err, http.StatusForbidden, "NOT_SEAT_OWNER")
	a, err = next.Get(t.Context(), "/tickets/"+uuid.NewString()+"/qr")
	refused(t, a, err, http.StatusNotFound, "SEAT_NOT_FOUND")
}

// A code that cannot be decrypted is answered 400 and changes nothing.
func TestUnreadableCodes(t *testing.T) {
	staff := employee(t, "staff")
	owner := person(t, 100_00)
	s := ticket(t, owner)
	payload := qrOf(t, owner, s)
	foreign := qrKey(t)
	foreign[0] ^= 1
	flipped := []byte(payload)
	flipped[len(flipped)/2] ^= 1
	for name, bad := range map[string]string{
		"tampered": string(flipped), "truncated": payload[:len(payload)-4], "the key id alone": payload[:5], "no key id": payload[5:],
		"another key": foreign.seal(t, qrKey(t).open(t, payload)), "another key under our key's id": payload[:5] + foreign.seal(t, qrKey(t).open(t, payload))[5:],
		"decrypted already": `{"seat_id":"` + s + `"}`, "words": "let me in", "zero bytes": "\x00\x00", "too long": strings.Repeat("A", 5_000),
		"not base64": payload[:10] + "!" + payload[11:], "a line break within": payload[:10] + "\n" + payload[10:],
	} {
		t.Run(name, func(t *testing.T) { refused(t, scan(t, staff, bad, "H1"), nil, http.StatusBadRequest, "QR_INVALID") })
	}
	huge := scan(t, staff, strings.Repeat("A", 1<<20), "H1")
	refused(t, huge, nil, http.StatusRequestEntityTooLarge, huge.Code) // by the gateway
	for _, body := range []map[string]any{
		{"hall_id": "H1"}, {"qr_payload": payload}, {"qr_payload": payload, "hall_id": strings.Repeat("H", 21)}, {"qr_payload": 5, "hall_id": "H1"},
		{"qr_payload": payload, "hall_id": "H1", "staff_id": "me"},
	} {
		a, err := staff.Post(t.Context(), "/verify", body)
		if err != nil || a.Status != http.StatusBadRequest || a.Success {
			t.Errorf("%v: %d %s %v", body, a.Status, a.Raw, err)
		}
	}
	if got := scan(t, staff, payload, "H1").Text("result"); got != "SUCCESS" {
		t.Errorf("the ticket itself: %s", got)
	}
}

func TestOnlyStaffScan(t *testing.T) {
	staff, owner := employee(t, "staff"), person(t, 100_00)
	payload := qrOf(t, owner, ticket(t, owner))
	a, err := app.Do(t.Context(), client.Call{Method: http.MethodPost, Path: "/verify", Body: map[string]any{"qr_payload": payload, "hall_id": "H1"}})
	refused(t, a, err, http.StatusUnauthorized, "UNAUTHORIZED")
	a, err = owner.Post(t.Context(), "/verify", map[string]any{"qr_payload": payload, "hall_id": "H1"})
	refused(t, a, err, http.StatusForbidden, "FORBIDDEN")
	a, err = staff.Post(t.Context(), "/verify", map[string]any{"qr_payload": payload, "hall_id": "H1", "staff_id": owner.ID})
	refused(t, a, err, http.StatusForbidden, "FORBIDDEN")
	a, err = staff.Get(t.Context(), "/admin/events/"+hall.event.ID+"/scans")
	refused(t, a, err, http.StatusForbidden, "FORBIDDEN")
	a, err = admin.Post(t.Context(), "/verify", map[string]any{"qr_payload": payload, "hall_id": "H1"})
	if must(t, a, err, http.StatusOK).Text("result") != "SUCCESS" {
		t.Errorf("scan: %s", a.Data)
	}
}

func TestHundredScansOneEntry(t *testing.T) {
	staff := employee(t, "staff")
	e := newEvent(t, 2)
	owner := person(t, 100_00)
	buy(t, owner, e.Seats[0].ID)
	payload := qrOf(t, owner, e.Seats[0].ID)
	var mu sync.Mutex
	results := map[string]int{}
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			a, err := staff.Post(t.Context(), "/verify", map[string]any{"qr_payload": payload, "hall_id": "H1"})
			for tries := 0; err == nil && a.Status == http.StatusServiceUnavailable && tries < 20; tries++ { // a queue that is too long: the scan is repeated
				a, err = staff.Post(t.Context(), "/verify", map[string]any{"qr_payload": payload, "hall_id": "H1"})
			}
			if err != nil || a.Status != http.StatusOK {
				t.Errorf("%d %s %v", a.Status, a.Raw, err)
			}
			mu.Lock()
			defer mu.Unlock()
			results[a.Text("result")]++
		})
	}
	all.Wait()
	if results["SUCCESS"] != 1 || results["DUPLICATE"] != 99 {
		t.Errorf("results: %v", results)
	}
	expectScans(t, e.ID, map[string]int{"SUCCESS": 1, "DUPLICATE": 99})
}

// A reader decodes the picture at the width at which the web app shows it, and a new code leaves the former one valid.
func TestThePictureAndTheFormerCode(t *testing.T) {
	staff, owner := employee(t, "staff"), person(t, 100_00)
	s := ticket(t, owner)
	former := qrOf(t, owner, s)
	a, err := app.Do(t.Context(), client.Call{Method: http.MethodGet, Path: "/tickets/" + s + "/qr", Token: owner.Access, Header: http.Header{"Accept": {"image/png"}}})
	if err != nil || a.Status != http.StatusOK || a.Header.Get("Content-Type") != "image/png" {
		t.Fatalf("%d %s %v", a.Status, a.Header, err)
	}
	picture, err := png.Decode(bytes.NewReader(a.Raw))
	if err != nil {
		t.Fatal(err)
	}
	if w := picture.Bounds().Dx(); w != 220 {
		t.Errorf("it is %d px wide", w)
	}
	bitmap, err := gozxing.NewBinaryBitmapFromImage(picture)
	if err != nil {
		t.Fatal(err)
	}
	read, err := qrcode.NewQRCodeReader().Decode(bitmap, map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_PURE_BARCODE: true})
	if err != nil {
		t.Fatalf("no reader decodes it: %v", err)
	}
	if len(read.GetText()) > 200 {
		t.Errorf("%d characters", len(read.GetText()))
	}
	if got := scan(t, staff, former, "H1").Text("result"); got != "SUCCESS" {
		t.Errorf("the former code: %s", got)
	}
	if got := scan(t, staff, read.GetText(), "H1").Text("result"); got != "DUPLICATE" {
		t.Errorf("the picture's code: %s", got)
	}
}

type scans struct {
	Scans []struct {
		Result string `json:"result"`
		Staff  string `json:"scanned_by_staff_id"`
	} `json:"scans"`
	Counts map[string]int `json:"counts"`
	Total  int
}

func scansOf(t *testing.T, eventID, query string) (s scans) {
	t.Helper()
	a, err := admin.Get(t.Context(), "/admin/events/"+eventID+"/scans"+query)
	if err := must(t, a, err, http.StatusOK).Into(&s); err != nil {
		t.Fatal(err)
	}
	s.Total = total(t, a)
	return s
}

// expectScans requires an event's log to have these counts, each scan in a row of its own.
func expectScans(t *testing.T, eventID string, want map[string]int) {
	t.Helper()
	got, sum := scansOf(t, eventID, "?per_page=100"), 0
	for result, n := range want {
		if got.Counts[result] != n {
			t.Errorf("%d scans are logged as %s, want %d", got.Counts[result], result, n)
		}
		sum += n
	}
	if got.Total != sum || len(got.Scans) != sum {
		t.Errorf("%d rows, %d of them listed, want %d", got.Total, len(got.Scans), sum)
	}
}
