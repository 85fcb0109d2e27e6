package standin

import (
	"net/http"
	"strconv"
	"sync"
)

// maxCounted bounds the addresses counted in one minute; those beyond it share
// one count, so that a flood of addresses costs a bounded amount of memory.
const maxCounted = 100_000

// limiter is Kong's rate-limiting plugin with policy local: a count per client
// address and clock minute, shared by all routes of the plugin's scope. A
// request over the limit is not counted.
type limiter struct {
	limit int
	text  string
	now   clock

	mu     sync.Mutex
	minute int64 // since 1970
	counts map[string]int
}

func newLimiter(perMinute int, now clock) *limiter {
	return &limiter{limit: perMinute, text: strconv.Itoa(perMinute), now: now, counts: map[string]int{}}
}

// take counts a request from ip, tells the client in h how much is left, and
// reports whether it may pass. If not, Retry-After says in how many seconds.
func (l *limiter) take(ip string, h http.Header) bool {
	seconds := l.now().Unix()
	allowed, remaining := l.count(ip, seconds/60)
	reset := strconv.FormatInt(60-seconds%60, 10)
	left := strconv.Itoa(remaining)
	h["X-Ratelimit-Limit-Minute"] = []string{l.text}
	h["X-Ratelimit-Remaining-Minute"] = []string{left}
	h["Ratelimit-Limit"] = []string{l.text}
	h["Ratelimit-Remaining"] = []string{left}
	h["Ratelimit-Reset"] = []string{reset}
	if !allowed {
		h["Retry-After"] = []string{reset}
	}
	return allowed
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
