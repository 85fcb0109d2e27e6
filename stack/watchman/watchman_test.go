package watchman

import (
	"strings"
	"testing"

	"github.com/moby/moby/api/types/events"
)

// The histories are the events of engine 20.10 when these commands ran. `.ci/docker` shows their effect on containers.
func TestKilled(t *testing.T) {
	for _, c := range []struct {
		what, history string
		want          bool
	}{
		{"docker compose kill", "start, kill 9", true},
		{"the same again after it was healed", "start, kill 9, start, kill 9", true},
		{"a signal to reload, then a kill", "start, kill 1, kill 9", true},
		{"docker compose kill, and healed since", "start, kill 9, start", false},
		{"docker compose stop", "start, kill 15, stop", false},
		{"stop, its grace over", "start, kill 15, kill 9, stop", false},
		{"kill in the grace of a stop", "start, kill 15, kill 9, kill 9, stop", false},
		{"killed, healed, then stopped", "start, kill 9, start, kill 15, stop", false},
		{"docker compose kill -s TERM: asked to end", "start, kill 15", false},
		{"kill -9 of the process, a crash or out of memory", "start", false},
		{"the engine has forgotten", "", false},
	} {
		var life []events.Message
		for action := range strings.SplitSeq(c.history, ", ") {
			name, signal, _ := strings.Cut(action, " ")
			life = append(life, events.Message{Action: events.Action(name), Actor: events.Actor{Attributes: map[string]string{"signal": signal}}})
		}
		if killed(life) != c.want {
			t.Errorf("%s: killed is %t", c.what, !c.want)
		}
	}
}
