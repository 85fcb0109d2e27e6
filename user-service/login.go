package user

import (
	"context"
	"crypto/sha256"
	"net/netip"
	"time"

	"ticketremaster/platform/fault"
)

type originKey struct{}

// WithOrigin notes in ctx from which network a request came, by its client's address as the gateway tells it. What is
// no address is no origin.
func WithOrigin(ctx context.Context, address string) context.Context {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return ctx
	}
	ip = ip.Unmap().WithZone("")
	bits := ip.BitLen()
	if ip.Is6() {
		bits = 64 // a household's, where one device has any number of addresses
	}
	network, err := ip.Prefix(bits)
	if err != nil {
		return ctx
	}
	return context.WithValue(ctx, originKey{}, network.String())
}

// Origin returns the network that WithOrigin noted, "" if none.
func Origin(ctx context.Context) string {
	s, _ := ctx.Value(originKey{}).(string)
	return s
}

// KeepOrigin carries the origin over into a context that outlives the request.
func KeepOrigin(to, from context.Context) context.Context {
	return context.WithValue(to, originKey{}, Origin(from))
}

// KnownFor is how long an account knows a network that it was logged in from.
const KnownFor = 30 * 24 * time.Hour

// Slowed is one thing whose wrong passwords are counted. After Free wrong ones each doubles the wait before the next
// try, from a second up to Most; after Forget without one they are forgotten.
type Slowed struct {
	Key          []byte
	Free         int
	Most, Forget time.Duration
}

// SlowedBy returns what a try for an account from a network is counted under. The account is an e-mail address, whether
// anyone has it or not. Where the account was logged in from, only that network's own wrong passwords for it count: no
// stranger slows its owner.
func SlowedBy(account, origin string, known bool) []Slowed {
	pair := Slowed{slowedKey("pair", account, origin), 5, 15 * time.Minute, time.Hour}
	if known {
		return []Slowed{pair}
	}
	return []Slowed{pair,
		{slowedKey("account", account), 50, time.Minute, 24 * time.Hour},
		{slowedKey("origin", origin), 50, time.Minute, time.Hour},
	}
}

func slowedKey(parts ...string) []byte {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(p))
		h.Write([]byte{0})
	}
	return h.Sum(nil)
}

// ErrSlowed refuses a try that comes before its time.
func ErrSlowed(wait time.Duration) error {
	return &fault.Error{Kind: fault.TooMany, Code: fault.CodeRateLimited, RetryAfter: wait.Truncate(time.Second) + time.Second,
		Message: "Too many wrong passwords, please wait a moment before you try again"}
}
