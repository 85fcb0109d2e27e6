package standin

import (
	"hash/maphash"
	"strconv"
	"sync"

	"github.com/valyala/fasthttp"
)

// maxCounted bounds the clients counted in one minute; those beyond it share one count, so that memory is bounded.
const maxCounted = 100_000

// limiter is Kong's rate-limiting plugin with policy local: a count per client
// and clock minute, shared by all routes of the plugin's scope. A client is an
// address or, byToken, an Authorization header. A request over the limit is not
// counted.
type limiter struct {
	limit   int
	byToken bool
	text    []byte
	now     clock
	seed    maphash.Seed

	mu     sync.Mutex
	minute int64          // since 1970
	counts map[uint64]int // by the client's hash: a header may be long
}

func newLimiter(perMinute int, byToken bool, now clock) *limiter {
	return &limiter{limit: perMinute, byToken: byToken, text: []byte(strconv.Itoa(perMinute)), now: now, seed: maphash.MakeSeed(), counts: map[uint64]int{}}
}

// of returns who sent the request.
func (l *limiter) of(ctx *fasthttp.RequestCtx) string {
	if l.byToken {
		if token := ctx.Request.Header.Peek("Authorization"); len(token) > 0 {
			return string(token)
		}
	}
	return clientIP(ctx)
}

// rate is what remains of a client's limit.
type rate struct {
	allowed                 bool
	limit, remaining, reset []byte // reset: seconds until the count begins anew
}

// take counts a request of client and returns whether it may pass and how much is left.
func (l *limiter) take(client string) *rate {
	seconds := l.now().Unix()
	allowed, remaining := l.count(maphash.String(l.seed, client), seconds/60)
	return &rate{allowed, l.text, strconv.AppendInt(nil, int64(remaining), 10), strconv.AppendInt(nil, 60-seconds%60, 10)}
}

// tell adds r to an answer, in both of Kong's spellings.
func (r *rate) tell(h *fasthttp.ResponseHeader) {
	if r == nil {
		return
	}
	h.SetBytesV("X-Ratelimit-Limit-Minute", r.limit)
	h.SetBytesV("X-Ratelimit-Remaining-Minute", r.remaining)
	h.SetBytesV("Ratelimit-Limit", r.limit)
	h.SetBytesV("Ratelimit-Remaining", r.remaining)
	h.SetBytesV("Ratelimit-Reset", r.reset)
}

func (l *limiter) count(client uint64, minute int64) (allowed bool, remaining int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if minute != l.minute {
		l.minute = minute
		clear(l.counts)
	}
	used, known := l.counts[client]
	if !known && len(l.counts) >= maxCounted {
		client = 0
		used = l.counts[client]
	}
	if used >= l.limit {
		return false, 0
	}
	l.counts[client] = used + 1
	return true, l.limit - used - 1
}
