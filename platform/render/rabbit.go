package render

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
)

// passHash is the one variable that is not read but derived, from passSource.
const (
	passHash   = "RABBITMQ_PASS_HASH"
	passSource = "RABBITMQ_PASS"
)

// RabbitPasswordHash returns the password_hash of a user in RabbitMQ's
// definitions, made as rabbit_password_hashing_sha256 does: base64 of a random
// salt of 4 bytes and of SHA-256 over salt and password. Two calls differ.
func RabbitPasswordHash(password string) string {
	var salt [4]byte
	rand.Read(salt[:]) // never fails: crypto/rand ends the program instead
	return rabbitHash(salt, password)
}

func rabbitHash(salt [4]byte, password string) string {
	sum := sha256.Sum256(append(salt[:], password...))
	return base64.StdEncoding.EncodeToString(append(salt[:], sum[:]...))
}
