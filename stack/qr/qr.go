// Package qr reads and makes the QR payloads of tickets from docs/qr-format.md alone, as a gatekeeper app of someone
// else's would: it shares no code with the service. Tests, demo and bench use it for codes that no client can get.
package qr

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"ticketremaster/platform/config"
)

// Key is QR_ENCRYPTION_KEY.
type Key config.Key32

// Ticket is the plaintext. Seat and Event are as ID writes them, Time is in seconds since 1970.
type Ticket struct {
	Seat    string `json:"s"`
	Event   string `json:"e"`
	Hall    string `json:"h"`
	Time    int64  `json:"t"`
	Version int64  `json:"o"`
}

// ID is how the plaintext writes a UUID.
func ID(id uuid.UUID) string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// ParseKey reads a key as the orchestrator does.
func ParseKey(text string) (Key, error) {
	var key config.Key32
	if err := key.UnmarshalText([]byte(text)); err != nil {
		return Key{}, fmt.Errorf("QR_ENCRYPTION_KEY %w", err)
	}
	return Key(key), nil
}

// Seal makes a payload.
func (k Key) Seal(t Ticket) string {
	nonce := make([]byte, 12)
	rand.Read(nonce) // never fails
	return k.seal(nonce, t)
}

func (k Key) seal(nonce []byte, t Ticket) string {
	plain, err := json.Marshal(t)
	if err != nil {
		panic(err) // text and numbers
	}
	return k.id() + "." + base64.RawURLEncoding.EncodeToString(k.gcm().Seal(nonce, nonce, plain, []byte(k.id())))
}

// Open reads a payload that was made under k; anything else is an error.
func (k Key) Open(payload string) (t Ticket, err error) {
	if len(payload) > 200 || len(payload) < 5 || payload[:5] != k.id()+"." {
		return t, fmt.Errorf("payload %q is not as the format's page says", payload)
	}
	sealed, err := base64.RawURLEncoding.DecodeString(payload[5:])
	gcm := k.gcm()
	if err != nil || len(sealed) < gcm.NonceSize() {
		return t, fmt.Errorf("payload %q: %w", payload, err)
	}
	plain, err := gcm.Open(nil, sealed[:gcm.NonceSize()], sealed[gcm.NonceSize():], []byte(k.id()))
	if err == nil {
		err = json.Unmarshal(plain, &t)
	}
	return t, err
}

func (k Key) id() string {
	sum := sha256.Sum256(append([]byte("ticketremaster qr"), k[:]...))
	return base64.RawURLEncoding.EncodeToString(sum[:])[:4]
}

func (k Key) gcm() cipher.AEAD {
	block, err := aes.NewCipher(k[:])
	if err != nil {
		panic(err) // the key has 32 bytes
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // AES has blocks of 16 bytes
	}
	return gcm
}
