package service

import (
	"context"

	"golang.org/x/sync/errgroup"

	"ticketremaster/platform/config"
	"ticketremaster/platform/web"
)

// Server answers requests until ctx ends, and then those that it has begun: see web.Serve and rpc.Server.Serve.
type Server func(ctx context.Context) error

// Worker does background work until ctx ends.
type Worker func(ctx context.Context)

// Servers and Workers are the parts of a service.
type (
	Servers []Server
	Workers []Worker
)

// Run runs the parts until ctx ends or a server fails, whose error it returns. The servers end first: each says that it
// is not ready, goes on for DRAIN_PAUSE, and finishes what it has begun. The workers run until then, since a request
// may give them work. It returns once all have ended.
func Run(ctx context.Context, c config.Common, servers Servers, workers Workers) error {
	serving, stopServing := context.WithCancel(ctx)
	defer stopServing()
	working, stopWorking := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWorking()

	var all errgroup.Group
	for _, work := range workers {
		all.Go(func() error { work(working); return nil })
	}
	if c.DebugAddr != "" {
		all.Go(func() error { return web.ServeDebug(working, c.DebugAddr) })
	}
	answering, serving := errgroup.WithContext(serving) // when one fails, all end
	for _, serve := range servers {
		answering.Go(func() error { return serve(serving) })
	}
	err := answering.Wait()
	stopWorking()
	if other := all.Wait(); err == nil {
		err = other
	}
	return err
}
