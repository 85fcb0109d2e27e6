package main

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"
)

func (w *world) login(email, password string) answer {
	return w.call("POST", "/auth/login", "", obj{"email": email, "password": password})
}

func (w *world) register(email, phone, password string) answer {
	return w.call("POST", "/auth/register", "", obj{"email": email, "phone": phone, "password": password})
}

// eventually waits until done, for at most d.
func eventually(t testing.TB, d time.Duration, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			t.Fatalf("not within %v: %s", d, what)
		case <-tick.C:
		}
	}
}

func TestRegistration(t *testing.T) {
	w := startWorld(t)
	const email, phone, password = "Ada.Lovelace@Example.com", "+65 9123-4567", "correct horse"
	a := w.register(email, phone, password).want(t, 201, "")
	id := a.data()["user_id"].(string)
	if a.body["user_id"] != id || a.data()["status"] != "PENDING_VERIFICATION" {
		t.Fatalf("keys at top level too: %s", a.raw)
	}
	code := w.phones.code("+6591234567")
	if a := w.login("ada.lovelace@example.com", password).want(t, 403, "UNVERIFIED_ACCOUNT"); a.body["details"].(obj)["user_id"] != id {
		t.Fatal(a.raw)
	}
	if sent, _ := w.phones.counts(); sent != 1 {
		t.Fatalf("a code was pending, yet %d were sent", sent)
	}
	verify := func(id, code string) answer {
		return w.call("POST", "/auth/verify-registration", "", obj{"user_id": id, "otp_code": code})
	}
	verify(newID(), code).want(t, 404, "NOT_FOUND")
	verify(id, w.phones.wrong("+6591234567")).want(t, 400, "BAD_REQUEST")
	a = verify(id, code).want(t, 200, "")
	for _, key := range []string{"access_token", "refresh_token", "user", "token_type", "expires_in"} {
		if a.body[key] == nil || a.data()[key] == nil {
			t.Fatalf("%s is missing at top or under data: %s", key, a.raw)
		}
	}
	u := a.data()["user"].(obj)
	if u["email"] != "ada.lovelace@example.com" || u["phone"] != "+6591234567" || u["credit_balance"] != 0.0 || u["is_admin"] != false ||
		u["is_flagged"] != false || u["flagged"] != false || u["is_verified"] != true || u["role"] != "customer" || a.data()["expires_in"] != 900.0 {
		t.Fatal(a.raw)
	}
	w.call("POST", "/auth/resend-otp", "", obj{"user_id": id}).want(t, 400, "BAD_REQUEST")
	w.register("ADA.lovelace@example.COM", "+6590000000", "another one").want(t, 409, "EMAIL_ALREADY_EXISTS")
	w.login(" ADA.LOVELACE@example.com ", password).want(t, 200, "")
	w.login(email, "wrong horse").want(t, 401, "UNAUTHORIZED")
	w.login("nobody@example.com", password).want(t, 401, "UNAUTHORIZED")
}

func TestRegisteringAgain(t *testing.T) {
	w := startWorld(t)
	a := w.register("eve@example.com", "+6591111111", "evil horse").want(t, 201, "")
	id := a.data()["user_id"].(string)
	if again := w.register("eve@example.com", "+6591111111", "evil horse").want(t, 201, ""); again.data()["user_id"] != id {
		t.Fatal("the same registration is the same account")
	}
	w.register("eve@example.com", "+6592222222", "good horse").want(t, 409, "EMAIL_ALREADY_EXISTS")
	_, err := w.db.Exec(t.Context(), `UPDATE users SET created_at = now() - interval '16 minutes' WHERE user_id = $1`, id)
	must(t, err)
	b := w.register("eve@example.com", "+6592222222", "good horse").want(t, 201, "")
	w.call("POST", "/auth/verify-registration", "", obj{"user_id": id, "otp_code": w.phones.code("+6591111111")}).want(t, 404, "NOT_FOUND")
	w.call("POST", "/auth/resend-otp", "", obj{"user_id": b.data()["user_id"]}).want(t, 200, "")
	w.call("POST", "/auth/verify-registration", "", obj{"user_id": b.data()["user_id"], "otp_code": w.phones.code("+6592222222")}).want(t, 200, "")
}

func TestTwentyRegistrationsAtOnce(t *testing.T) {
	w := startWorld(t)
	var mu sync.Mutex
	created := map[string]bool{}
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			a := w.register("one@example.com", "+6591234567", "password "+string(rune('a'+i)))
			mu.Lock()
			defer mu.Unlock()
			if a.status == 201 {
				created[a.data()["user_id"].(string)] = true
			} else if a.code() != "EMAIL_ALREADY_EXISTS" {
				t.Errorf("%s", a.raw)
			}
		})
	}
	wg.Wait()
	if len(created) != 1 {
		t.Fatalf("%d accounts of one address", len(created))
	}
}

func TestRegistrationRefusals(t *testing.T) {
	w := startWorld(t)
	ok := obj{"email": "a@example.com", "phone": "+6591234567", "password": "correct horse"}
	for field, values := range map[string][]any{
		"email":    {"", "a", "a@b", "a b@example.com", "ä@example.com", strings.Repeat("a", 65) + "@example.com", "a@" + strings.Repeat("b.", 130) + "com", 5, nil, "a\x00@example.com"},
		"phone":    {"", "91234567", "+0123456789", "+65912", "+6591234567890123", "abc", true, nil},
		"password": {"", "1234567", strings.Repeat("x", 73), strings.Repeat("é", 40), "nul \x00 inside", []int{1}, nil},
	} {
		for _, v := range values {
			body := obj{}
			for k := range ok {
				body[k] = ok[k]
			}
			body[field] = v
			a := w.call("POST", "/auth/register", "", body).want(t, 400, "VALIDATION_ERROR")
			if errs, _ := a.body["errors"].(obj); errs[field] == nil {
				t.Errorf("%s = %v: the field is not named: %s", field, v, a.raw)
			}
		}
	}
	if a := w.call("POST", "/auth/register", "", obj{}).want(t, 400, "VALIDATION_ERROR"); len(a.body["errors"].(obj)) != 3 {
		t.Fatalf("all that is wrong at once: %s", a.raw)
	}
	w.register("a@example.com", "+6591234567", strings.Repeat("x", 72)).want(t, 201, "")
	var n int
	must(t, w.db.QueryRow(t.Context(), `SELECT count(*) FROM users`).Scan(&n))
	if n != 1 {
		t.Fatalf("%d users", n)
	}
	_, err := w.db.Exec(t.Context(), `UPDATE users SET is_verified = true`)
	must(t, err)
	w.login("a@example.com", strings.Repeat("x", 72)).want(t, 200, "")
	w.login("a@example.com", strings.Repeat("x", 73)).want(t, 401, "UNAUTHORIZED") // bcrypt alone would let it in
}

func TestStanding(t *testing.T) {
	w := startWorld(t)
	p := w.join()
	patch := func(body obj) answer { return w.internal("PATCH", "/internal/users/"+p.id, body) }
	patch(obj{"role": "king"}).want(t, 400, "VALIDATION_ERROR")
	patch(obj{"is_flagged": "yes"}).want(t, 400, "VALIDATION_ERROR")
	w.internal("PATCH", "/internal/users/"+newID(), obj{"role": "staff"}).want(t, 404, "USER_NOT_FOUND")
	patch(obj{"role": "customer", "is_flagged": false}).want(t, 200, "") // nothing new: nobody is logged out
	w.call("GET", "/credits/balance", p.access, nil).want(t, 200, "")
	if a := patch(obj{"role": "admin"}).want(t, 200, ""); a.data()["role"] != "admin" || a.data()["is_admin"] != true {
		t.Fatal(a.raw)
	}
	w.call("GET", "/credits/balance", p.access, nil).want(t, 401, "UNAUTHORIZED")
	w.call("POST", "/auth/refresh", p.refresh, nil).want(t, 401, "UNAUTHORIZED")
	admin := w.login(p.email, p.password).want(t, 200, "").data()["access_token"].(string)

	q := w.join()
	w.call("GET", "/users/"+q.id, admin, nil).want(t, 200, "")
	w.call("GET", "/users/"+q.id, q.access, nil).want(t, 200, "")
	w.call("GET", "/users/"+p.id, q.access, nil).want(t, 403, "FORBIDDEN")
	w.call("PATCH", "/users/"+q.id, admin, obj{"email": "x@example.com", "password": "x"}).want(t, 403, "FORBIDDEN")
	if a := patch(obj{"is_flagged": true}).want(t, 200, ""); a.data()["flagged"] != true {
		t.Fatal(a.raw)
	}
	w.call("GET", "/credits/balance", admin, nil).want(t, 401, "UNAUTHORIZED")

	list := w.internal("GET", "/internal/users?per_page=1&page=2", nil).want(t, 200, "")
	if len(list.body["data"].([]any)) != 1 || list.body["pagination"].(obj)["total"] != 2.0 {
		t.Fatal(list.raw)
	}
	found := w.internal("POST", "/users/lookup", obj{"ids": []string{q.id, newID()}, "emails": []string{strings.ToUpper(p.email), "no address"}}).want(t, 200, "")
	if len(found.body["data"].([]any)) != 2 {
		t.Fatal(found.raw)
	}
	w.internal("POST", "/users/lookup", obj{"ids": make([]string, 201)}).want(t, 400, "VALIDATION_ERROR")
}

func TestContactChange(t *testing.T) {
	w := startWorld(t)
	p, q := w.join(), w.join()
	patch := func(body obj) answer { return w.call("PATCH", "/users/"+p.id, p.access, body) }
	const fresh = "+6598765432"
	patch(obj{"phone": fresh, "password": "wrong horse"}).want(t, 403, "FORBIDDEN")
	patch(obj{"phone": fresh}).want(t, 400, "VALIDATION_ERROR")
	patch(obj{"email": q.email, "password": p.password}).want(t, 409, "EMAIL_ALREADY_EXISTS")
	patch(obj{"phone": fresh, "password": p.password}).want(t, 428, "OTP_REQUIRED")
	if w.phones.code(fresh) == "" || w.phones.code(p.phone) != "" {
		t.Fatal("the code goes to the new phone")
	}
	patch(obj{"phone": "+6591010101", "password": p.password, "otp_code": w.phones.code(fresh)}).want(t, 400, "VALIDATION_ERROR")
	patch(obj{"phone": fresh, "password": p.password}).want(t, 428, "OTP_REQUIRED")
	if a := patch(obj{"phone": fresh, "email": "New@example.com", "password": p.password, "otp_code": w.phones.code(fresh)}).want(t, 200, ""); a.data()["phone"] != fresh || a.data()["email"] != "new@example.com" {
		t.Fatal(a.raw)
	}
	w.login("new@example.com", p.password).want(t, 200, "")
}

func TestCreateAdmin(t *testing.T) {
	w := startWorld(t)
	svc := w.assembled()
	t.Setenv("ADMIN_PASSWORD", "admin horse")
	for range 2 {
		must(t, svc.createAdmin(t.Context(), "Root@example.com", "+6590000001"))
	}
	if a := w.login("root@example.com", "admin horse").want(t, 200, ""); a.data()["user"].(obj)["is_admin"] != true {
		t.Fatal(a.raw)
	}
	p := w.join()
	must(t, svc.createAdmin(t.Context(), p.email, p.phone))
	if a := w.login(p.email, p.password).want(t, 200, ""); a.data()["user"].(obj)["role"] != "admin" {
		t.Fatal("an account that exists keeps its password and becomes an admin")
	}
	id := newID()
	for range 2 {
		must(t, svc.grant(t.Context(), p.email, "12.50", id))
	}
	w.has(person{access: w.login(p.email, p.password).data()["access_token"].(string)}, 12_50)
	t.Setenv("ADMIN_PASSWORD", "short")
	if svc.createAdmin(t.Context(), "x@example.com", "+6590000001") == nil {
		t.Fatal("a short password was taken")
	}
}
