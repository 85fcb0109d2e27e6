package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/pquerna/otp/totp"
)

func TestAuthenticatorApp(t *testing.T) {
	w := startWorld(t)
	p := w.join()
	post := func(path string, body obj) answer { return w.call("POST", "/auth/totp/"+path, p.access, body) }
	post("activate", obj{"otp_code": "123456"}).want(t, 400, "VALIDATION_ERROR")
	post("enroll", obj{"password": "wrong horse"}).want(t, 403, "FORBIDDEN")
	post("enroll", obj{"password": p.password}).want(t, 428, "OTP_REQUIRED")
	post("enroll", obj{"password": p.password, "otp_code": w.phones.wrong(p.phone)}).want(t, 401, "OTP_INVALID")
	a := post("enroll", obj{"password": p.password, "otp_code": w.phones.code(p.phone)}).want(t, 200, "")
	secret := a.data()["secret"].(string)
	if !strings.HasPrefix(a.data()["otpauth_url"].(string), "otpauth://totp/TicketRemaster") {
		t.Fatal(a.raw)
	}
	var kept string
	must(t, w.db.QueryRow(t.Context(), `SELECT two_fa_pending FROM users WHERE user_id = $1`, p.id).Scan(&kept))
	if strings.Contains(kept, secret) {
		t.Fatal("the secret is kept in clear")
	}
	if a := w.send(p, "purchase", newID()).want(t, 200, ""); a.data()["method"] != "sms" {
		t.Fatal("not in force before its first code")
	}
	now := func() string {
		code, err := totp.GenerateCode(secret, time.Now())
		must(t, err)
		return code
	}
	post("activate", obj{"otp_code": "000000"}).want(t, 401, "OTP_INVALID")
	first := now()
	post("activate", obj{"otp_code": first}).want(t, 200, "")

	order := newID()
	sent, _ := w.phones.counts()
	if a := w.send(p, "purchase", order).want(t, 200, ""); a.data()["method"] != "totp" {
		t.Fatal(a.raw)
	}
	if after, _ := w.phones.counts(); after != sent {
		t.Fatal("an SMS was sent")
	}
	w.verify(p, "purchase", order, first).want(t, 401, "OTP_INVALID") // its step is used
	next, err := totp.GenerateCode(secret, time.Now().Add(30*time.Second))
	must(t, err)
	w.verify(p, "purchase", order, next).want(t, 200, "")
	w.verify(p, "purchase", order, next).want(t, 200, "") // the repeat
	again := newID()
	w.send(p, "purchase", again).want(t, 200, "")
	w.verify(p, "purchase", again, next).want(t, 401, "OTP_INVALID")

	post("remove", obj{"password": p.password}).want(t, 428, "OTP_REQUIRED")
	post("remove", obj{"password": p.password, "otp_code": w.phones.code(p.phone)}).want(t, 200, "")
	if a := w.send(p, "purchase", newID()).want(t, 200, ""); a.data()["method"] != "sms" {
		t.Fatal(a.raw)
	}
}

func FuzzVault(f *testing.F) {
	f.Add("", "123456")
	f.Add("AAAA", "")
	f.Fuzz(func(t *testing.T, sealed, code string) {
		if _, ok, _ := vault(t).Step(uuid.Nil, sealed, code, time.Unix(0, 0)); ok {
			t.Fatal("a secret that nobody sealed was opened")
		}
	})
}
