package standin

import (
	"strconv"
	"sync"

	"github.com/valyala/fasthttp"
)

// maxCounted bounds the addresses counted in one minute; those beyond it share
// one count, so that a flood of addresses costs a bounded amount of memory.
const maxCounted = 100_000

// limiter is Kong's rate-limiting plugin with policy local: a count per client
// address and clock minute, shared by all routes of the plugin's scope. A
// request over the limit is not counted.
type limiter struct {
	limit int
	text  []byte
	now   clock

	mu     sync.Mutex
	minute int64 // since 1970
	counts map[string]int
}

func newLimiter(perMinute int, now clock) *limiter {
	return &limiter{limit: perMinute, text: []byte(strconv.Itoa(perMinute)), now: now, counts: map[string]int{}}
}

// rate is what a limit leaves to a client.
type rate struct {
	allowed                 bool
	limit, remaining, reset []byte // reset: seconds until the count begins anew
}

// take counts a request from ip, and tells whether it may pass and how much is left.
func (l *limiter) take(ip string) *rate {
	seconds := l.now().Unix()
	allowed, remaining := l.count(ip, seconds/60)
	return &rate{allowed, l.text, strconv.AppendInt(nil, int64(remaining), 10), strconv.AppendInt(nil, 60-seconds%60, 10)}
}

// tell puts r on an answer, in both of Kong's spellings.
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

func (l *limiter) count(ip string, minute int64) (allowed bool, remaining int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if minute != l.minute {
		l.minute = minute
		clear(l.counts)
	}
	used, known := l.counts[ip]
	if !known && len(l.counts) >= maxCounted {
		ip = ""
		used = l.counts[ip]
	}
	if used >= l.limit {
		return false, 0
	}
	l.counts[ip] = used + 1
	return true, l.limit - used - 1
}
