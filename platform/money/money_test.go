package money_test

import (
	"encoding/json"
	"errors"
	"math/big"
	"testing"

	"github.com/jackc/pgx/v5/pgtype"

	"ticketremaster/platform/money"
)

func TestParse(t *testing.T) {
	for in, want := range map[string]money.Cents{
		"0": 0, "12": 1200, "12.5": 1250, "12.50": 1250, "0.01": 1, "-0.01": -1, "-12.5": -1250, "007": 700, "99999999.99": money.Max,
	} {
		if got, err := money.Parse(in); err != nil || got != want {
			t.Errorf("%q is %d, %v; want %d", in, got, err, want)
		}
	}
	for in, want := range map[string]error{
		"": money.ErrMalformed, "-": money.ErrMalformed, ".5": money.ErrMalformed, "5.": money.ErrMalformed, "1.234": money.ErrMalformed,
		"1e3": money.ErrMalformed, "+1": money.ErrMalformed, "0x1": money.ErrMalformed, "NaN": money.ErrMalformed, "Infinity": money.ErrMalformed,
		"1,5": money.ErrMalformed, " 1": money.ErrMalformed, `"1"`: money.ErrMalformed, "--1": money.ErrMalformed, "١": money.ErrMalformed,
		"100000000": money.ErrRange, "-100000000": money.ErrRange, "99999999999999999999": money.ErrRange,
	} {
		if got, err := money.Parse(in); !errors.Is(err, want) {
			t.Errorf("%q is %d, %v; want %v", in, got, err, want)
		}
	}
}

func TestJSONIsANumberWithoutNeedlessDecimals(t *testing.T) {
	for c, want := range map[money.Cents]string{0: "0", 1: "0.01", 10: "0.1", 100: "1", 1250: "12.5", 1205: "12.05", 10000: "100", -1250: "-12.5", -5: "-0.05"} {
		if got, err := json.Marshal(c); err != nil || string(got) != want {
			t.Errorf("%d is %s, %v; want %s", int64(c), got, err, want)
		}
	}
	var c money.Cents
	for _, bad := range []string{`"1"`, `1.005`, `1e2`, `true`, `[]`} {
		if err := json.Unmarshal([]byte(bad), &c); err == nil {
			t.Errorf("%s was read as %d", bad, c)
		}
	}
}

func TestNumericIsExact(t *testing.T) {
	for _, c := range []money.Cents{0, 1, -1, 1250, money.Max, -money.Max} {
		n, err := c.NumericValue()
		if err != nil {
			t.Fatal(err)
		}
		var back money.Cents
		if err := back.ScanNumeric(n); err != nil || back != c {
			t.Errorf("%d came back as %d, %v", c, back, err)
		}
	}
	var c money.Cents
	for _, bad := range []pgtype.Numeric{{}, {NaN: true, Valid: true}, {InfinityModifier: pgtype.Infinity, Valid: true}, numeric(t, "1.005"), {Int: big.NewInt(1), Exp: 30, Valid: true}} {
		if err := c.ScanNumeric(bad); err == nil {
			t.Errorf("%+v was read as %d", bad, c)
		}
	}
	for text, want := range map[string]money.Cents{"12.5": 1250, "1200": 120000, "1.5000": 150} {
		if err := c.ScanNumeric(numeric(t, text)); err != nil || c != want {
			t.Errorf("%s is %d, %v", text, c, err)
		}
	}
}

func numeric(t *testing.T, text string) (n pgtype.Numeric) {
	t.Helper()
	if err := n.Scan(text); err != nil {
		t.Fatal(err)
	}
	return n
}

// String and MarshalJSON return the amount that Parse read.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"0", "12.5", "-0.01", "1e9", "99999999.99", "0.1", "", "-"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := money.Parse(s)
		if err != nil {
			return
		}
		if c > money.Max || c < -money.Max {
			t.Fatalf("%q is out of range: %d", s, c)
		}
		js, _ := c.MarshalJSON()
		for _, text := range []string{c.String(), string(js)} {
			if again, err := money.Parse(text); err != nil || again != c {
				t.Errorf("%q gives %d, which prints %q and reads %d, %v", s, c, text, again, err)
			}
		}
	})
}
