package qr

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
)

// Limits of an offline code.
const (
	OfflinePeriod = 30 * time.Second // of RFC 6238
	OfflineDigits = otp.DigitsEight
	// offlineBack is how far back a code is looked for, so that an old one is told from a false one.
	offlineBack   = time.Hour
	offlinePrefix = "T1."
)

// EventKey is what all offline codes of an event are made from, under one key of the server. A gate's device that has
// it can check any code of that event without network, and could make one.
type EventKey []byte

// EventKeys returns the event's key for each of the server's keys, by key id.
func (c *Codec) EventKeys(event uuid.UUID) map[string]EventKey {
	keys := make(map[string]EventKey, len(c.roots))
	for id, root := range c.roots {
		keys[id] = derive(root, "ticketremaster offline v1", event[:])
	}
	return keys
}

// Secret returns the secret of the offline codes of one ownership of a seat; it is invalid after a change of owner.
func (k EventKey) Secret(seat uuid.UUID, version int64) []byte {
	return derive(k, "seat", binary.BigEndian.AppendUint64(seat[:], uint64(version)))[:20]
}

func derive(key []byte, label string, data []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(label))
	mac.Write(data)
	return mac.Sum(nil)
}

// OfflineTicket is what a phone needs to make codes itself: a code is Prefix and the TOTP of Secret.
type OfflineTicket struct {
	Prefix string
	Secret []byte
}

// Offline makes a ticket's secret, under the current key.
func (c *Codec) Offline(seat, event uuid.UUID, version int64) OfflineTicket {
	return OfflineTicket{
		Prefix: offlinePrefix + c.current + "." + compact(seat) + "." + compact(event) + "." + strconv.FormatInt(version, 10) + ".",
		Secret: c.EventKeys(event)[c.current].Secret(seat, version),
	}
}

// Code returns the ticket's code at a time.
func (t OfflineTicket) Code(at time.Time) string { return t.Prefix + totp(t.Secret, step(at)) }

func step(t time.Time) int64 { return t.Unix() / int64(OfflinePeriod/time.Second) }

func totp(secret []byte, step int64) string {
	code, err := hotp.GenerateCodeCustom(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret), uint64(step),
		hotp.ValidateOpts{Digits: OfflineDigits, Algorithm: otp.AlgorithmSHA256})
	if err != nil {
		panic(err) // a secret that is no base32: it was made above
	}
	return code
}

// openOffline checks a code against the event's key that it names.
func (c *Codec) openOffline(payload string, now time.Time) (Ticket, error) {
	id, _, _ := strings.Cut(payload[len(offlinePrefix):], ".")
	root, ours := c.roots[id]
	if !ours {
		return Ticket{}, ErrUnreadable
	}
	return ReadOffline(payload, now, func(_ string, event uuid.UUID) (EventKey, bool) {
		return derive(root, "ticketremaster offline v1", event[:]), true
	})
}

// ReadOffline reads an offline code with the keys that a device has. A code that was made more than an hour before now,
// or more than a period after it, is ErrUnreadable, like one that no key made. The ticket's IssuedAt is when its period
// began.
func ReadOffline(payload string, now time.Time, key func(id string, event uuid.UUID) (EventKey, bool)) (Ticket, error) {
	parts := strings.Split(payload, ".")
	if len(payload) > MaxLength || len(parts) != 6 || parts[0]+"." != offlinePrefix || len(parts[5]) != OfflineDigits.Length() {
		return Ticket{}, ErrUnreadable
	}
	var t Ticket
	for at, id := range map[int]*uuid.UUID{2: &t.SeatID, 3: &t.EventID} {
		raw, err := base64.RawURLEncoding.Strict().DecodeString(parts[at])
		if err != nil || len(raw) != len(id) {
			return Ticket{}, ErrUnreadable
		}
		copy(id[:], raw)
	}
	version, err := strconv.ParseInt(parts[4], 10, 64)
	if err != nil || version < 1 || strconv.FormatInt(version, 10) != parts[4] {
		return Ticket{}, ErrUnreadable
	}
	t.OwnershipVersion = version
	k, ours := key(parts[1], t.EventID)
	if !ours {
		return Ticket{}, ErrUnreadable
	}
	secret := k.Secret(t.SeatID, version)
	for s := step(now) + 1; s >= step(now.Add(-offlineBack)); s-- {
		if subtle.ConstantTimeCompare([]byte(totp(secret, s)), []byte(parts[5])) == 1 {
			t.IssuedAt = time.Unix(s*int64(OfflinePeriod/time.Second), 0).UTC()
			if t.IssuedAt.After(now) { // a phone's clock may be a little ahead
				t.IssuedAt = now
			}
			return t, nil
		}
	}
	return Ticket{}, ErrUnreadable
}

// Sign signs a manifest with the current key; KeyID of the server's key names it.
func (c *Codec) Sign(text []byte) (keyID string, signature []byte) {
	return c.current, ed25519.Sign(signer(c.roots[c.current]), text)
}

// PublicKeys returns the keys that verify a manifest's signature, by key id.
func (c *Codec) PublicKeys() map[string]ed25519.PublicKey {
	keys := make(map[string]ed25519.PublicKey, len(c.roots))
	for id, root := range c.roots {
		keys[id] = signer(root).Public().(ed25519.PublicKey)
	}
	return keys
}

func signer(root []byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(derive(root, "ticketremaster manifest v1", nil))
}

func compact(id uuid.UUID) string { return base64.RawURLEncoding.EncodeToString(id[:]) }
