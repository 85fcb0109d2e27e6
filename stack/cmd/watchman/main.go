// Command watchman starts the containers of a Compose project again that an operator killed. See package watchman.
//
// WATCH_PROJECT is the project's name; the engine's socket is at /var/run/docker.sock. `watchman health` asks the
// engine.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/moby/moby/client"

	"ticketremaster/platform/service"
	"ticketremaster/stack/watchman"
)

type settings struct {
	Project string `env:"WATCH_PROJECT,required,notEmpty"`
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "health" {
		if err := ping(); err != nil {
			fmt.Fprintln(os.Stderr, "not healthy:", err)
			os.Exit(1)
		}
		return
	}
	service.Main("watchman", "", start)
}

func start(ctx context.Context, s settings) error {
	engine, err := client.New()
	if err != nil {
		return err
	}
	defer engine.Close()
	return watchman.Watch(ctx, engine, s.Project)
}

func ping() error {
	engine, err := client.New()
	if err != nil {
		return err
	}
	defer engine.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	_, err = engine.Ping(ctx, client.PingOptions{})
	return err
}
