package user

import (
	"context"
	"runtime"
	"time"

	"golang.org/x/crypto/bcrypt"

	"ticketremaster/platform/fault"
)

// Hasher hashes passwords with bcrypt, on as many goroutines as there are processors: more would only make
// everything else of the service wait.
type Hasher struct {
	cost  int
	slots chan struct{}
	queue chan struct{}
	dummy []byte // used for an unknown e-mail address, so that it takes the same time
}

// maxWaiting bounds the hashes that wait: at cost 12 about five seconds of work on two processors.
const maxWaiting = 48

var errBusy = &fault.Error{Kind: fault.TooMany, Code: fault.CodeRateLimited, RetryAfter: 2 * time.Second,
	Message: "too many people are logging in right now, please try again in a moment"}

// NewHasher makes a hasher of that bcrypt cost.
func NewHasher(cost int) (*Hasher, error) {
	dummy, err := bcrypt.GenerateFromPassword([]byte("no account has this password"), cost)
	return &Hasher{
		cost: cost, dummy: dummy,
		slots: make(chan struct{}, runtime.GOMAXPROCS(0)),
		queue: make(chan struct{}, maxWaiting),
	}, err
}

// Hash returns the hash of a password that CheckPassword has passed; RATE_LIMITED when too many wait.
func (h *Hasher) Hash(ctx context.Context, password string) (hash string, err error) {
	err = h.turn(ctx, func() error {
		b, err := bcrypt.GenerateFromPassword([]byte(password), h.cost)
		hash = string(b)
		return err
	})
	return hash, err
}

// Matches reports whether the password is the hash's. An empty hash fits none and takes as long to say so.
func (h *Hasher) Matches(ctx context.Context, hash, password string) (ok bool, err error) {
	err = h.turn(ctx, func() error {
		if hash == "" || len(password) > maxPassword { // bcrypt would look at the first 72 bytes only
			_ = bcrypt.CompareHashAndPassword(h.dummy, []byte("another password"))
			return nil
		}
		ok = bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) == nil
		return nil
	})
	return ok, err
}

func (h *Hasher) turn(ctx context.Context, work func() error) error {
	select {
	case h.queue <- struct{}{}:
		defer func() { <-h.queue }()
	default:
		return errBusy
	}
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-ctx.Done():
		return errBusy.Because(ctx.Err())
	}
	return work()
}
