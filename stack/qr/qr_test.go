package qr

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// docs/qr-format.md is enough to make and to read a payload: this is its test vector.
func TestTheVectorOfTheFormatsPage(t *testing.T) {
	key, err := ParseKey(strings.Repeat("07", 32))
	if err != nil {
		t.Fatal(err)
	}
	nonce, _ := hex.DecodeString("000102030405060708090a0b")
	ticket := Ticket{
		Seat: ID(uuid.MustParse("0193a5c0-0000-7000-8000-000000000001")), Event: ID(uuid.MustParse("0193a5c0-0000-7000-8000-000000000002")),
		Hall: "HALL-1", Time: 1795000000, Version: 1,
	}
	got := key.seal(nonce, ticket)
	const want = "MVeg.AAECAwQFBgcICQoLY6OaUicrmBM43pLdoxkPu6J9989ZIzZwV48i66z7T2D8VWSjzYBdirWkgtUdtPRytXEdOJWUpdcWbZiuyOIh7QUOT_C3Yjq8CkGFhgC4EreaYvvudg0Lwc_7QicpiBAaPQg2XPd4jKmMFT25RQ"
	if got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if read, err := key.Open(want); err != nil || read != ticket {
		t.Errorf("%+v, %v", read, err)
	}
	for _, bad := range []string{"", "MVeg.", "MVeg.AAEC", want[:len(want)-2], "MVeh" + want[4:]} {
		if _, err := key.Open(bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}
