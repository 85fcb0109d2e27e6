package user_test

import (
	"regexp"
	"strings"
	"testing"

	user "ticketremaster/user-service"
)

func FuzzParseEmail(f *testing.F) {
	for _, s := range []string{"ada@example.com", " ADA@Example.COM ", "a@b", "@", "a@b.c\x00", "ä@b.c", "a@-b.c", "a.b+c@d.e.f", "K@example.com"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := user.ParseEmail(s)
		if err != nil {
			return
		}
		if again, err := user.ParseEmail(got); err != nil || again != got || got != strings.ToLower(got) || len(got) > 255 || !regexp.MustCompile(`^[ -~]+@[ -~]+$`).MatchString(got) {
			t.Fatalf("%q gives %q", s, got)
		}
	})
}

func FuzzParsePhone(f *testing.F) {
	for _, s := range []string{"+6591234567", "+65 9123-4567", "(+65)91234567", "91234567", "+0", "", "+6591234567\n", "+٦٥٩١٢٣٤٥٦٧"} {
		f.Add(s)
	}
	form := regexp.MustCompile(`\A\+[1-9][0-9]{7,14}\z`)
	f.Fuzz(func(t *testing.T, s string) {
		if got, err := user.ParsePhone(s); err == nil && !form.MatchString(got) {
			t.Fatalf("%q gives %q", s, got)
		}
	})
}

func FuzzCheckCode(f *testing.F) {
	for _, s := range []string{"123456", "", "12345٦", "123456\n", "1234567890"} {
		f.Add(s)
	}
	form := regexp.MustCompile(`\A[0-9]{4,8}\z`)
	f.Fuzz(func(t *testing.T, s string) {
		if (user.CheckCode(s) == nil) != form.MatchString(s) {
			t.Fatalf("%q", s)
		}
	})
}

func TestPasswords(t *testing.T) {
	for s, ok := range map[string]bool{
		"12345678": true, "1234567": false, "": false, strings.Repeat("x", 72): true, strings.Repeat("x", 73): false,
		strings.Repeat("é", 36): true, strings.Repeat("é", 37): false, "éééééééé": true, "nul\x00 inside": false, "\xff\xff\xff\xff\xff\xff\xff\xff": false,
	} {
		if err := user.CheckPassword("password", s); (err == nil) != ok {
			t.Errorf("%q: %v", s, err)
		}
	}
}
