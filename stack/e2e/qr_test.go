package e2e

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/google/uuid"

	"ticketremaster/stack/client"
	"ticketremaster/stack/qr"
)

// qrCipher reads and makes QR payloads, and fails the test when it cannot.
type qrCipher qr.Key

// qrTicket is the plaintext of one, with what a test changes in it.
type qrTicket qr.Ticket

func (x qrTicket) of(seat uuid.UUID) qrTicket  { x.Seat = qr.ID(seat); return x }
func (x qrTicket) at(event uuid.UUID) qrTicket { x.Event = qr.ID(event); return x }
func (x qrTicket) in(hall string) qrTicket     { x.Hall = hall; return x }

// qrKey is the system's own: of our stack, or by QR_ENCRYPTION_KEY for one that runs elsewhere.
func qrKey(t *testing.T) qrCipher {
	t.Helper()
	text := os.Getenv("QR_ENCRYPTION_KEY")
	if own != nil {
		text = own.Secret("QR_ENCRYPTION_KEY")
	}
	key, err := qr.ParseKey(text)
	if err != nil {
		t.Fatalf("the running system's key: %v", err)
	}
	return qrCipher(key)
}

func (k qrCipher) seal(_ *testing.T, x qrTicket) string { return qr.Key(k).Seal(qr.Ticket(x)) }

func (k qrCipher) open(t *testing.T, payload string) qrTicket {
	t.Helper()
	x, err := qr.Key(k).Open(payload)
	if err != nil {
		t.Fatal(err)
	}
	return qrTicket(x)
}

// total is how many there are in all, beside the page.
func total(t *testing.T, a client.Answer) int {
	t.Helper()
	var beside struct {
		Pagination struct {
			Total int `json:"total"`
		} `json:"pagination"`
	}
	if err := json.Unmarshal(a.Raw, &beside); err != nil {
		t.Fatal(err)
	}
	return beside.Pagination.Total
}
