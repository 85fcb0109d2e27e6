package e2e

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"github.com/google/uuid"

	"ticketremaster/stack/client"
)

// qrCipher reads and makes QR payloads from docs/qr-format.md alone, as a gatekeeper app of someone else's would: it shares no code
// with the service.
type qrCipher [32]byte

// qrTicket is the plaintext.
type qrTicket struct {
	Seat    string `json:"s"`
	Event   string `json:"e"`
	Hall    string `json:"h"`
	Time    int64  `json:"t"`
	Version int64  `json:"o"`
}

func (x qrTicket) of(seat uuid.UUID) qrTicket {
	x.Seat = base64.RawURLEncoding.EncodeToString(seat[:])
	return x
}

func (x qrTicket) at(event uuid.UUID) qrTicket {
	x.Event = base64.RawURLEncoding.EncodeToString(event[:])
	return x
}

func (x qrTicket) in(hall string) qrTicket { x.Hall = hall; return x }

// qrKey is the system's own: of our stack, or by QR_ENCRYPTION_KEY for one that runs elsewhere.
func qrKey(t *testing.T) (key qrCipher) {
	t.Helper()
	text := os.Getenv("QR_ENCRYPTION_KEY")
	if own != nil {
		text = own.Secret("QR_ENCRYPTION_KEY")
	}
	raw := []byte(text)
	if b, err := hex.DecodeString(text); err == nil {
		raw = b
	} else if b, err := base64.StdEncoding.DecodeString(text); err == nil {
		raw = b
	}
	if len(raw) != len(key) {
		t.Fatal("set QR_ENCRYPTION_KEY to the running system's key")
	}
	return qrCipher(raw)
}

func (k qrCipher) id() string {
	sum := sha256.Sum256(append([]byte("ticketremaster qr"), k[:]...))
	return base64.RawURLEncoding.EncodeToString(sum[:])[:4]
}

func (k qrCipher) gcm(t *testing.T) cipher.AEAD {
	t.Helper()
	block, err := aes.NewCipher(k[:])
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	return gcm
}

func (k qrCipher) seal(t *testing.T, x qrTicket) string {
	t.Helper()
	plain, err := json.Marshal(x)
	if err != nil {
		t.Fatal(err)
	}
	gcm := k.gcm(t)
	nonce := make([]byte, gcm.NonceSize())
	rand.Read(nonce) // never fails
	return k.id() + "." + base64.RawURLEncoding.EncodeToString(gcm.Seal(nonce, nonce, plain, []byte(k.id())))
}

func (k qrCipher) open(t *testing.T, payload string) (x qrTicket) {
	t.Helper()
	if len(payload) > 200 || len(payload) < 5 || payload[:5] != k.id()+"." {
		t.Fatalf("payload %q is not as the format's page says", payload)
	}
	sealed, err := base64.RawURLEncoding.DecodeString(payload[5:])
	if err != nil {
		t.Fatal(err)
	}
	gcm := k.gcm(t)
	plain, err := gcm.Open(nil, sealed[:gcm.NonceSize()], sealed[gcm.NonceSize():], []byte(k.id()))
	if err == nil {
		err = json.Unmarshal(plain, &x)
	}
	if err != nil {
		t.Fatal(err)
	}
	return x
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
