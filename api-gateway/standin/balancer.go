package standin

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// balancer passes requests to the replicas of a service in turn.
type balancer struct {
	replicas []*proxy
	retries  int
	probes   probes
	turn     atomic.Uint32
}

func newBalancer(of *upstream, to target) *balancer {
	b := &balancer{retries: to.retries, probes: of.Healthchecks.Active}
	for _, t := range of.Targets {
		b.replicas = append(b.replicas, newProxy(t.Target, to))
	}
	return b
}

// pass calls the service and leaves its answer in ctx. It returns 0, or the status to answer instead. As nginx does, it
// tries again what was not sent, and, of methods that may be repeated, what was not answered.
func (b *balancer) pass(ctx *fasthttp.RequestCtx, path, query string, correlation []byte) (status int) {
	forward(ctx, correlation)
	for try := 0; ; try++ {
		p := b.next()
		if p == nil {
			return http.StatusServiceUnavailable
		}
		err := p.pass(ctx, path, query)
		if err == nil {
			return 0
		}
		if try == b.retries || !unsent(err) && (ctx.IsPost() || ctx.IsPatch()) {
			return upstreamStatus(err)
		}
	}
}

// next returns the replica whose turn it is of those that are not down; nil if all are.
func (b *balancer) next() *proxy {
	n := int(b.turn.Add(1))
	for i := range b.replicas {
		if p := b.replicas[(n+i)%len(b.replicas)]; !p.down.Load() {
			return p
		}
	}
	return nil
}

func unsent(err error) bool {
	var failed *net.OpError
	return errors.As(err, &failed) && failed.Op == "dial"
}

// watch probes every replica until ctx ends, if the upstream asks for it.
func (b *balancer) watch(ctx context.Context) {
	if b.probes.Healthy.Interval == 0 {
		return
	}
	for _, p := range b.replicas {
		go p.watch(ctx, b.probes)
	}
}

func (p *proxy) watch(ctx context.Context, probes probes) {
	client := http.Client{Timeout: time.Duration(probes.Timeout) * time.Second}
	tick := time.NewTicker(time.Duration(probes.Healthy.Interval) * time.Second)
	defer tick.Stop()
	for timeouts := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		down := p.down.Load()
		res, err := client.Get("http://" + p.host + probes.HTTPPath)
		var slow net.Error
		switch {
		case err == nil:
			res.Body.Close()
			timeouts, down = 0, res.StatusCode != http.StatusOK
		case errors.As(err, &slow) && slow.Timeout():
			timeouts++
			down = down || timeouts >= probes.Unhealthy.Timeouts
		default:
			down = true
		}
		if p.down.Swap(down) != down {
			slog.Info("a replica is down, or up again", "replica", p.host, "down", down)
		}
	}
}
