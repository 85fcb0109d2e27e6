// Package qr makes and reads the payload of a ticket's QR code; docs/qr-format.md is its specification, with
// test vectors.
//
// A payload is <key id>.<base64url(nonce | ciphertext | tag)>: AES-256-GCM over a small JSON object, the key id
// being authenticated with it. It is at most MaxLength characters long.
package qr

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"ticketremaster/platform/config"
)

// Limits of a payload.
const (
	Life      = 60 * time.Second // a QR is valid that long after it was made (docs/qr-format.md#validity)
	MaxLength = 200              // characters: what a reader decodes from 220 pixels
	keyIDLen  = 4
)

// ErrUnreadable is Open's error for anything that we did not make or that is damaged.
var ErrUnreadable = errors.New("the QR code cannot be read")

// Ticket is the content of a QR code: seat, event, hall, time, and ownership version, which grows with every change of
// the seat's owner.
type Ticket struct {
	SeatID           uuid.UUID
	EventID          uuid.UUID
	HallID           string
	IssuedAt         time.Time // whole seconds
	OwnershipVersion int64
}

// wire is the plaintext: compact keys, ids as base64url of 16 bytes.
type wire struct {
	Seat    string `json:"s"`
	Event   string `json:"e"`
	Hall    string `json:"h"`
	Time    int64  `json:"t"` // Unix seconds
	Version int64  `json:"o"`
}

// Codec seals with the current key and opens with the current and the previous one, so that keys can be changed while
// codes are in use.
type Codec struct {
	current string
	keys    map[string]cipher.AEAD
	roots   map[string][]byte // of the secrets of offline codes, and of the manifests' signatures: see offline.go
}

// NewCodec makes a codec. previous may be nil.
func NewCodec(current config.Key32, previous *config.Key32) (*Codec, error) {
	c := &Codec{current: KeyID(current), keys: map[string]cipher.AEAD{}, roots: map[string][]byte{}}
	for _, k := range []*config.Key32{previous, &current} {
		if k == nil {
			continue
		}
		block, err := aes.NewCipher(k[:])
		if err != nil {
			return nil, err
		}
		if c.keys[KeyID(*k)], err = cipher.NewGCM(block); err != nil {
			return nil, err
		}
		c.roots[KeyID(*k)] = k[:]
	}
	return c, nil
}

// KeyID identifies a key without revealing it: the first characters of base64url(SHA-256("ticketremaster qr" | key)).
func KeyID(k config.Key32) string {
	sum := sha256.Sum256(append([]byte("ticketremaster qr"), k[:]...))
	return base64.RawURLEncoding.EncodeToString(sum[:])[:keyIDLen]
}

// Seal makes a payload.
func (c *Codec) Seal(t Ticket) (string, error) {
	nonce := make([]byte, 12)
	if _, err := rand.Read(nonce); err != nil {
		return "", err
	}
	return c.seal(t, nonce)
}

func (c *Codec) seal(t Ticket, nonce []byte) (string, error) {
	plain, err := encode(t)
	if err != nil {
		return "", err
	}
	sealed := c.keys[c.current].Seal(nonce, nonce, plain, []byte(c.current))
	payload := c.current + "." + base64.RawURLEncoding.EncodeToString(sealed)
	if len(payload) > MaxLength {
		return "", fmt.Errorf("a QR payload of %d characters: the hall's name is too long", len(payload))
	}
	return payload, nil
}

func encode(t Ticket) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // it would cost five characters for each & in a hall's name
	err := e.Encode(wire{
		Seat: compact(t.SeatID), Event: compact(t.EventID),
		Hall: t.HallID, Time: t.IssuedAt.Unix(), Version: t.OwnershipVersion,
	})
	return bytes.TrimRight(b.Bytes(), "\n"), err
}

// Open reads a payload, or an offline code at that time; ErrUnreadable unless one of our keys made it and nothing was
// changed.
func (c *Codec) Open(payload string, now time.Time) (Ticket, error) {
	if strings.HasPrefix(payload, offlinePrefix) {
		return c.openOffline(payload, now)
	}
	if len(payload) > MaxLength || strings.ContainsAny(payload, "\r\n") { // which the decoder would ignore
		return Ticket{}, ErrUnreadable
	}
	id, body, found := strings.Cut(payload, ".")
	aead, ours := c.keys[id]
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(body)
	if !found || !ours || err != nil || len(sealed) < aead.NonceSize() {
		return Ticket{}, ErrUnreadable
	}
	nonce, sealed := sealed[:aead.NonceSize()], sealed[aead.NonceSize():]
	plain, err := aead.Open(nil, nonce, sealed, []byte(id))
	if err != nil {
		return Ticket{}, ErrUnreadable
	}
	return Decrypted(plain)
}

// Decrypted reads the plain JSON object, as a device with the key would send it.
func Decrypted(plain []byte) (Ticket, error) {
	var w wire
	if len(plain) > MaxLength || json.Unmarshal(plain, &w) != nil {
		return Ticket{}, ErrUnreadable
	}
	t := Ticket{HallID: w.Hall, IssuedAt: time.Unix(w.Time, 0).UTC(), OwnershipVersion: w.Version}
	for _, x := range []struct {
		to   *uuid.UUID
		from string
	}{{&t.SeatID, w.Seat}, {&t.EventID, w.Event}} {
		raw, err := base64.RawURLEncoding.Strict().DecodeString(x.from)
		if err != nil || len(raw) != len(x.to) {
			return Ticket{}, ErrUnreadable
		}
		copy(x.to[:], raw)
	}
	return t, nil
}

// Hash is the SHA-256 of a payload, as stored in seats.qr_code_hash; empty for an empty payload.
func Hash(payload string) []byte {
	if payload == "" {
		return nil
	}
	sum := sha256.Sum256([]byte(payload))
	return sum[:]
}

// LooksOnline reports whether a payload has the form of one that Seal makes, which no device can open.
func LooksOnline(payload string) bool {
	id, body, found := strings.Cut(payload, ".")
	sealed, err := base64.RawURLEncoding.DecodeString(body)
	return found && err == nil && len(id) == keyIDLen && len(sealed) > 28
}
