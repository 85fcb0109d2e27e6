package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/pquerna/otp/totp"

	"ticketremaster/stack/client"
)

const userFields = "user.user_id user.email user.phone user.credit_balance:number user.is_admin:bool user.is_flagged:bool user.flagged:bool user.is_verified:bool user.role"

// newcomer returns an address and a phone that no account has.
func newcomer() (email, phone string) {
	n := made.Add(1)
	return fmt.Sprintf("u%d-%s@example.com", n, run), fmt.Sprintf("+65%s%03d", run[4:], n%1000)
}

// read waits for a phone's code and keeps it under a name.
func read(t *testing.T, names map[string]string, name, phone string) func() {
	since := time.Now()
	return func() {
		code, err := app.OTP(t.Context(), phone, since)
		if err != nil {
			t.Fatal(err)
		}
		names[name], names["wrong"] = code, other(code)
	}
}

func TestContractOfAccounts(t *testing.T) {
	email, phone := newcomer()
	names := map[string]string{"email": email, "phone": phone}
	play(t, names, []row{
		{call: "POST /auth/register", body: object{"email": "$email", "phone": "$phone", "password": "short"}, want: "400 VALIDATION_ERROR", reads: "^errors.password"},
		{call: "POST /auth/register", body: object{"email": "$email", "phone": "$phone", "password": password}, want: "201", reads: "user_id>id status=PENDING_VERIFICATION ^user_id"},
		{call: "POST /auth/register", body: object{"email": admin.Email, "phone": "$phone", "password": password}, want: "409 EMAIL_ALREADY_EXISTS"},
		{call: "POST /auth/login", body: object{"email": "$email", "password": password}, want: "403 UNVERIFIED_ACCOUNT", reads: "^details.user_id=$id", before: read(t, names, "code", phone)},
		{call: "POST /auth/verify-registration", body: object{"user_id": "$id", "otp_code": "$wrong"}, want: "400 BAD_REQUEST"},
		{call: "POST /auth/verify-registration", body: object{"user_id": uuid.NewString(), "otp_code": "$code"}, want: "404 NOT_FOUND"},
		{call: "POST /auth/verify-registration", body: object{"user_id": "$id"}, want: "400 VALIDATION_ERROR", reads: "^errors.otp_code"},
		{call: "POST /auth/resend-otp", body: object{"user_id": "$id"}, want: "200", reads: "message"},
		{call: "POST /auth/verify-registration", body: object{"user_id": "$id", "otp_code": "$code"}, want: "200", before: read(t, names, "code", phone),
			reads: "access_token refresh_token token_type=Bearer expires_in=900 ^access_token ^refresh_token ^user.user_id=$id " + userFields},
		{call: "POST /auth/verify-registration", body: object{"user_id": "$id", "otp_code": "$code"}, want: "400 BAD_REQUEST", before: func() { names["code"] = names["wrong"] }},
		{call: "POST /auth/resend-otp", body: object{"user_id": "$id"}, want: "400 BAD_REQUEST"},
		{call: "POST /auth/login", body: object{"email": "$email", "password": password + "!"}, want: "401 UNAUTHORIZED"},
		{call: "POST /auth/login", body: object{"email": "$email"}, want: "400 VALIDATION_ERROR", reads: "^errors.password"},
		{call: "POST /auth/login", body: object{"email": strings.ToUpper(email), "password": password}, want: "200",
			reads: "access_token refresh_token>refresh token_type=Bearer expires_in=900 ^access_token ^expires_in=900 user.role=customer user.is_verified=true " + userFields},
	})
	p := relogin(t, &client.Person{Email: email, Password: password})
	names["access"], names["refresh"], names["id"] = p.Access, p.Refresh, p.ID
	refresh := &client.Person{App: app, Access: p.Refresh}
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	play(t, names, []row{
		{by: refresh, call: "POST /auth/refresh", body: []byte{}, header: form, want: "200", reads: "access_token expires_in=900 ^access_token ^expires_in:number"},
		{by: refresh, call: "POST /api/auth/refresh", want: "200", reads: "access_token"}, // not single-use
		{by: p, call: "POST /auth/refresh", want: "401 UNAUTHORIZED"},
		{call: "POST /auth/refresh", want: "401 UNAUTHORIZED"},
		{by: p, call: "GET /users/$id", want: "200", reads: "email=" + email + " phone credit_balance=0 is_flagged=false is_verified=true is_admin=false"},
		{by: p, call: "GET /users/" + admin.ID, want: "403 FORBIDDEN"},
		{by: admin, call: "GET /users/" + uuid.NewString(), want: "404 USER_NOT_FOUND"},
		{by: p, call: "GET /users/me", want: "400 INVALID_UUID"},
		{by: expired(t, p), call: "GET /credits/balance", want: "401 TOKEN_EXPIRED"},
		{by: expired(t, p), call: "GET /events", want: "200", reads: "^pagination.page=1"}, // a stale token does no harm in public
		{call: "GET /credits/balance", want: "401 UNAUTHORIZED"},
		{by: p, call: "GET /credits/balance", want: "200", reads: "credit_balance=0"},
		{by: p, call: "POST /auth/logout", want: "200"}, // without body or content type
		{by: refresh, call: "POST /auth/refresh", want: "401 UNAUTHORIZED"},
		{by: p, call: "GET /users/$id", want: "401 UNAUTHORIZED"},
	})
	eventually(t, "the orchestrator hears of the logout", func() bool {
		a, err := p.Get(t.Context(), "/tickets")
		return err == nil && a.Status == http.StatusUnauthorized && a.Code == "UNAUTHORIZED"
	})
	if own == nil {
		return // an outage would not be ours to make
	}
	if err := app.Control(t.Context(), object{"target": "smu", "down": true}); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = app.Control(t.Context(), object{}) }()
	email, phone = newcomer()
	play(t, names, []row{{call: "POST /auth/register", body: object{"email": email, "phone": phone, "password": password}, want: "503 SERVICE_UNAVAILABLE"}})
}

func TestContractOfPasswordsAndFactors(t *testing.T) {
	p := person(t, 0)
	names := map[string]string{"email": p.Email, "secret": ""}
	play(t, names, []row{
		{by: p, call: "POST /auth/password/change", body: object{"old_password": "not this one", "new_password": "another long one"}, want: "403 FORBIDDEN"},
		{by: p, call: "POST /auth/password/change", body: object{"old_password": password, "new_password": "another long one"}, want: "200", reads: "access_token refresh_token " + userFields},
	})
	since := time.Now()
	play(t, names, []row{
		{call: "POST /auth/password/reset-request", body: object{"email": "$email"}, want: "200", reads: "message"},
		{call: "POST /auth/password/reset-request", body: object{"email": "nobody-$email"}, want: "200", reads: "message"},
		{call: "POST /auth/password/reset", body: object{"email": "nobody-$email", "otp_code": "123456", "new_password": password}, want: "400 BAD_REQUEST"},
		{call: "POST /auth/password/reset", body: object{"email": "$email", "otp_code": "$code", "new_password": password}, want: "200", reads: "message", patient: true, before: func() {
			code, err := app.OTP(t.Context(), p.Phone, since)
			if err != nil {
				t.Fatal(err)
			}
			names["code"] = code
		}},
	})
	p = relogin(t, p)
	since = time.Now()
	fresh := func() {
		code, err := app.OTP(t.Context(), p.Phone, since)
		if err != nil {
			t.Fatal(err)
		}
		names["code"], names["wrong"] = code, other(code)
	}
	play(t, names, []row{
		{by: p, call: "POST /auth/totp/activate", body: object{"otp_code": "123456"}, want: "400 VALIDATION_ERROR"},
		{by: p, call: "POST /auth/totp/enroll", body: object{"password": "not this one"}, want: "403 FORBIDDEN"},
		{by: p, call: "POST /auth/totp/enroll", body: object{"password": password}, want: "428 OTP_REQUIRED"},
		{by: p, call: "POST /auth/totp/enroll", body: object{"password": password, "otp_code": "$wrong"}, want: "401 OTP_INVALID", before: fresh},
		{by: p, call: "POST /auth/totp/enroll", body: object{"password": password, "otp_code": "$code"}, want: "200", reads: "secret>secret otpauth_url"},
		{by: p, call: "POST /auth/totp/activate", body: object{"otp_code": "$code"}, want: "200", reads: "active=true", before: func() {
			code, err := totp.GenerateCode(names["secret"], time.Now())
			if err != nil {
				t.Fatal(err)
			}
			names["code"], since = code, time.Now()
		}},
		{by: p, call: "POST /auth/totp/remove", body: object{"password": password}, want: "428 OTP_REQUIRED"},
		{by: p, call: "POST /auth/totp/remove", body: object{"password": password, "otp_code": "$code"}, want: "200", reads: "active=false", before: fresh},
	})
	email, phone := newcomer()
	since = time.Now()
	names["id"], names["email"], names["phone"] = p.ID, email, phone
	play(t, names, []row{
		{by: p, call: "PATCH /users/$id", body: object{"email": admin.Email, "password": password}, want: "409 EMAIL_ALREADY_EXISTS"},
		{by: p, call: "PATCH /users/" + admin.ID, body: object{"email": "$email", "password": password}, want: "403 FORBIDDEN"},
		{by: p, call: "PATCH /users/$id", body: object{"email": "$email", "phone": "$phone", "password": password}, want: "428 OTP_REQUIRED"},
		{by: p, call: "PATCH /users/$id", body: object{"email": "$email", "phone": "$phone", "password": password, "otp_code": "$code"}, want: "200", reads: "email=$email phone",
			before: func() { p.Phone = phone; fresh() }},
	})
}

func TestContractOfCredits(t *testing.T) {
	p := person(t, 12_34)
	event := []byte(`{"id":"evt_` + run + `","object":"event","type":"customer.created","data":{"object":{}}}`)
	at := fmt.Sprint(time.Now().Unix())
	mac := hmac.New(sha256.New, []byte(secretOf(t, "STRIPE_WEBHOOK_SECRET")))
	mac.Write([]byte(at + "." + string(event)))
	good := http.Header{"Stripe-Signature": {"t=" + at + ",v1=" + hex.EncodeToString(mac.Sum(nil))}}
	names := map[string]string{}
	play(t, names, []row{
		{by: p, call: "GET /api/credits/balance", want: "200", reads: "credit_balance=12.34"},
		{by: p, call: "POST /credits/topup", body: object{"amount": 50}, want: "200", reads: "client_secret amount=50 currency=sgd topup_id"},
		{by: p, call: "POST /credits/topup", body: object{"amount": 5.5}, header: http.Header{"Idempotency-Key": {run}}, want: "200", reads: "topup_id>topup"},
		{by: p, call: "POST /credits/topup", body: object{"amount": 5.5}, header: http.Header{"Idempotency-Key": {run}}, want: "200", reads: "topup_id=$topup"},
		{by: p, call: "GET /credits/topups/$topup", want: "200", reads: "status=pending amount=5.5 currency=sgd created_at:time"},
		{by: p, call: "GET /api/credits/topups/" + uuid.NewString(), want: "404 NOT_FOUND"},
		{by: p, call: "GET /credits/topups/x", want: "400 INVALID_UUID"},
		{by: p, call: "POST /credits/topup", body: object{"amount": 0}, want: "400 VALIDATION_ERROR", reads: "^errors.amount"},
		{by: p, call: "POST /credits/topup", body: object{"amount": "lots"}, want: "400 VALIDATION_ERROR", reads: "^errors.amount"},
		{by: p, call: "GET /credits/transactions?per_page=1", want: "200", reads: "[0].type [0].amount=12.34 [0].balance_after=12.34 [0].created_at:time ^pagination.total=1 ^pagination.per_page=1"},
		{call: "POST /webhooks/stripe", body: event, header: good, want: "200", reads: "received=true"}, // a type that is not handled
		{call: "POST /api/webhooks/stripe", body: event, header: http.Header{"Stripe-Signature": {"t=" + at + ",v1=00"}}, want: "400 VALIDATION_ERROR"},
		{call: "POST /webhooks/stripe", body: event, want: "400 VALIDATION_ERROR"},
	})
}
