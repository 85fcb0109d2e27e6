// Package money holds amounts exactly: integer cents in Go, NUMERIC(10,2) in SQL, a JSON number with at most two
// decimals on the wire. No amount is ever a float.
package money

import (
	"errors"
	"fmt"
	"math/big"
	"strconv"

	"github.com/jackc/pgx/v5/pgtype"
)

// Cents is an amount of credits in hundredths. It may be negative in a ledger.
type Cents int64

// Max is the largest amount that NUMERIC(10,2) holds.
const Max Cents = 99_999_999_99

// What Parse refuses.
var (
	ErrMalformed = errors.New("must be a number with at most two decimals")
	ErrRange     = errors.New("is out of range")
)

// Parse reads a plain decimal such as 12, 12.5 or -12.50. Exponents, signs but a leading minus, more than
// two decimals and anything beyond ±Max are refused.
func Parse(s string) (Cents, error) {
	digits, negative := s, false
	if digits != "" && digits[0] == '-' {
		digits, negative = digits[1:], true
	}
	whole, fraction, dot := digits, "", false
	for i := range digits {
		if digits[i] == '.' {
			whole, fraction, dot = digits[:i], digits[i+1:], true
			break
		}
	}
	if whole == "" || dot && fraction == "" || len(fraction) > 2 || !allDigits(whole) || !allDigits(fraction) {
		return 0, ErrMalformed
	}
	for len(fraction) < 2 {
		fraction += "0"
	}
	n, err := strconv.ParseInt(whole+fraction, 10, 64)
	if err != nil || Cents(n) > Max {
		return 0, ErrRange
	}
	if negative {
		n = -n
	}
	return Cents(n), nil
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// String prints the amount with two decimals: 12.50.
func (c Cents) String() string {
	sign, n := "", int64(c)
	if n < 0 {
		sign, n = "-", -n
	}
	return fmt.Sprintf("%s%d.%02d", sign, n/100, n%100)
}

// MarshalJSON writes a number with no needless decimals: 12, 12.5, 12.05.
func (c Cents) MarshalJSON() ([]byte, error) {
	s := c.String()
	for s[len(s)-1] == '0' && s[len(s)-2] != '.' {
		s = s[:len(s)-1]
	}
	if len(s) > 2 && s[len(s)-2:] == ".0" {
		s = s[:len(s)-2]
	}
	return []byte(s), nil
}

// UnmarshalJSON reads a JSON number; a string, an exponent or a third decimal is refused.
func (c *Cents) UnmarshalJSON(b []byte) error {
	v, err := Parse(string(b))
	if err != nil {
		return err
	}
	*c = v
	return nil
}

// ScanNumeric reads a NUMERIC column (pgx); more than two decimals are refused.
func (c *Cents) ScanNumeric(n pgtype.Numeric) error {
	if !n.Valid || n.NaN || n.InfinityModifier != pgtype.Finite {
		return fmt.Errorf("money: not a finite number: %+v", n)
	}
	v := new(big.Int).Set(n.Int)
	for e := n.Exp + 2; e > 0; e-- {
		v.Mul(v, big.NewInt(10))
	}
	for e := n.Exp + 2; e < 0; e++ {
		r := new(big.Int)
		if v.QuoRem(v, big.NewInt(10), r); r.Sign() != 0 {
			return ErrMalformed
		}
	}
	if !v.IsInt64() {
		return ErrRange
	}
	*c = Cents(v.Int64())
	return nil
}

// NumericValue writes a NUMERIC parameter (pgx).
func (c Cents) NumericValue() (pgtype.Numeric, error) {
	return pgtype.Numeric{Int: big.NewInt(int64(c)), Exp: -2, Valid: true}, nil
}
