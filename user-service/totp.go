package user

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"
)

const (
	totpPeriod = 30 // seconds
	totpSkew   = 1  // steps to either side, for a phone whose clock is off
)

// Vault seals TOTP secrets under TOTP_ENCRYPTION_KEY with AES-256-GCM, each bound to its user.
type Vault struct{ aead cipher.AEAD }

// NewVault makes a vault of a 32-byte key.
func NewVault(key [32]byte) (*Vault, error) {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	return &Vault{aead}, err
}

// Enroll makes a new secret: sealed to keep, in clear and as an otpauth URL to show once.
func (v *Vault) Enroll(user uuid.UUID, email string) (sealed, secret, address string, err error) {
	key, err := totp.Generate(totp.GenerateOpts{Issuer: "TicketRemaster", AccountName: email, Period: totpPeriod, SecretSize: 20})
	if err != nil {
		return "", "", "", err
	}
	nonce := make([]byte, v.aead.NonceSize())
	rand.Read(nonce)
	box := v.aead.Seal(nonce, nonce, []byte(key.Secret()), user[:])
	return base64.StdEncoding.EncodeToString(box), key.Secret(), key.URL(), nil
}

// Step returns the time step for which code is the right one, ok false if there is none near now. A step counts
// only once: the caller keeps the last one used.
func (v *Vault) Step(user uuid.UUID, sealed, code string, now time.Time) (step int64, ok bool, err error) {
	secret, err := v.open(user, sealed)
	if err != nil {
		return 0, false, err
	}
	present := now.Unix() / totpPeriod
	for s := present - totpSkew; s <= present+totpSkew; s++ {
		want, err := hotp.GenerateCodeCustom(secret, uint64(s), hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		if err != nil {
			return 0, false, err
		}
		if subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			return s, true, nil
		}
	}
	return 0, false, nil
}

func (v *Vault) open(user uuid.UUID, sealed string) (string, error) {
	box, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil || len(box) < v.aead.NonceSize() {
		return "", errors.New("totp secret: not a sealed secret")
	}
	n := v.aead.NonceSize()
	secret, err := v.aead.Open(nil, box[:n], box[n:], user[:])
	if err != nil {
		return "", fmt.Errorf("totp secret: %w", err)
	}
	return string(secret), nil
}
