package e2e

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"ticketremaster/stack/client"
)

// verify scans with the device's further fields and requires a result and a reason.
func verify(t *testing.T, staff *client.Person, payload, hall string, more object, result, reason string) client.Answer {
	t.Helper()
	body := object{"qr_payload": payload, "hall_id": hall}
	for k, v := range more {
		body[k] = v
	}
	a, err := staff.Post(t.Context(), "/verify", body)
	must(t, a, err, http.StatusOK)
	if a.Text("result") != result || a.Text("reason") != reason {
		t.Fatalf("%s, want %s %s", a.Data, result, reason)
	}
	return a
}

func assign(t *testing.T, staff *client.Person, venues, events []string) {
	t.Helper()
	a, err := app.Do(t.Context(), client.Call{Method: http.MethodPut, Path: "/admin/staff/" + staff.ID + "/assignments", Token: admin.Access,
		Body: object{"venue_ids": venues, "event_ids": events, "reason": "this week"}})
	must(t, a, err, http.StatusOK)
}

// A ticket admits only to its own event, only where staff and device are assigned to it, and only once the doors are
// open.
func TestPlaceAndTime(t *testing.T) {
	staff, owner := employee(t, "staff"), person(t, 200_00)
	here := newEvent(t, 2)
	there := newEvent(t, 2, func(b map[string]any) {
		b["venue"] = map[string]any{"name": "Another house " + run, "address": "2 Side Road", "total_halls": 1} // with a hall H1, too
	})
	early := newEvent(t, 2, func(b map[string]any) {
		b["doors_open_at"] = time.Now().Add(20 * 24 * time.Hour).UTC().Format(time.RFC3339)
	})
	for _, e := range []event{here, there, early} {
		buy(t, owner, e.Seats[0].ID)
	}
	a, err := app.Do(t.Context(), client.Call{Method: http.MethodGet, Path: "/events/" + here.ID})
	venue := field(must(t, a, err, http.StatusOK), "venue").(map[string]any)["venue_id"].(string)

	a = verify(t, staff, qrOf(t, owner, there.Seats[0].ID), "H1", object{"event_id": here.ID}, "WRONG_HALL", "OTHER_EVENT")
	if !strings.Contains(a.Text("message"), "Another house") || !strings.Contains(a.Text("message"), "Go to Hall H1") {
		t.Error(a.Text("message"))
	}
	a = verify(t, staff, qrOf(t, owner, early.Seats[0].ID), "H1", nil, "WRONG_HALL", "DOORS_CLOSED")
	if !strings.Contains(a.Text("message"), "Too early") {
		t.Error(a.Text("message"))
	}
	assign(t, staff, []string{venue}, nil)
	everywhere(t, "the assignment holds", func() bool {
		a, err := staff.Get(t.Context(), "/gate/"+there.ID)
		return err == nil && a.Status == http.StatusForbidden
	})
	verify(t, staff, qrOf(t, owner, there.Seats[0].ID), "H1", nil, "WRONG_HALL", "NOT_ASSIGNED")
	a, err = staff.Get(t.Context(), "/gate/"+there.ID+"/tickets?seat=A1")
	refused(t, a, err, http.StatusForbidden, "FORBIDDEN")
	verify(t, staff, qrOf(t, owner, here.Seats[0].ID)+"\r\n", " h1 ", object{"device": "gate-1"}, "SUCCESS", "")
	assign(t, staff, nil, []string{there.ID})
	everywhere(t, "the new assignment holds", func() bool {
		a, err := staff.Get(t.Context(), "/gate/"+there.ID)
		return err == nil && a.Status == http.StatusOK
	})
	verify(t, staff, qrOf(t, owner, there.Seats[0].ID), "H1", object{"event_id": there.ID}, "SUCCESS", "")
	a, err = admin.Get(t.Context(), "/admin/staff/"+staff.ID+"/assignments")
	if got := field(must(t, a, err, http.StatusOK), "event_ids").([]any); len(got) != 1 || got[0] != there.ID {
		t.Errorf("%s", a.Data)
	}
	// The log keeps where the member of staff stood, the code's hall and the event's, and the more specific reason.
	a, err = admin.Get(t.Context(), "/admin/events/"+here.ID+"/scans?per_page=10")
	text := string(must(t, a, err, http.StatusOK).Data)
	for _, want := range []string{`"hall_id_staff":"h1"`, `"hall_id_presented":"H1"`, `"device":"gate-1"`} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is not in %s", want, text)
		}
	}
}

// The scan log keeps both halls: staff at H2, ticket for H1.
func TestTheLogKeepsBothHalls(t *testing.T) {
	staff, owner := employee(t, "staff"), person(t, 100_00)
	e := newEvent(t, 2)
	buy(t, owner, e.Seats[0].ID)
	verify(t, staff, qrOf(t, owner, e.Seats[0].ID), "H2", nil, "WRONG_HALL", "OTHER_HALL")
	a, err := admin.Get(t.Context(), "/admin/events/"+e.ID+"/scans")
	text := string(must(t, a, err, http.StatusOK).Data)
	for _, want := range []string{`"hall_id_staff":"H2"`, `"hall_id_presented":"H1"`, `"hall_id_expected":"H1"`, `"reason":"OTHER_HALL"`} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is not in %s", want, text)
		}
	}
}

// A ticket that was paid with credits that the bank took back does not admit until the debt is paid or an administrator
// allows it.
func TestMoneyTakenBack(t *testing.T) {
	staff, owner := employee(t, "staff"), person(t, 0)
	e := newEvent(t, 4)
	intent, err := owner.TopUp(t.Context(), 120_00)
	if err != nil {
		t.Fatal(err)
	}
	buy(t, owner, e.Seats[0].ID)
	buy(t, owner, e.Seats[1].ID)
	if err := app.Stripe(t.Context(), "chargeback", intent); err != nil {
		t.Fatal(err)
	}
	unpaid := func(seat string) bool {
		a := scan(t, staff, qrOf(t, owner, seat), "H1")
		return a.Text("result") == "UNPAID" && a.Text("reason") == "PAYMENT_TAKEN_BACK"
	}
	eventually(t, "the gate knows of the chargeback", func() bool {
		a, err := staff.Get(t.Context(), "/gate/"+e.ID+"/tickets?seat=A1")
		return err == nil && strings.Contains(string(a.Data), `"payment_taken_back":true`)
	})
	if !unpaid(e.Seats[0].ID) || !unpaid(e.Seats[1].ID) {
		t.Error("let in though the payment was taken back")
	}
	a, err := admin.Post(t.Context(), "/admin/tickets/"+e.Seats[0].ID+"/allow-entry", object{})
	refused(t, a, err, http.StatusBadRequest, "VALIDATION_ERROR")
	a, err = admin.Post(t.Context(), "/admin/tickets/"+e.Seats[0].ID+"/allow-entry", object{"reason": "paid in cash at the box office"})
	must(t, a, err, http.StatusOK)
	verify(t, staff, qrOf(t, owner, e.Seats[0].ID), "H1", nil, "SUCCESS", "")
	a, err = owner.Post(t.Context(), "/credits/topup", object{"amount": 120})
	paid, _, _ := strings.Cut(must(t, a, err, http.StatusOK).Text("client_secret"), "_secret_")
	if err := app.Stripe(t.Context(), "pay", paid); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the debt is filled", func() bool { return !unpaid(e.Seats[1].ID) })
}

// Staff can undo an admission, admit by hand, admit a family on one phone, and let people out and in again. All of it
// is logged.
func TestWhatStaffNeed(t *testing.T) {
	staff, colleague, owner := employee(t, "staff"), employee(t, "staff"), person(t, 300_00)
	e := newEvent(t, 6, func(b map[string]any) { b["reentry_allowed"] = true })
	order := buy(t, owner, e.Seats[0].ID)
	buy(t, owner, e.Seats[1].ID)
	buy(t, owner, e.Seats[2].ID)
	gate := "/gate/" + e.ID
	inside := func(n, entered float64) {
		t.Helper()
		a, err := staff.Get(t.Context(), gate)
		if must(t, a, err, http.StatusOK); field(a, "inside") != n || field(a, "entered") != entered {
			t.Errorf("%s, want %v inside of %v", a.Data, n, entered)
		}
	}
	post := func(p *client.Person, path string, body object) client.Answer {
		t.Helper()
		a, err := p.Post(t.Context(), gate+path, body)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}

	// The wrong person was scanned.
	id := uuid.NewString()
	first := verify(t, staff, qrOf(t, owner, e.Seats[0].ID), "H1", object{"scan_id": id}, "SUCCESS", "")
	verify(t, staff, qrOf(t, owner, e.Seats[0].ID), "H1", object{"scan_id": id}, "SUCCESS", "") // the same scan, heard late
	undo := object{"seat_id": e.Seats[0].ID, "scan_id": first.Text("scan_id"), "reason": "the wrong person", "undo_id": uuid.NewString()}
	refused(t, post(colleague, "/undo", undo), nil, http.StatusForbidden, "FORBIDDEN")
	must(t, post(staff, "/undo", undo), nil, http.StatusOK)
	must(t, post(staff, "/undo", undo), nil, http.StatusOK) // a repeat
	undo["undo_id"] = uuid.NewString()
	refused(t, post(staff, "/undo", undo), nil, http.StatusConflict, "UNDO_NOT_POSSIBLE")
	refused(t, post(staff, "/undo", object{"seat_id": e.Seats[4].ID, "reason": "x"}), nil, http.StatusConflict, "UNDO_NOT_POSSIBLE")
	inside(0, 0)

	// Tickets are found by e-mail, seat or order if a phone is flat; a family has its tickets on one phone.
	for _, q := range []string{"email=" + owner.Email, "seat=a1", "order=" + order, "with=" + e.Seats[1].ID} {
		a, err := staff.Get(t.Context(), gate+"/tickets?"+q)
		if must(t, a, err, http.StatusOK); !strings.Contains(string(a.Data), e.Seats[0].ID) || !strings.Contains(string(a.Data), owner.Email) {
			t.Errorf("%s: %s", q, a.Data)
		}
	}
	a := must(t, post(staff, "/entries", object{"hall_id": "H1", "device": "desk", "entries": []object{
		{"seat_id": e.Seats[0].ID}, {"seat_id": e.Seats[1].ID}, {"seat_id": e.Seats[2].ID}, {"seat_id": e.Seats[3].ID}}}), nil, http.StatusOK)
	if got := strings.Count(string(a.Data), `"SUCCESS"`); got != 3 || !strings.Contains(string(a.Data), `"NOT_SOLD"`) {
		t.Errorf("%s", a.Data)
	}
	inside(3, 3)

	// Re-entry.
	verify(t, staff, qrOf(t, owner, e.Seats[0].ID), "H1", object{"direction": "OUT"}, "SUCCESS", "")
	inside(2, 3)
	verify(t, staff, qrOf(t, owner, e.Seats[0].ID), "H1", object{"direction": "OUT"}, "DUPLICATE", "NOT_INSIDE")
	verify(t, staff, qrOf(t, owner, e.Seats[0].ID), "H1", nil, "SUCCESS", "")
	inside(3, 3)
	strict := newEvent(t, 2)
	buy(t, owner, strict.Seats[0].ID)
	verify(t, staff, qrOf(t, owner, strict.Seats[0].ID), "H1", object{"direction": "OUT"}, "DUPLICATE", "NO_REENTRY")

	a, err := admin.Get(t.Context(), "/admin/events/"+e.ID+"/scans?per_page=100")
	text := string(must(t, a, err, http.StatusOK).Data)
	for want, n := range map[string]int{`"direction":"IN"`: 6, `"direction":"OUT"`: 2, `"direction":"UNDO"`: 1, `"manual":true`: 4, `"note":"the wrong person"`: 1, `"device":"desk"`: 4} {
		if got := strings.Count(text, want); got != n {
			t.Errorf("%s stands %d times in the log, want %d", want, got, n)
		}
	}
	for _, bad := range []object{{}, {"entries": []object{}}, {"entries": []object{{"seat_id": "A1"}}}, {"entries": []object{{"seat_id": e.Seats[0].ID}}, "direction": "UP"}} {
		refused(t, post(staff, "/entries", bad), nil, http.StatusBadRequest, post(staff, "/entries", bad).Code)
	}
}

// The web app's staff page: a refusal is a 4xx there.
func TestTheWebAppsStaffPage(t *testing.T) {
	staff, owner := employee(t, "staff"), person(t, 300_00)
	e, there := newEvent(t, 4), newEvent(t, 2)
	buy(t, owner, e.Seats[0].ID)
	buy(t, owner, there.Seats[0].ID)
	key := qrKey(t)
	ask := func(payload string) client.Answer {
		t.Helper()
		a, err := staff.Post(t.Context(), "/tickets/verify", object{"qr_hash": payload})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	old := key.open(t, qrOf(t, owner, e.Seats[0].ID))
	unknown := old.of(uuid.New())
	old.Time -= 300
	refused(t, ask(key.seal(t, old)), nil, http.StatusGone, "QR_EXPIRED")
	refused(t, ask(key.seal(t, unknown)), nil, http.StatusNotFound, "TICKET_NOT_FOUND")
	refused(t, ask("no ticket"), nil, http.StatusNotFound, "TICKET_NOT_FOUND")
	refused(t, ask(""), nil, http.StatusBadRequest, "VALIDATION_ERROR")
	reserve(t, owner, e.Seats[1].ID)
	refused(t, ask(key.seal(t, key.open(t, qrOf(t, owner, e.Seats[0].ID)).of(uuid.MustParse(e.Seats[1].ID)))), nil, http.StatusPaymentRequired, "TICKET_UNPAID")
	if a := must(t, ask(qrOf(t, owner, e.Seats[0].ID)), nil, http.StatusOK); a.Text("result") != "SUCCESS" {
		t.Errorf("%s", a.Raw)
	}
	refused(t, ask(qrOf2(t, key, e.Seats[0].ID, e.ID)), nil, http.StatusConflict, "TICKET_ALREADY_USED")
	assign(t, staff, nil, []string{e.ID})
	var a client.Answer
	eventually(t, "the assignment holds", func() bool {
		a = ask(qrOf(t, owner, there.Seats[0].ID))
		return a.Code == "WRONG_VENUE"
	})
	var top struct {
		Venue string `json:"correct_venue"`
	}
	if err := json.Unmarshal(a.Raw, &top); err != nil || a.Status != http.StatusConflict || top.Venue != "Arena" {
		t.Errorf("%d %s", a.Status, a.Raw)
	}
}

// qrOf2 makes a code of a ticket that was used, whose owner gets none any more.
func qrOf2(t *testing.T, key qrCipher, seat, event string) string {
	t.Helper()
	return key.seal(t, qrTicket{Hall: "H1", Time: time.Now().Unix(), Version: 1}.of(uuid.MustParse(seat)).at(uuid.MustParse(event)))
}

// offline makes a phone's code from docs/qr-format.md alone.
func offline(t *testing.T, owner *client.Person, seat string) string {
	t.Helper()
	a, err := owner.Post(t.Context(), "/tickets/"+seat+"/offline", nil)
	must(t, a, err, http.StatusOK)
	secret, err := base64.StdEncoding.DecodeString(a.Text("secret"))
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(time.Now().Unix()/30)))
	sum := mac.Sum(nil)
	n := binary.BigEndian.Uint32(sum[sum[len(sum)-1]&15:]) & 0x7fffffff % 100_000_000
	return a.Text("prefix") + fmt.Sprintf("%08d", n)
}

// A phone without network makes its own codes. They are invalid after a transfer.
func TestAPhoneWithoutNetwork(t *testing.T) {
	staff, owner, buyer := employee(t, "staff"), person(t, 200_00), person(t, 0)
	e := newEvent(t, 2)
	buy(t, owner, e.Seats[0].ID)
	former := offline(t, owner, e.Seats[0].ID)
	a, err := buyer.Post(t.Context(), "/tickets/"+e.Seats[0].ID+"/offline", nil)
	refused(t, a, err, http.StatusForbidden, "NOT_SEAT_OWNER")
	handOver(t, owner, buyer, e.Seats[0].ID, 0)
	verify(t, staff, former, "H1", nil, "NOT_FOUND", "HANDED_ON")
	refused(t, scan(t, staff, former[:len(former)-1]+"x", "H1"), nil, http.StatusBadRequest, "QR_INVALID")
	verify(t, staff, offline(t, buyer, e.Seats[0].ID), "H1", nil, "SUCCESS", "")
}

// A gate without network: its list is signed and small, its decisions can be uploaded in any order, and conflicts are
// reported.
func TestAGateWithoutNetwork(t *testing.T) {
	staff, owner := employee(t, "staff"), person(t, 400_00)
	e := newEvent(t, 6)
	for i := range 4 {
		buy(t, owner, e.Seats[i].ID)
	}
	gate := "/gate/" + e.ID
	a, err := staff.Get(t.Context(), gate+"/manifest")
	must(t, a, err, http.StatusOK)
	text, keyID := a.Text("manifest"), a.Text("key_id")
	signature, _ := base64.StdEncoding.DecodeString(a.Text("signature"))
	a, err = staff.Get(t.Context(), "/gate/keys")
	key, _ := base64.StdEncoding.DecodeString(field(must(t, a, err, http.StatusOK), "keys").(map[string]any)[keyID].(string))
	if !ed25519.Verify(key, []byte(text), signature) {
		t.Error("the signature does not fit")
	}
	if lines := strings.Split(strings.TrimSpace(text), "\n"); len(lines) != 5 || len(lines[1]) >= 100 {
		t.Errorf("%s", text)
	}
	decided := func(seat int, direction, result, device string, ago time.Duration) object {
		return object{"scan_id": uuid.NewString(), "seat_id": e.Seats[seat].ID, "ownership_version": 1, "direction": direction, "result": result,
			"hall_id": "H1", "device": device, "decided_at": time.Now().Add(-ago).UTC().Format(time.RFC3339Nano)}
	}
	upload := func(scans ...object) (outcomes []string) {
		t.Helper()
		a, err := staff.Post(t.Context(), gate+"/scans", object{"scans": scans})
		must(t, a, err, http.StatusOK)
		var answer struct {
			Scans []struct {
				Outcome string `json:"outcome"`
			} `json:"scans"`
		}
		if err := a.Into(&answer); err != nil {
			t.Fatal(err)
		}
		for _, s := range answer.Scans {
			outcomes = append(outcomes, s.Outcome)
		}
		return outcomes
	}
	north, south := decided(0, "IN", "SUCCESS", "north", 5*time.Minute), decided(0, "IN", "SUCCESS", "south", 4*time.Minute)
	refusedScan := decided(1, "IN", "DUPLICATE", "south", time.Minute)
	if got := upload(south, refusedScan); got[0] != "MERGED" || got[1] != "MERGED" {
		t.Errorf("%v", got)
	}
	for range 3 { // any number of times
		if got := upload(north); got[0] != "CONFLICT" {
			t.Errorf("%v", got)
		}
	}
	verify(t, staff, qrOf(t, owner, e.Seats[2].ID), "H1", nil, "SUCCESS", "")
	late := decided(2, "IN", "SUCCESS", "north", 3*time.Minute)
	undo := decided(3, "UNDO", "SUCCESS", "north", 0)
	entered := decided(3, "IN", "SUCCESS", "north", time.Minute)
	undo["undoes"], undo["note"] = entered["scan_id"], "the wrong person"
	if got := upload(late, undo); got[0] != "CONFLICT" || got[1] != "WAITING" {
		t.Errorf("%v", got)
	}
	if got := upload(undo, entered); got[0] != "MERGED" || got[1] != "MERGED" {
		t.Errorf("%v", got)
	}
	a, err = staff.Get(t.Context(), gate+"/conflicts")
	must(t, a, err, http.StatusOK)
	if total(t, a) != 2 || strings.Count(string(a.Data), `"standing":{`) != 2 || !strings.Contains(string(a.Data), `"device":"south"`) {
		t.Errorf("%s", a.Data)
	}
	a, err = staff.Get(t.Context(), gate)
	if must(t, a, err, http.StatusOK); field(a, "inside") != 2.0 || field(a, "conflicts") != 2.0 {
		t.Errorf("%s", a.Data)
	}
	for name, bad := range map[string]object{"no id": {"seat_id": e.Seats[0].ID}, "no time": {"scan_id": uuid.NewString(), "seat_id": e.Seats[0].ID, "direction": "IN", "result": "SUCCESS", "device": "x"},
		"no such result": {"scan_id": uuid.NewString(), "seat_id": e.Seats[0].ID, "direction": "IN", "result": "MAYBE", "device": "x", "decided_at": "2027-01-01T00:00:00Z"}} {
		a, err := staff.Post(t.Context(), gate+"/scans", object{"scans": []object{bad}})
		if err != nil || a.Status != http.StatusBadRequest {
			t.Errorf("%s: %d %s %v", name, a.Status, a.Raw, err)
		}
	}
	a, err = staff.Get(t.Context(), "/gate/events")
	if must(t, a, err, http.StatusOK); !strings.Contains(string(a.Data), e.ID) {
		t.Errorf("%s is not among %s", e.ID, a.Data)
	}
}

func TestThePageForTheDoor(t *testing.T) {
	a, err := app.Do(t.Context(), client.Call{Method: http.MethodGet, Path: "/gate"})
	if err != nil || a.Status != http.StatusOK || !strings.Contains(a.Header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("%d %v %v", a.Status, a.Header, err)
	}
}

// eventKey derives an event's key from the key of the format's test vectors.
func eventKey(label []byte, event string) []byte {
	id := uuid.MustParse(event)
	mac := hmac.New(sha256.New, bytes.Repeat([]byte{7}, 32))
	mac.Write(label)
	mac.Write(id[:])
	return mac.Sum(nil)
}
