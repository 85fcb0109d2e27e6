package demo

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"ticketremaster/platform/config"
)

// sealQR makes a ticket's QR payload from what docs/qr-format.md says and nothing else.
func sealQR(key config.Key32, seatID, eventID, hall string, at time.Time, version int64) (string, error) {
	nonce := make([]byte, 12)
	rand.Read(nonce) // never fails
	return sealQRWith(nonce, key, seatID, eventID, hall, at, version)
}

func sealQRWith(nonce []byte, key config.Key32, seatID, eventID, hall string, at time.Time, version int64) (string, error) {
	seat, err := uuid.Parse(seatID)
	if err != nil {
		return "", err
	}
	event, err := uuid.Parse(eventID)
	if err != nil {
		return "", err
	}
	plain, err := json.Marshal(struct {
		Seat    string `json:"s"`
		Event   string `json:"e"`
		Hall    string `json:"h"`
		Time    int64  `json:"t"`
		Version int64  `json:"o"`
	}{compact(seat), compact(event), hall, at.Unix(), version})
	if err != nil {
		return "", err
	}
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return "", err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(append([]byte("ticketremaster qr"), key[:]...))
	keyID := base64.RawURLEncoding.EncodeToString(sum[:])[:4]
	return keyID + "." + base64.RawURLEncoding.EncodeToString(gcm.Seal(nonce, nonce, plain, []byte(keyID))), nil
}

// compact is how a QR's payload writes an id.
func compact(id uuid.UUID) string { return base64.RawURLEncoding.EncodeToString(id[:]) }
