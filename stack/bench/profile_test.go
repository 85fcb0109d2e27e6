package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"ticketremaster/stack"
)

// profiled are the programs whose CPU profile Profile takes.
var profiled = []string{"orchestrator-service", "inventory-service", "user-service", "order-service", "event-service"}

const profileSeconds = 8

// profileUnder loads the system with one kind of request (R, P or V) from 32 clients and writes a CPU and a heap
// profile of each service to dir; it prints where each spends most.
func profileUnder(ctx context.Context, kind, dir string, out io.Writer) (err error) {
	s, err := stack.Boot(ctx, stack.Options{Private: true, Progress: out, Env: map[string]string{"LOG_LEVEL": "warn"}})
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := s.Close(); err == nil {
			err = closeErr
		}
	}()
	b := &bench{stack: s, plan: options{Quick: true}.plan(), out: out, start: time.Now()}
	if err := b.seed(ctx); err != nil {
		return err
	}
	action := map[string]func(context.Context, int) error{"R": b.reserve, "P": b.purchase}[kind]
	if kind == "V" {
		t, err := b.soldTickets(ctx, 20_000, 0)
		if err != nil {
			return err
		}
		action = b.verify(t)
	} else if err := b.moreSeats(ctx, 40_000); err != nil {
		return err
	}
	if action == nil {
		return fmt.Errorf("profile R, P or V, not %q", kind)
	}
	ports := map[string]string{}
	for i, name := range profiled {
		ports[name] = fmt.Sprintf("127.0.0.1:%d", 16060+i)
		if err := s.Restart(ctx, name, "DEBUG_ADDR="+ports[name]); err != nil {
			return err
		}
	}
	b.load(ctx, kind, 32, b.plan.warm, action)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var all sync.WaitGroup
	all.Go(func() {
		f := b.load(ctx, kind, 32, (profileSeconds+1)*time.Second, action)
		fmt.Fprintf(out, "%.0f/s, CPU ms per request: %s\n", f.PerSecond, f.cpu())
	})
	for _, name := range profiled {
		all.Go(func() {
			err := fetch(ctx, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", ports[name], profileSeconds), filepath.Join(dir, name+".pprof"))
			if err == nil {
				err = fetch(ctx, fmt.Sprintf("http://%s/debug/pprof/heap", ports[name]), filepath.Join(dir, name+".heap.pprof"))
			}
			if err != nil {
				b.say("%s: %v", name, err)
			}
		})
	}
	all.Wait()
	for _, name := range profiled {
		top, err := exec.CommandContext(ctx, "go", "tool", "pprof", "-top", "-cum", "-nodecount=45", filepath.Join(dir, name+".pprof")).Output()
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "\n%s\n%s", name, top)
	}
	return nil
}

func fetch(ctx context.Context, url, file string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	to, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, res.Body)
	if closeErr := to.Close(); err == nil {
		err = closeErr
	}
	return err
}
