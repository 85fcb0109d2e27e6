package call

import (
	"errors"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"
)

// restFor is how long no call prefers a replica that did not answer.
const restFor = time.Second

// hung is how long a call without an answer took, at least, if it says something about the replica: a caller's own
// deadline may be shorter.
const hung = time.Second

// resting has the time until which a replica, by its address, is not preferred. All clients share it.
var resting sync.Map

// replica picks one of a comma list of addresses at random, but none that did not answer just now while there is
// another, nor the one that failed in this call.
func replica(addresses, failed string) string {
	all := strings.Split(addresses, ",")
	at := rand.IntN(len(all))
	for i := range all {
		a := strings.TrimSpace(all[(at+i)%len(all)])
		if until, ok := resting.Load(a); a != failed && (!ok || time.Now().After(until.(time.Time))) {
			return a
		}
	}
	if strings.TrimSpace(all[at]) == failed {
		at++
	}
	return strings.TrimSpace(all[at%len(all)])
}

// noteFailure has a replica rest that did not answer a call that took so long.
func noteFailure(address string, err error, took time.Duration) {
	var timeout net.Error
	if connectionBroke(err) || errors.As(err, &timeout) && timeout.Timeout() && took >= hung {
		resting.Store(address, time.Now().Add(restFor))
	}
}
