package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"ticketremaster/stack/client"
)

type object = map[string]any

// row is one call of the client contract and what it answers.
type row struct {
	by   *client.Person // nil: nobody
	call string         // "POST /pay"; $names are replaced, in the body too
	body any
	want string // "409 SEAT_UNAVAILABLE", "200"
	// reads are the fields that the client uses, each "path", "path:kind" or "path=value", of data, or with ^ of the
	// whole answer. A list's first entry is path [0]. "path>name" keeps the value.
	reads  string
	before func()      // what has to happen first
	header http.Header // beside the usual
	// patient retries while no code is pending: a code that is sent in the background can reach the phone a moment before
	// it is valid.
	patient bool
}

// play makes the calls in order, each as a subtest with its name. names has the values of $names.
func play(t *testing.T, names map[string]string, rows []row) {
	for _, r := range rows {
		t.Run(strings.ReplaceAll(r.call, "/", "_")+" "+r.want, func(t *testing.T) {
			if r.before != nil {
				r.before()
			}
			method, path, _ := strings.Cut(r.call, " ")
			c := client.Call{Method: method, Path: filled(path, names), Header: r.header}
			if r.by != nil {
				c.Token = r.by.Access
			}
			switch b := r.body.(type) {
			case nil:
			case []byte:
				c.Body = b
			default:
				raw, err := json.Marshal(b)
				if err != nil {
					t.Fatal(err)
				}
				c.Body = []byte(filled(string(raw), names))
			}
			a, err := app.Do(t.Context(), c)
			if r.patient {
				eventually(t, "the code is in force", func() bool {
					if a.Status == http.StatusBadRequest {
						a, err = app.Do(t.Context(), c)
					}
					return err != nil || a.Status != http.StatusBadRequest
				})
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.TrimSpace(fmt.Sprint(a.Status, " ", a.Code)); got != r.want {
				t.Fatalf("%s, want %s: %s", got, r.want, a.Raw)
			}
			if a.Status >= 400 && (a.Success || a.Message == "") {
				t.Errorf("not a refusal in our envelope: %s", a.Raw)
			}
			for _, f := range strings.Fields(r.reads) {
				if err := readField(a, f, names); err != nil {
					t.Errorf("%s: %s", err, a.Raw)
				}
			}
		})
	}
}

var nameForm = regexp.MustCompile(`\$[a-z]+`)

func filled(s string, names map[string]string) string {
	return nameForm.ReplaceAllStringFunc(s, func(n string) string {
		if v, ok := names[n[1:]]; ok {
			return v
		}
		return n
	})
}

var fieldForm = regexp.MustCompile(`^(\^?)([^:=>]+)(?::(\w+))?(?:=([^>]*))?(?:>(\w+))?$`)

func readField(a client.Answer, form string, names map[string]string) error {
	m := fieldForm.FindStringSubmatch(form)
	raw := []byte(a.Data)
	if m[1] != "" {
		raw = a.Raw
	}
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return fmt.Errorf("%s: %w", form, err)
	}
	for _, key := range strings.Split(m[2], ".") {
		switch x := v.(type) {
		case map[string]any:
			var ok bool
			if v, ok = x[key]; !ok {
				return fmt.Errorf("there is no %s", form)
			}
		case []any:
			if len(x) == 0 || key != "[0]" {
				return fmt.Errorf("there is no %s", form)
			}
			v = x[0]
		default:
			return fmt.Errorf("there is no %s", form)
		}
	}
	kind := map[bool]string{true: "null"}[v == nil]
	switch x := v.(type) {
	case string:
		kind = "string"
		if _, err := time.Parse("2006-01-02T15:04:05.999999999Z", x); err == nil {
			kind = "time"
		}
	case float64:
		kind = "number"
	case bool:
		kind = "bool"
	case []any:
		kind = "list"
	case map[string]any:
		kind = "object"
	}
	want := m[3]
	if want == "" && m[4] == "" {
		want = "string"
	}
	switch {
	case want != "" && want != kind && (want != "string" || kind != "time"):
		return fmt.Errorf("%s is a %s", form, kind)
	case m[4] != "" && fmt.Sprint(v) != filled(m[4], names):
		return fmt.Errorf("%s is %v", form, v)
	}
	if m[5] != "" {
		names[m[5]] = fmt.Sprint(v)
	}
	return nil
}

// secretOf is one of the running system's secrets: our own stack's, or the environment's.
func secretOf(t *testing.T, name string) string {
	t.Helper()
	s := os.Getenv(name)
	if own != nil {
		s = own.Secret(name)
	}
	if s == "" {
		t.Fatal("set " + name + " to the running system's: `make env` prints it")
	}
	return s
}

// claimsOf are an access token's, for alterations.
func claimsOf(t *testing.T, access string) jwt.MapClaims {
	t.Helper()
	claims := jwt.MapClaims{}
	if _, _, err := jwt.NewParser().ParseUnverified(access, claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

// signed is an access token like p's with some claims changed.
func signed(t *testing.T, p *client.Person, change jwt.MapClaims) string {
	t.Helper()
	claims := claimsOf(t, p.Access)
	for k, v := range change {
		claims[k] = v
	}
	s, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(secretOf(t, "JWT_SECRET")))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// expired is p with an expired token.
func expired(t *testing.T, p *client.Person) *client.Person {
	t.Helper()
	return &client.Person{App: app, ID: p.ID, Access: signed(t, p, jwt.MapClaims{"exp": time.Now().Add(-time.Minute).Unix()})}
}

// unknown is someone with a valid token and no account.
func unknown(t *testing.T, p *client.Person) *client.Person {
	t.Helper()
	id := uuid.NewString()
	return &client.Person{App: app, ID: id, Access: signed(t, p, jwt.MapClaims{"sub": id})}
}
