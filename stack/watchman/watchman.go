// Package watchman restarts containers that an operator killed. The engine restarts a container whose process died, but
// treats the SIGKILL of `docker kill` and `docker compose kill` as a request and leaves the container down, whatever
// its restart policy. docs/docker.md#the-watchman has the consequences and the privileges.
package watchman

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"
)

const (
	// pause before a dead container is started: a stop sends its event only after the death, and a kill of everything,
	// the watchman included, is respected.
	pause = 2 * time.Second
	// attempts to start one container, a pause apart; after that a person must.
	attempts = 5
	// limit of one request to the engine.
	limit = 30 * time.Second
)

// Watch watches the service containers of a Compose project until ctx ends; it starts with those that were killed
// before it ran, as far as the engine remembers. It fails when the engine no longer answers.
func Watch(ctx context.Context, engine *client.Client, project string) error {
	ours := func() client.Filters {
		return make(client.Filters).Add("label", "com.docker.compose.project="+project, "com.docker.compose.oneoff=False")
	}
	deaths := engine.Events(ctx, client.EventsListOptions{Filters: ours().Add("type", "container").Add("event", "die")})
	down, err := engine.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: ours().Add("status", "exited")})
	if err != nil {
		return err
	}
	slog.Info("watching", "project", project, "down", len(down.Items))
	for _, c := range down.Items {
		go heal(ctx, engine, c.ID)
	}
	for {
		select {
		case death := <-deaths.Messages:
			go heal(ctx, engine, death.Actor.ID)
		case err := <-deaths.Err:
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("the engine's events ended: %w", err)
		}
	}
}

// heal starts a container that died, if it was killed and is still down a pause later.
func heal(ctx context.Context, engine *client.Client, id string) {
	for attempt := 1; attempt <= attempts; attempt++ {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		name, err := startIfKilled(ctx, engine, id)
		switch {
		case err == nil && name != "":
			slog.Warn("started again what was killed", "container", name)
			return
		case err == nil || errdefs.IsNotFound(err):
			return
		}
		slog.Error("it cannot be started again", "container", id, "attempt", attempt, "error", err)
	}
}

// startIfKilled returns the name of the container that it started, or "".
func startIfKilled(ctx context.Context, engine *client.Client, id string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	found, err := engine.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return "", err
	}
	c := found.Container
	if c.State.Status != container.StateExited || c.HostConfig.RestartPolicy.IsNone() {
		return "", nil
	}
	life, err := history(ctx, engine, id, c.State.StartedAt)
	if err != nil || !killed(life) {
		return "", err
	}
	_, err = engine.ContainerStart(ctx, id, client.ContainerStartOptions{}) // no error if the other watchman has done so
	return c.Name, err
}

// history is a container's events since then. The engine remembers 256 events of all its containers, and health checks
// are such events too: about half a minute.
func history(ctx context.Context, engine *client.Client, id, since string) ([]events.Message, error) {
	past := engine.Events(ctx, client.EventsListOptions{
		Since: since, Until: time.Now().UTC().Format(time.RFC3339Nano),
		Filters: make(client.Filters).Add("container", id).Add("event", "start", "kill", "stop"),
	})
	var life []events.Message
	for {
		select {
		case event := <-past.Messages:
			life = append(life, event)
		case err := <-past.Err:
			if errors.Is(err, io.EOF) { // all of it was read
				err = nil
			}
			return life, err
		}
	}
}

// killed tells a SIGKILL by the engine's API, which is `kill` with signal 9 and nothing after it, from everything else
// that ends a container. The events of engine 20.10 around a container's death:
//
//	docker kill, docker compose kill      kill 9
//	stop, down, recreate, compose rm -s   kill 15 (or the image's), stop
//	the same, its grace over              kill 15, kill 9, stop
//	docker rm -f                          kill 9, destroy: nothing is there to be started
//	a crash, kill -9 of the process, OOM  none; the engine restarts it
//
// A stop of a container that is down causes no event: it is lost if it comes within the pause after the kill.
func killed(life []events.Message) bool {
	is := false
	for _, event := range life {
		switch event.Action {
		case events.ActionKill:
			is = event.Actor.Attributes["signal"] == "9"
		case events.ActionStart, events.ActionStop:
			is = false
		}
	}
	return is
}
