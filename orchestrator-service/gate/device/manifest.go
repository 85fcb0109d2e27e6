// Package device is a gate's device without network: it reads the signed manifest of an event, decides scans by the rules of
// gate/rules, and keeps what it decided until it is uploaded. docs/gate.md describes the formats.
package device

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/gate/rules"
	"ticketremaster/orchestrator-service/qr"
)

// Header is the first line of a manifest.
type Header struct {
	Version int                    `json:"v"`
	Event   rules.Event            `json:"event"`
	MadeAt  time.Time              `json:"made_at"`
	Skew    time.Duration          `json:"skew_ns"`
	Keys    map[string]qr.EventKey `json:"keys"` // of the event's offline codes, by key id
	Tickets int                    `json:"tickets"`
}

const formatVersion = 1

// Ticket is one sold ticket: a line of the manifest.
type Ticket struct {
	Seat      uuid.UUID
	Row       string
	Number    int
	Version   int64 // of the ownership
	Entered   bool
	Left      bool
	TakenBack bool // its payment
}

// Manifest is all that a device needs to decide scans of an event.
type Manifest struct {
	Header
	Tickets map[uuid.UUID]Ticket
}

// flags of a line: letters, so that a reader skips what it does not know.
const (
	entered   = "E"
	left      = "L"
	takenBack = "U"
)

// AppendTicket adds a ticket's line: seat,row,number,version,flags.
func AppendTicket(text []byte, t Ticket) []byte {
	text = base64.RawURLEncoding.AppendEncode(text, t.Seat[:])
	text = append(append(text, ','), t.Row...)
	text = strconv.AppendInt(append(text, ','), int64(t.Number), 10)
	text = strconv.AppendInt(append(text, ','), t.Version, 10)
	text = append(text, ',')
	for _, f := range []struct {
		set  bool
		flag string
	}{{t.Entered, entered}, {t.Left, left}, {t.TakenBack, takenBack}} {
		if f.set {
			text = append(text, f.flag...)
		}
	}
	return append(text, '\n')
}

// Begin writes the header's line.
func Begin(h Header) ([]byte, error) {
	h.Version = formatVersion
	line, err := json.Marshal(h)
	return append(line, '\n'), err
}

// ErrManifest is what Read answers for a text that is not whole, or that nobody trusted signed.
var ErrManifest = errors.New("the manifest is not whole, or is not signed by a key of the service")

// Read reads a manifest, after its signature was checked.
func Read(text []byte, signature []byte, key ed25519.PublicKey) (*Manifest, error) {
	if len(key) != ed25519.PublicKeySize || !ed25519.Verify(key, text, signature) {
		return nil, ErrManifest
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 64<<10)
	if !lines.Scan() {
		return nil, ErrManifest
	}
	var m Manifest
	if err := json.Unmarshal(lines.Bytes(), &m.Header); err != nil || m.Version != formatVersion {
		return nil, fmt.Errorf("%w: %w", ErrManifest, err)
	}
	m.Tickets = make(map[uuid.UUID]Ticket, m.Header.Tickets)
	for lines.Scan() {
		t, err := readTicket(lines.Text())
		if err != nil {
			return nil, err
		}
		m.Tickets[t.Seat] = t
	}
	if lines.Err() != nil || len(m.Tickets) != m.Header.Tickets {
		return nil, ErrManifest
	}
	return &m, nil
}

func readTicket(line string) (t Ticket, err error) {
	parts := strings.Split(line, ",")
	if len(parts) != 5 {
		return t, ErrManifest
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err != nil || len(raw) != len(t.Seat) {
		return t, ErrManifest
	}
	t.Seat, t.Row = uuid.UUID(raw), parts[1]
	var wrong error
	t.Number, wrong = strconv.Atoi(parts[2])
	if t.Version, err = strconv.ParseInt(parts[3], 10, 64); err != nil || wrong != nil {
		return t, ErrManifest
	}
	t.Entered, t.Left, t.TakenBack = strings.Contains(parts[4], entered), strings.Contains(parts[4], left), strings.Contains(parts[4], takenBack)
	return t, nil
}
