package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"ticketremaster/platform/config"
	"ticketremaster/platform/database"
	"ticketremaster/platform/testenv"
	user "ticketremaster/user-service"
	"ticketremaster/user-service/postgres"
)

// world is one running user service on a database of its own, with the phones that its codes reach.
type world struct {
	t        testing.TB
	url      string
	dsn      string
	db       *pgxpool.Pool
	phones   *phones
	settings settings
	stop     func()
	quiesce  func() // waits for what no answer waited for
}

const serviceToken = "the-user-services-own-secret"

// startWorld starts a service; change may alter its settings first.
func startWorld(t *testing.T, change ...func(*settings)) *world {
	t.Helper()
	return startWorldFor(t, change...)
}

func startWorldFor(t testing.TB, change ...func(*settings)) *world {
	t.Helper()
	w := &world{t: t, phones: startPhones(t)}
	w.dsn = testenv.Template(t, "users_"+schemaHash(t), func(ctx context.Context, url string) error {
		return database.Migrate(ctx, url, postgres.Migrations())
	})
	w.settings = settings{
		Token: serviceToken, JWTSecret: "a secret of thirty-two characters or more", JWTIssuer: "ticketremaster",
		AccessTTL: 15 * time.Minute, RefreshTTL: 24 * time.Hour, BcryptCost: 4,
		SMUURL: w.phones.url, SMUKey: smuKey, TOTPKey: config.Key32{7},
		OTPTTL: 5 * time.Minute, OTPSendsPerHour: 20, OTPPairPerHour: 10, OTPWrongPerDay: 10,
		SMSPerOrigin: 10_000, SMSPerMinute: 10_000, RegistrationTTL: 24 * time.Hour, TopUpsPerHour: 10,
		StripeKey: "sk_test_123", WebhookSecret: webhookSecret, StripeURL: "http://127.0.0.1:1", TopUpMin: 1_00, TopUpMax: 10_000_00,
	}
	for _, c := range change {
		c(&w.settings)
	}
	w.run()
	return w
}

// run starts the service's program on a free port.
func (w *world) run() {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	pool, err := database.Open(ctx, withPool(w.dsn, 16), postgres.Migrations())
	must(w.t, err)
	svc, err := assemble(w.settings, postgres.New(pool))
	must(w.t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(w.t, err)
	done := make(chan error, 1)
	go func() { done <- svc.serve(ctx, w.settings, l) }()
	w.url, w.db = "http://"+l.Addr().String(), pool
	w.quiesce = svc.background.wait
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("the service ended with %v", err)
		}
		svc.background.wait()
		pool.Close()
	})
	w.t.Cleanup(w.stop)
	if res, err := http.Get(w.url + "/health"); err != nil { // it waits until the service has caught up
		w.t.Fatal(err)
	} else {
		res.Body.Close()
	}
}

func schemaHash(t testing.TB) string {
	h := sha256.New()
	must(t, fs.WalkDir(postgres.Migrations(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(postgres.Migrations(), path)
		h.Write(b)
		return err
	}))
	return hex.EncodeToString(h.Sum(nil))[:12]
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// answer is one HTTP answer, its body decoded.
type answer struct {
	status int
	body   map[string]any
	header http.Header
	raw    string
}

func (a answer) code() string { s, _ := a.body["error_code"].(string); return s }

func (a answer) data() map[string]any { m, _ := a.body["data"].(map[string]any); return m }

// want fails the test unless the answer has that status and code ("" for a success).
func (a answer) want(t testing.TB, status int, code string) answer {
	t.Helper()
	if a.status != status || a.code() != code {
		t.Fatalf("status %d %q, want %d %q: %s", a.status, a.code(), status, code, a.raw)
	}
	if a.body["success"] != (status < 400) {
		t.Fatalf("not our envelope: %s", a.raw)
	}
	return a
}

// call sends a request with that bearer token and body: a string as it is, nil as no body, anything else as JSON.
func (w *world) call(method, path, bearer string, body any, headers ...string) answer {
	a, err := w.try(method, path, bearer, body, headers...)
	if err != nil {
		w.t.Errorf("%s %s: %v", method, path, err)
	}
	return a
}

func (w *world) try(method, path, bearer string, body any, headers ...string) (answer, error) {
	var r io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		r = strings.NewReader(b)
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			return answer{}, err
		}
		r = bytes.NewReader(raw)
	}
	req, err := http.NewRequest(method, w.url+path, r)
	if err != nil {
		return answer{}, err
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := (&http.Client{Timeout: 20 * time.Second}).Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	a := answer{status: res.StatusCode, header: res.Header, raw: string(raw)}
	if err == nil {
		err = json.Unmarshal(raw, &a.body)
	}
	return a, err
}

// from is the header in which the gateway passes a request's address on.
func from(address string) []string { return []string{"X-Real-IP", address} }

// internal calls as another of our services.
func (w *world) internal(method, path string, body any) answer {
	return w.call(method, path, serviceToken, body)
}

type obj = map[string]any

// person is someone with an account, logged in.
type person struct {
	id, email, phone, password string
	access, refresh            string
}

// join registers and verifies someone and logs in.
func (w *world) join() person {
	w.t.Helper()
	return w.joinAs(fmt.Sprintf("p%s@example.com", uuid.NewString()[:13]), fmt.Sprintf("+65%08d", 80_000_000+uuid.New().ID()%20_000_000))
}

// joinAs is join with an address and a phone.
func (w *world) joinAs(email, phone string) person {
	w.t.Helper()
	p := person{email: email, phone: phone, password: "correct horse"}
	a := w.call("POST", "/auth/register", "", obj{"email": p.email, "phone": p.phone, "password": p.password}).want(w.t, 201, "")
	p.id = a.data()["user_id"].(string)
	a = w.call("POST", "/auth/verify-registration", "", obj{"user_id": p.id, "otp_code": w.phones.code(p.phone)}).want(w.t, 200, "")
	p.access, p.refresh = a.data()["access_token"].(string), a.data()["refresh_token"].(string)
	return p
}

func parse(id string) uuid.UUID { return uuid.MustParse(id) }

func newID() string { return uuid.Must(uuid.NewV7()).String() }

func emptyDatabase(t *testing.T) string { return testenv.Postgres(t) }

func migrate(ctx context.Context, dsn string) error {
	return database.Migrate(ctx, dsn, postgres.Migrations())
}

func TestMain(m *testing.M) {
	if !testenv.IsProgram() {
		slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError + 1}))) // the tests look at answers
	}
	testenv.RunMain(m, main)
}

// assembled returns the service's parts on the same database, as a command of the binary has them.
func (w *world) assembled() *parts {
	svc, err := assemble(w.settings, postgres.New(w.db))
	must(w.t, err)
	return svc
}

// live returns the purpose of the person's live challenge, "" if there is none.
func (w *world) live(p person) (purpose string) {
	must(w.t, w.db.QueryRow(w.t.Context(), `
		SELECT coalesce(max(purpose::text), '') FROM otp_challenges WHERE user_id = $1 AND state = 'PENDING'`, p.id).Scan(&purpose))
	return purpose
}

func jsonNumber(f float64) string { return fmt.Sprintf("%.0f", f) }

// twice returns two readers of a body.
func twice(t testing.TB, body io.Reader) (a, b io.ReadCloser) {
	raw, err := io.ReadAll(body)
	must(t, err)
	return io.NopCloser(bytes.NewReader(raw)), io.NopCloser(bytes.NewReader(raw))
}

func vault(t testing.TB) *user.Vault {
	v, err := user.NewVault([32]byte{7})
	must(t, err)
	return v
}

// withPool returns the address with a pool of that size, as the settings do.
func withPool(dsn string, conns int) string {
	separator := "?"
	if strings.Contains(dsn, "?") {
		separator = "&"
	}
	return fmt.Sprintf("%s%spool_max_conns=%d", dsn, separator, conns)
}
