package qr

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

var scannedAt = time.Unix(1_795_000_010, 0)

// The vectors of docs/qr-format.md: a change here breaks every phone and gate in use.
const (
	vectorPrefix = "T1.MVeg.AZOlwAAAcACAAAAAAAAAAQ.AZOlwAAAcACAAAAAAAAAAg.1."
	vectorSecret = "649339d45a62b8ba2b23b79e3220230452b2c3f1"
)

var vectorCodes = map[int64]string{1_795_000_010: "06393624", 1_795_000_020: "90673226", 1_795_000_050: "24213745"}

func TestOfflineCodesAreAsDocumented(t *testing.T) {
	x := example()
	c := codec(t, key(7), nil)
	ticket := c.Offline(x.SeatID, x.EventID, 1)
	if ticket.Prefix != vectorPrefix || hex.EncodeToString(ticket.Secret) != vectorSecret {
		t.Errorf("%s %x", ticket.Prefix, ticket.Secret)
	}
	for at, want := range vectorCodes {
		if got := ticket.Code(time.Unix(at, 0)); got != vectorPrefix+want {
			t.Errorf("at %d: %s", at, got)
		}
	}
	// RFC 6238, appendix B.
	for at, want := range map[int64]string{59: "46119246", 1111111109: "68084774", 20000000000: "77737706"} {
		if got := totp([]byte("12345678901234567890123456789012"), at/30); got != want {
			t.Errorf("RFC 6238 at %d: %s", at, got)
		}
	}
}

func TestOfflineCodesLive(t *testing.T) {
	x := example()
	c := codec(t, key(7), nil)
	made := time.Unix(1_795_000_020, 0) // a period's first second
	code := c.Offline(x.SeatID, x.EventID, 4).Code(made)
	for _, s := range []struct {
		at     time.Duration
		issued time.Duration // -1: unreadable
	}{{0, 0}, {29 * time.Second, 0}, {59 * time.Second, 0}, {50 * time.Minute, 0}, {-30 * time.Second, -30 * time.Second}, {-31 * time.Second, -1}, {62 * time.Minute, -1}} {
		got, err := c.Open(code, made.Add(s.at))
		switch {
		case s.issued == -1 && errors.Is(err, ErrUnreadable):
		case err != nil || s.issued == -1:
			t.Errorf("after %s: %+v, %v", s.at, got, err)
		case !got.IssuedAt.Equal(made.Add(s.issued)) || got.OwnershipVersion != 4 || got.SeatID != x.SeatID || got.EventID != x.EventID || got.HallID != "":
			t.Errorf("after %s: %+v", s.at, got)
		}
	}
}

// After a key change the former key still verifies phones' codes. Another key never does, nor does a code of another
// seat, event or ownership.
func TestOfflineCodesAreBound(t *testing.T) {
	x := example()
	former, previous := codec(t, key(7), nil), key(7)
	ticket := former.Offline(x.SeatID, x.EventID, 1)
	code := ticket.Code(scannedAt)
	if _, err := codec(t, key(8), &previous).Open(code, scannedAt); err != nil {
		t.Errorf("after a change of keys: %v", err)
	}
	digits := code[len(code)-8:]
	for name, bad := range map[string]string{
		"another key": codec(t, key(9), nil).Offline(x.SeatID, x.EventID, 1).Code(scannedAt), "another seat": former.Offline(uuid.New(), x.EventID, 1).Prefix + digits,
		"another event": former.Offline(x.SeatID, uuid.New(), 1).Prefix + digits, "the next ownership": former.Offline(x.SeatID, x.EventID, 2).Prefix + digits,
		"a digit less": code[:len(code)-1], "a digit more": code + "0", "no version": strings.Replace(code, ".1.", "..", 1), "version 0": strings.Replace(code, ".1.", ".0.", 1),
		"version 01": strings.Replace(code, ".1.", ".01.", 1), "seat cut": strings.Replace(code, "AAAAQ.", "AAAA.", 1), "prefix only": "T1.", "words": "T1.let.me.in.now.please",
		"long": "T1." + strings.Repeat("A", 300),
	} {
		if _, err := former.Open(bad, scannedAt); !errors.Is(err, ErrUnreadable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A device verifies codes with only the event's keys from the manifest.
func TestADeviceReadsOfflineCodes(t *testing.T) {
	x := example()
	c := codec(t, key(7), nil)
	keys := c.EventKeys(x.EventID)
	code := c.Offline(x.SeatID, x.EventID, 2).Code(scannedAt)
	got, err := ReadOffline(code, scannedAt, func(id string, event uuid.UUID) (EventKey, bool) {
		k, ok := keys[id]
		return k, ok && event == x.EventID
	})
	if err != nil || got.OwnershipVersion != 2 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := ReadOffline(code, scannedAt, func(string, uuid.UUID) (EventKey, bool) { return nil, false }); !errors.Is(err, ErrUnreadable) {
		t.Errorf("without a key: %v", err)
	}
}

func TestSignatures(t *testing.T) {
	previous := key(7)
	before, after := codec(t, key(7), nil), codec(t, key(8), &previous)
	id, signature := before.Sign([]byte("list"))
	if !ed25519.Verify(after.PublicKeys()[id], []byte("list"), signature) || ed25519.Verify(after.PublicKeys()[id], []byte("lost"), signature) {
		t.Error("the former key's signature")
	}
	if newID, _ := after.Sign(nil); newID == id || len(before.PublicKeys()) != 1 {
		t.Error("the current key signs")
	}
}
