package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// program returns this test program as the service, with nothing but these variables in its environment.
func program(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(env, runTheService+"=yes")
	return cmd
}

// environment is a whole one, on w's database.
func environment(t *testing.T, w *world, addr string) []string {
	u, err := url.Parse(w.dsn)
	must(t, err)
	password, _ := u.User.Password()
	return []string{
		"HTTP_ADDR=" + addr, "DB_HOST=" + u.Hostname(), "DB_PORT=" + u.Port(), "DB_NAME=" + strings.Trim(u.Path, "/"), "DB_USER=" + u.User.Username(),
		"USER_DB_PASS=" + password, "USER_TOKEN=" + serviceToken, "JWT_SECRET=" + w.settings.JWTSecret.Reveal(),
		"SMU_API_URL=" + w.phones.url, "SMU_API_KEY=" + smuKey, "TOTP_ENCRYPTION_KEY=" + strings.Repeat("07", 32),
		"STRIPE_SECRET_KEY=sk_test_x", "STRIPE_WEBHOOK_SECRET=" + webhookSecret, "STRIPE_API_URL=http://127.0.0.1:1", "BCRYPT_COST=4",
	}
}

func TestBadConfiguration(t *testing.T) {
	run := func(env ...string) string {
		cmd := program(t, env)
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != 1 {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	w := startWorld(t)
	for _, missing := range []string{"DB_HOST", "USER_DB_PASS", "USER_TOKEN", "JWT_SECRET", "SMU_API_URL", "SMU_API_KEY", "TOTP_ENCRYPTION_KEY", "STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET"} {
		if out := run(); !strings.Contains(out, missing) {
			t.Errorf("%s is not named: %s", missing, out)
		}
	}
	whole := environment(t, w, "127.0.0.1:0")
	out := run(append(whole, "BCRYPT_COST=3", "REFRESH_TTL=999h", "TOPUP_MIN=0.1", "OTP_WRONG_PER_DAY=0", "SMU_API_URL=smu", "STRIPE_SECRET_KEY=sk_live_x", "JWT_SECRET=short")...)
	for _, wrong := range []string{"BCRYPT_COST", "REFRESH_TTL", "TOPUP_MIN", "OTP_WRONG_PER_DAY", "SMU_API_URL", "STRIPE_API_URL", "JWT_SECRET"} {
		if !strings.Contains(out, wrong) {
			t.Errorf("%s is not named: %s", wrong, out)
		}
	}
	if strings.Contains(out, webhookSecret) || strings.Contains(out, "sk_live_x") {
		t.Error("a secret is printed")
	}
}

// The program answers, finishes what it is at when it is told to end, and says that it ended well.
func TestTheProgramEndsCleanly(t *testing.T) {
	w := startWorld(t)
	p := w.rich("10")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	addr := l.Addr().String()
	must(t, l.Close())
	var log bytes.Buffer
	cmd := program(t, environment(t, w, addr))
	cmd.Stderr = &log
	must(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	eventually(t, 20*time.Second, "the program answers", func() bool {
		res, err := http.Get("http://" + addr + "/health")
		if err == nil {
			res.Body.Close()
		}
		return err == nil && res.StatusCode == http.StatusOK
	})
	must(t, program(t, []string{"HTTP_ADDR=" + addr}, "health").Run())

	w.url = "http://" + addr
	w.phones.slow(300 * time.Millisecond)
	slow := make(chan answer, 1)
	go func() {
		a, err := w.try("POST", "/otp/send", serviceToken, obj{"user_id": p.id, "purpose": "purchase", "reference_id": newID(), "message": "m"})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		slow <- a
	}()
	eventually(t, 5*time.Second, "the request is under way", func() bool {
		var n int
		must(t, w.db.QueryRow(context.Background(), `SELECT count(*) FROM otp_challenges WHERE state = 'SENDING'`).Scan(&n))
		return n == 1
	})
	must(t, cmd.Process.Signal(syscall.SIGTERM))
	if a := <-slow; a.status != http.StatusOK {
		t.Errorf("the request under way: %d %s", a.status, a.raw)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("%v\n%s", err, log.String())
		}
	case <-time.After(15 * time.Second):
		t.Fatal("it does not end")
	}
}
