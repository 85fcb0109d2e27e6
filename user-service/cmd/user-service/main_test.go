package main

import (
	"os/exec"
	"strings"
	"testing"

	"ticketremaster/platform/testenv"
)

// program returns this test program as the service, with nothing but these variables in its environment.
func program(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	p := testenv.NewProgram(t, env, args...)
	p.Stdout, p.Stderr = nil, nil
	return p.Cmd
}

var required = []string{
	"USER_TOKEN=" + serviceToken, "JWT_SECRET=a secret of thirty-two characters or more", "SMU_API_URL=http://127.0.0.1:1", "SMU_API_KEY=" + smuKey,
	"TOTP_ENCRYPTION_KEY=" + strings.Repeat("07", 32), "STRIPE_SECRET_KEY=sk_test_x", "STRIPE_WEBHOOK_SECRET=" + webhookSecret,
}

func TestProgram(t *testing.T) {
	testenv.ServiceProgram(t, "USER_DB_PASS", required, "STRIPE_API_URL=http://127.0.0.1:1", "BCRYPT_COST=4")
}

// environment is a whole one, on w's database.
func environment(t *testing.T, w *world) []string {
	return append(append(testenv.AddressEnv(t, w.dsn, "USER_DB_PASS"), required...), "SMU_API_URL="+w.phones.url, "STRIPE_API_URL=http://127.0.0.1:1", "BCRYPT_COST=4")
}

func TestSettingsOutOfRangeAreNamedAtOnce(t *testing.T) {
	cmd := program(t, append(environment(t, startWorld(t)), "BCRYPT_COST=3", "REFRESH_TTL=999h", "TOPUP_MIN=0.1", "OTP_WRONG_PER_DAY=0", "SMU_API_URL=smu", "STRIPE_SECRET_KEY=sk_live_x", "JWT_SECRET=short"))
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 1 {
		t.Fatalf("%v: %s", err, out)
	}
	for _, wrong := range []string{"BCRYPT_COST", "REFRESH_TTL", "TOPUP_MIN", "OTP_WRONG_PER_DAY", "SMU_API_URL", "STRIPE_API_URL", "JWT_SECRET"} {
		if !strings.Contains(string(out), wrong) {
			t.Errorf("%s is not named: %s", wrong, out)
		}
	}
	if strings.Contains(string(out), webhookSecret) || strings.Contains(string(out), "sk_live_x") {
		t.Error("a secret is printed")
	}
}
