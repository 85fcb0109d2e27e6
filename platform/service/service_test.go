package service_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"ticketremaster/platform/config"
	"ticketremaster/platform/service"
	"ticketremaster/platform/testenv"
	"ticketremaster/platform/web"
)

// The program under test: a server that answers when the request's body is whole, and a worker that leaves a file when
// it ends.
func main() {
	type settings struct {
		config.Common
		HTTPAddr string `env:"HTTP_ADDR"`
		Left     string `env:"LEFT"`
	}
	service.Main("test", ":0", func(ctx context.Context, s settings) error {
		router := web.NewRouter(func(context.Context) error { return nil })
		router.Post("/", web.Handler(func(w http.ResponseWriter, r *http.Request) error {
			if err := web.Decode(r, &struct{}{}); err != nil {
				return err
			}
			if _, err := os.Stat(s.Left); err == nil {
				return errors.New("the worker ended before the request did")
			}
			return web.OK(w, "done")
		}).ServeHTTP)
		return service.Run(ctx, s.Common, service.Servers{web.Server(s.HTTPAddr, router, s.DrainPause)}, service.Workers{
			func(ctx context.Context) { <-ctx.Done(); _ = os.WriteFile(s.Left, nil, 0o600) },
		})
	})
}

func TestMain(m *testing.M) { testenv.RunMain(m, main) }

// SIGTERM: first the service reports that it is not ready and continues, then it accepts no connections, then it
// completes its requests, and only then its workers end.
func TestSIGTERMDrains(t *testing.T) {
	addr, left := testenv.FreeAddr(t), t.TempDir()+"/left"
	p := testenv.NewProgram(t, []string{"HTTP_ADDR=" + addr, "LEFT=" + left, "DRAIN_PAUSE=1s"})
	p.Serve(t, addr)
	slow, err := net.Dial("tcp", addr) // a request whose body is not complete when the signal comes
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	answer := make([]byte, 1024)
	exchange := func(send, want string) {
		t.Helper()
		if _, err := slow.Write([]byte(send)); err != nil {
			t.Fatal(err)
		}
		if n, err := slow.Read(answer); err != nil || !strings.HasPrefix(string(answer[:n]), want) {
			t.Fatalf("%q, %v, want %q", answer[:n], err, want)
		}
	}
	exchange("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n", "HTTP/1.1 100 Continue")
	signalled := time.Now()
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for testenv.Health(addr) == http.StatusOK {
		if time.Since(signalled) > 500*time.Millisecond {
			t.Fatal("it says that it is ready")
		}
	}
	res, err := http.Post("http://"+addr, "application/json", strings.NewReader(`{}`))
	if err != nil || res.StatusCode != http.StatusOK || !res.Close {
		t.Fatalf("while it drains a request got %+v, %v", res, err)
	}
	res.Body.Close()
	for testenv.Health(addr) != 0 {
		if time.Since(signalled) > 5*time.Second {
			t.Fatal("it goes on listening")
		}
		time.Sleep(10 * time.Millisecond)
	}
	if paused := time.Since(signalled); paused < 900*time.Millisecond {
		t.Errorf("it stopped listening after %s", paused)
	}
	exchange("{}", "HTTP/1.1 200")
	p.Ends(t)
	if _, err := os.Stat(left); err != nil {
		t.Errorf("the worker did not end: %v", err)
	}
}

func TestWhenAServerFailsAllEnds(t *testing.T) {
	broken := errors.New("broken")
	err := service.Run(t.Context(), config.Common{}, service.Servers{
		func(context.Context) error { return broken },
		func(ctx context.Context) error { <-ctx.Done(); return nil },
	}, service.Workers{func(ctx context.Context) { <-ctx.Done() }})
	if !errors.Is(err, broken) {
		t.Error(err)
	}
}

func TestBadSettingsEndTheProgram(t *testing.T) {
	p := testenv.NewProgram(t, []string{"DRAIN_PAUSE=2h"})
	if err := p.Run(); err == nil || !strings.Contains(p.Output.String(), "DRAIN_PAUSE") {
		t.Errorf("%v: %s", err, p.Output)
	}
}
