package sandbox

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/client"
	"github.com/stripe/stripe-go/v76/webhook"

	"ticketremaster/platform/config"
)

// world is a sandbox with a receiver of its webhooks, both on real listeners.
type world struct {
	*Server
	url string

	mu       sync.Mutex
	refuse   int // so many webhooks are answered 503
	received []stripe.Event
}

func newWorld(t *testing.T, change func(*Config)) *world {
	t.Helper()
	w := &world{}
	receiver := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		// stripe-go itself checks the signature, with its own API version.
		event, err := webhook.ConstructEvent(body, r.Header.Get("Stripe-Signature"), "whsec_test")
		if err != nil {
			t.Errorf("webhook: %v", err)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.refuse > 0 {
			w.refuse--
			rw.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.received = append(w.received, event)
	}))
	t.Cleanup(receiver.Close)
	c := Config{SMUKey: "smu", StripeKey: "sk_test_1", WebhookSecret: "whsec_test", WebhookURL: receiver.URL}
	if change != nil {
		change(&c)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	w.Server = New(ctx, c)
	server := httptest.NewServer(w.Handler())
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

func (w *world) events() []stripe.Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]stripe.Event(nil), w.received...)
}

func (w *world) post(t *testing.T, path, key, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-API-Key", key)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	answer, _ := io.ReadAll(response.Body)
	return response.StatusCode, strings.TrimSpace(string(answer))
}

func (w *world) stripe(key string) *client.API {
	none := int64(0)
	backend := stripe.GetBackendWithConfig(stripe.APIBackend, &stripe.BackendConfig{URL: stripe.String(w.url), MaxNetworkRetries: &none, LeveledLogger: &stripe.LeveledLogger{}})
	return client.New(key, &stripe.Backends{API: backend, Connect: backend, Uploads: backend})
}

func TestOTP(t *testing.T) {
	w := newWorld(t, nil)
	now := time.Now()
	w.now = func() time.Time { return now }
	send := func() string {
		t.Helper()
		if status, body := w.post(t, "/sendOTP", "smu", `{"phone_number":"+65","message":"Pay 5.00."}`); status != 200 || body != `{"success":true}` {
			t.Fatal(status, body)
		}
		return w.messages("+65")[0].OTPCode
	}
	verify := func(code string) string {
		t.Helper()
		status, body := w.post(t, "/verifyOTP", "smu", `{"phone_number":"+65","otp_code":"`+code+`"}`)
		if (status == 200) != (body == `{"success":true}`) {
			t.Fatal(status, body)
		}
		return body
	}
	const invalid, expired, success = `{"error":"invalid","success":false}`, `{"error":"expired","success":false}`, `{"success":true}`

	if got := verify("123456"); got != expired {
		t.Errorf("none pending: %s", got)
	}
	first := send()
	if text := w.messages("+65")[0].Message; text != "Pay 5.00. Code: "+first {
		t.Errorf("message %q", text)
	}
	if got := verify("x" + first[1:]); got != invalid {
		t.Errorf("wrong: %s", got)
	}
	if got := verify(first); got != success {
		t.Errorf("right: %s", got)
	}
	if got := verify(first); got != expired {
		t.Errorf("used: %s", got)
	}
	old := send()
	now = now.Add(codeLife)
	if got := verify(old); got != expired {
		t.Errorf("old: %s", got)
	}
	for _, key := range []string{"", "wrong"} {
		if status, _ := w.post(t, "/sendOTP", key, `{"phone_number":"+65"}`); status != http.StatusUnauthorized {
			t.Errorf("key %q: %d", key, status)
		}
	}
	for _, body := range []string{`{`, `{}`, `{"phone_number":5}`} {
		if status, _ := w.post(t, "/sendOTP", "smu", body); status != http.StatusBadRequest {
			t.Errorf("%s: %d", body, status)
		}
	}
}

func TestOutages(t *testing.T) {
	w := newWorld(t, nil)
	send := func() int {
		status, _ := w.post(t, "/sendOTP", "smu", `{"phone_number":"+65"}`)
		return status
	}
	control := func(body string, want int) {
		t.Helper()
		if status, answer := w.post(t, "/control", "", body); status != want {
			t.Fatal(body, status, answer)
		}
	}
	control(`{"down":true}`, 200)
	if status := send(); status != 0 {
		t.Errorf("down: %d", status)
	}
	control(`{"fail_next":2}`, 200)
	if a, b, c := send(), send(), send(); a != 500 || b != 500 || c != 200 {
		t.Errorf("fail_next 2: %d, %d, %d", a, b, c)
	}
	control(`{"delay_ms":50}`, 200)
	if began := time.Now(); send() != 200 || time.Since(began) < 50*time.Millisecond {
		t.Errorf("delay_ms 50: %s", time.Since(began))
	}
	control(`{"target":"stripe","down":true}`, 200)
	if status := send(); status != 200 {
		t.Errorf("stripe down: %d", status)
	}
	if _, err := w.stripe("sk_test_1").PaymentIntents.Get("pi_1", nil); err == nil || strings.Contains(err.Error(), "No such") {
		t.Errorf("stripe answers: %v", err)
	}
	control(`{"target":"moon"}`, 400)
	control(`{"delay_ms":-1}`, 400)
}

func TestPaymentByStripeGo(t *testing.T) {
	w := newWorld(t, nil)
	api := w.stripe("sk_test_1")
	create := func(key string, amount int64) (*stripe.PaymentIntent, error) {
		params := &stripe.PaymentIntentParams{Amount: stripe.Int64(amount), Currency: stripe.String("sgd")}
		params.AddMetadata("topup_id", "t-1")
		params.SetIdempotencyKey(key)
		return api.PaymentIntents.New(params)
	}
	made, err := create("k1", 5000)
	if err != nil {
		t.Fatal(err)
	}
	if made.Amount != 5000 || made.Currency != "sgd" || made.Metadata["topup_id"] != "t-1" || made.ClientSecret == "" {
		t.Errorf("%+v", made)
	}
	if again, err := create("k1", 5000); err != nil || again.ID != made.ID {
		t.Errorf("the same key gave %v, %v", again, err)
	}
	if other, err := create("k2", 5000); err != nil || other.ID == made.ID {
		t.Errorf("another key gave %v, %v", other, err)
	}
	for _, refused := range []error{second(create("k1", 6000)), second(create("k3", 1)), second(w.stripe("sk_test_2").PaymentIntents.Get(made.ID, nil))} {
		if _, ok := refused.(*stripe.Error); !ok {
			t.Errorf("not refused as Stripe does: %v", refused)
		}
	}

	if status, body := w.post(t, "/refund/"+made.ID, "", ""); status != http.StatusConflict {
		t.Errorf("refund before payment: %d %s", status, body)
	}
	// By client_secret, as a browser knows it; twice, the second a replay.
	for range 2 {
		if status, body := w.post(t, "/pay/"+made.ClientSecret, "", ""); status != 200 || !strings.Contains(body, `"delivered":true`) {
			t.Fatal(status, body)
		}
	}
	events := w.events()
	if len(events) != 2 || events[0].ID != events[1].ID || events[0].Type != "payment_intent.succeeded" {
		t.Fatalf("%+v", events)
	}
	var paid stripe.PaymentIntent
	if err := json.Unmarshal(events[0].Data.Raw, &paid); err != nil || paid.ID != made.ID || paid.AmountReceived != 5000 || paid.Status != "succeeded" || paid.Metadata["topup_id"] != "t-1" {
		t.Errorf("%+v, %v", paid, err)
	}
	if got, err := api.PaymentIntents.Get(made.ID, nil); err != nil || got.Status != "succeeded" {
		t.Errorf("%+v, %v", got, err)
	}

	if status, body := w.post(t, "/refund/"+made.ID+"?amount=2000", "", ""); status != 200 {
		t.Fatal(status, body)
	}
	if status, _ := w.post(t, "/refund/"+made.ID+"?amount=3001", "", ""); status != http.StatusConflict {
		t.Errorf("more than is left: %d", status)
	}
	if status, body := w.post(t, "/chargeback/"+made.ID, "", ""); status != 200 {
		t.Fatal(status, body)
	}
	events = w.events()
	var charge stripe.Charge
	if err := json.Unmarshal(events[2].Data.Raw, &charge); err != nil || events[2].Type != "charge.refunded" || charge.AmountRefunded != 2000 || charge.PaymentIntent.ID != made.ID {
		t.Errorf("%+v, %v", charge, err)
	}
	var dispute stripe.Dispute
	if err := json.Unmarshal(events[3].Data.Raw, &dispute); err != nil || events[3].Type != "charge.dispute.created" || dispute.Amount != 3000 || dispute.PaymentIntent.ID != made.ID {
		t.Errorf("%+v, %v", dispute, err)
	}
	if status, body := w.post(t, "/fail-refund/"+made.ID, "", ""); status != 200 {
		t.Fatal(status, body)
	}
	events = w.events()
	for i, kind := range []string{"refund.failed", "charge.refund.updated"} {
		var failed stripe.Refund
		if err := json.Unmarshal(events[4+i].Data.Raw, &failed); err != nil || string(events[4+i].Type) != kind || failed.Amount != 2000 || failed.Status != "failed" || failed.PaymentIntent.ID != made.ID {
			t.Errorf("%s: %+v, %v", kind, failed, err)
		}
	}
	if status, _ := w.post(t, "/fail-refund/"+made.ID, "", ""); status != http.StatusConflict {
		t.Errorf("there is no other refund: %d", status)
	}
	if status, _ := w.post(t, "/decline/"+made.ID, "", ""); status != http.StatusConflict {
		t.Errorf("it is paid: %d", status)
	}
	if other, err := create("k9", 700); err != nil {
		t.Error(err)
	} else if status, body := w.post(t, "/decline/"+other.ID, "", ""); status != 200 {
		t.Error(status, body)
	}
	events = w.events()
	var declined stripe.PaymentIntent
	if err := json.Unmarshal(events[6].Data.Raw, &declined); err != nil || events[6].Type != "payment_intent.payment_failed" || declined.LastPaymentError.Code != "card_declined" {
		t.Errorf("%+v, %v", declined, err)
	}
	if status, _ := w.post(t, "/pay/"+made.ID+"_secret_wrong", "", ""); status != http.StatusNotFound {
		t.Errorf("a wrong client_secret: %d", status)
	}
}

func TestWebhookIsSentUntilItIsTaken(t *testing.T) {
	w := newWorld(t, nil)
	w.refuse = 2
	made, err := w.stripe("sk_test_1").PaymentIntents.New(&stripe.PaymentIntentParams{Amount: stripe.Int64(100), Currency: stripe.String("sgd")})
	if err != nil {
		t.Fatal(err)
	}
	if _, body := w.post(t, "/pay/"+made.ID, "", ""); !strings.Contains(body, `"delivered":false`) {
		t.Error(body)
	}
	for deadline := time.Now().Add(10 * time.Second); len(w.events()) == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never taken")
		}
	}
}

func TestPages(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.FixedOTP = "424242" })
	w.post(t, "/sendOTP", "smu", `{"phone_number":"+65","message":"<script>"}`)
	made, err := w.stripe("sk_test_1").PaymentIntents.New(&stripe.PaymentIntentParams{Amount: stripe.Int64(1234), Currency: stripe.String("sgd")})
	if err != nil {
		t.Fatal(err)
	}
	for range listed {
		if _, err := w.stripe("sk_test_1").PaymentIntents.New(&stripe.PaymentIntentParams{Amount: stripe.Int64(999), Currency: stripe.String("sgd")}); err != nil {
			t.Fatal(err)
		}
	}
	last, err := w.stripe("sk_test_1").PaymentIntents.New(&stripe.PaymentIntentParams{Amount: stripe.Int64(4321), Currency: stripe.String("sgd")})
	if err != nil {
		t.Fatal(err)
	}
	if all := w.Server.stripe.newest(); all[0].ID != last.ID || all[len(all)-1].ID != made.ID {
		t.Errorf("not the newest first: %+v", all)
	}
	for path, want := range map[string]string{"/": "424242", "/?": `<a href="/pay/` + last.ID + `">`, "/?x": "2 older ones", "/?phone=none": "None yet", "/pay/" + made.ClientSecret: "12.34 sgd"} {
		response, err := http.Get(w.url + path)
		if err != nil {
			t.Fatal(err)
		}
		page, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if !strings.Contains(string(page), want) || strings.Contains(string(page), "<script>") {
			t.Errorf("%s: %s", path, page)
		}
	}
}

func TestRefusesToStandInForTheRealThing(t *testing.T) {
	good := map[string]string{"SMU_API_KEY": "a", "STRIPE_SECRET_KEY": "sk_test_abc", "STRIPE_WEBHOOK_SECRET": "whsec_abc", "WEBHOOK_URL": "http://127.0.0.1:1", "APP_ENV": "", "SANDBOX_FIXED_OTP": ""}
	for name, value := range map[string]string{"": "", "APP_ENV": "production", "STRIPE_SECRET_KEY": "sk_live_abc", "SANDBOX_FIXED_OTP": "12345", "WEBHOOK_URL": ""} {
		t.Run(name+"="+value, func(t *testing.T) {
			for n, v := range good {
				t.Setenv(n, v)
			}
			if name != "" {
				t.Setenv(name, value)
			}
			_, err := config.Load[Config]()
			if (err == nil) != (name == "") {
				t.Errorf("%v", err)
			}
			if err != nil && !strings.Contains(err.Error(), name) {
				t.Errorf("the message does not name %s: %v", name, err)
			}
		})
	}
}

func second[T any](_ T, err error) error { return err }
