package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/gate/device"
	"ticketremaster/orchestrator-service/gate/rules"
	"ticketremaster/orchestrator-service/qr"
	"ticketremaster/platform/config"
	"ticketremaster/platform/web"
)

// service has the endpoints of the gateway that a device calls.
type service struct {
	*httptest.Server
	codec    *qr.Codec
	event    uuid.UUID
	seat     uuid.UUID
	forged   bool // the next list is signed by someone else
	uploaded []device.Decided
}

func start(t *testing.T) *service {
	codec, err := qr.NewCodec(config.Key32(bytes.Repeat([]byte("k"), 32)), nil)
	if err != nil {
		t.Fatal(err)
	}
	s := &service{codec: codec, event: uuid.New(), seat: uuid.New()}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /gate/keys", func(w http.ResponseWriter, _ *http.Request) {
		keys := map[string]string{}
		for id, key := range codec.PublicKeys() {
			keys[id] = base64.StdEncoding.EncodeToString(key)
		}
		_ = web.OK(w, map[string]any{"keys": keys})
	})
	mux.HandleFunc("GET /gate/{id}/manifest", func(w http.ResponseWriter, r *http.Request) {
		text, err := device.Begin(device.Header{Event: rules.Event{ID: s.event, Name: "The Long Night", HallID: "H1", EndsAt: time.Now().Add(time.Hour), Reentry: true}, Keys: codec.EventKeys(s.event), Tickets: 1})
		if err != nil {
			t.Error(err)
		}
		text = device.AppendTicket(text, device.Ticket{Seat: s.seat, Row: "A", Number: 12, Version: 1})
		id, signature := codec.Sign(text)
		if s.forged {
			signature[0] ^= 1
		}
		_ = web.OK(w, map[string]any{"manifest": string(text), "key_id": id, "signature": base64.StdEncoding.EncodeToString(signature)})
	})
	mux.HandleFunc("POST /gate/{id}/scans", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer staff" {
			t.Error("without a token")
		}
		var in struct {
			Scans []device.Decided `json:"scans"`
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			t.Error(err)
		}
		out := []map[string]any{}
		for i, x := range in.Scans {
			s.uploaded = append(s.uploaded, x)
			u := map[string]any{"scan_id": x.ScanID, "outcome": "MERGED"}
			if i == 0 {
				u["outcome"], u["message"] = "CONFLICT", "Already Checked In"
			}
			out = append(out, u)
		}
		_ = web.OK(w, map[string]any{"scans": out})
	})
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	t.Setenv("GATE_TOKEN", "staff")
	return s
}

func TestADeviceForAnEvening(t *testing.T) {
	s := start(t)
	file := filepath.Join(t.TempDir(), "gate.json")
	gate := func(stdin string, args ...string) (string, error) {
		var out bytes.Buffer
		err := run(t.Context(), append([]string{args[0], "-state", file}, args[1:]...), strings.NewReader(stdin), &out)
		return out.String(), err
	}
	expect := func(want, stdin string, args ...string) {
		t.Helper()
		if out, err := gate(stdin, args...); err != nil || !strings.Contains(out, want) {
			t.Errorf("gate %v: %q %v, want %q", args, out, err, want)
		}
	}
	if _, err := gate("", "scan", "x"); err == nil || !strings.Contains(err.Error(), "sync comes first") {
		t.Error(err)
	}
	if _, err := gate("", "sync", "-gateway", s.URL); err == nil {
		t.Error("synced with nothing")
	}
	expect("1 tickets of The Long Night", "", "sync", "-gateway", s.URL, "-event", s.event.String(), "-hall", "h1", "-device", "north")
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	code := s.codec.Offline(s.seat, s.event, 1).Code(time.Now())
	expect("SUCCESS    Welcome, seat A12", "\n"+code+"\r\n", "scan")
	expect("DUPLICATE", "", "scan", code)
	expect("cannot be read", "", "scan", "let me in")
	expect("Goodbye", "", "scan", "-out", code)
	expect("SUCCESS", "", "scan", code)
	if _, err := gate("", "undo", "-seat", "B1", "-reason", "x"); err == nil {
		t.Error("undone what is not there")
	}
	if _, err := gate("", "undo", "-seat", "a12"); err == nil {
		t.Error("undone without a reason")
	}
	expect("undone", "", "undo", "-seat", "a12", "-reason", "the wrong person")
	if _, err := gate("", "undo", "-seat", s.seat.String(), "-reason", "x"); err == nil {
		t.Error("undone twice")
	}
	s.forged = true
	if _, err := gate("", "sync", "-gateway", s.URL); err == nil {
		t.Error("a forged list was taken")
	}
	expect("4 merged, 1 in conflict, 0 refused", "", "upload")
	expect("0 merged, 0 in conflict", "", "upload")
	if len(s.uploaded) != 5 || s.uploaded[0].Device != "north" || s.uploaded[0].Hall != "h1" {
		t.Errorf("%+v", s.uploaded)
	}
	for _, args := range [][]string{nil, {"dance"}} {
		if err := run(t.Context(), args, nil, nil); err == nil {
			t.Errorf("gate %v", args)
		}
	}
	s.Close()
	expect("DUPLICATE", "", "scan", "-out", code) // without network
	if _, err := gate("", "upload"); err == nil {
		t.Error("uploaded to nobody")
	}
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := gate("", "upload"); err == nil {
		t.Error("a broken file was taken")
	}
}
