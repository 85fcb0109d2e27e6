package qr

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"image/png"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"

	"ticketremaster/platform/config"
)

func key(fill byte) (k config.Key32) {
	copy(k[:], bytes.Repeat([]byte{fill}, len(k)))
	return k
}

func codec(t testing.TB, current config.Key32, previous *config.Key32) *Codec {
	t.Helper()
	c, err := NewCodec(current, previous)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func example() Ticket {
	return Ticket{
		SeatID:  uuid.MustParse("0193a5c0-0000-7000-8000-000000000001"),
		EventID: uuid.MustParse("0193a5c0-0000-7000-8000-000000000002"),
		HallID:  "HALL-1", IssuedAt: time.Unix(1_795_000_000, 0).UTC(), OwnershipVersion: 1,
	}
}

// The vector of docs/qr-format.md: a change here breaks every gatekeeper app in use.
const (
	vectorNonce   = "000102030405060708090a0b"
	vectorPlain   = `{"s":"AZOlwAAAcACAAAAAAAAAAQ","e":"AZOlwAAAcACAAAAAAAAAAg","h":"HALL-1","t":1795000000,"o":1}`
	vectorPayload = "MVeg.AAECAwQFBgcICQoLY6OaUicrmBM43pLdoxkPu6J9989ZIzZwV48i66z7T2D8VWSjzYBdirWkgtUdtPRytXEdOJWUpdcWbZiuyOIh7QUOT_C3Yjq8CkGFhgC4EreaYvvudg0Lwc_7QicpiBAaPQg2XPd4jKmMFT25RQ"
)

func TestFormatIsAsDocumented(t *testing.T) {
	nonce, _ := hex.DecodeString(vectorNonce)
	c := codec(t, key(7), nil)
	plain, err := encode(example())
	if err != nil || string(plain) != vectorPlain {
		t.Errorf("plain %s, %v", plain, err)
	}
	payload, err := c.seal(example(), nonce)
	if err != nil || payload != vectorPayload {
		t.Errorf("payload %s, %v", payload, err)
	}
	if got, err := c.Open(vectorPayload, scannedAt); err != nil || got != example() {
		t.Errorf("opened %+v, %v", got, err)
	}
}

func TestLongestTicketFits(t *testing.T) {
	x := example()
	x.HallID, x.OwnershipVersion, x.IssuedAt = strings.Repeat("W", 20), math.MaxInt32, time.Unix(9_999_999_999, 0)
	payload, err := codec(t, key(7), nil).Seal(x)
	if err != nil || len(payload) > MaxLength {
		t.Errorf("%d characters, %v", len(payload), err)
	}
	x.HallID = strings.Repeat(`"`, 40)
	if _, err := codec(t, key(7), nil).Seal(x); err == nil {
		t.Error("a payload that is too long was made")
	}
}

func TestKeysRotateWithoutATicketFailing(t *testing.T) {
	old, current := key(1), key(2)
	before, after, later := codec(t, old, nil), codec(t, current, &old), codec(t, key(3), &current)
	payload, err := before.Seal(example())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := after.Open(payload, scannedAt); err != nil {
		t.Errorf("the previous key: %v", err)
	}
	if _, err := later.Open(payload, scannedAt); !errors.Is(err, ErrUnreadable) {
		t.Errorf("a key before the previous one: %v", err)
	}
	fresh, _ := after.Seal(example())
	if _, err := before.Open(fresh, scannedAt); !errors.Is(err, ErrUnreadable) {
		t.Error("the current key is not used to seal")
	}
}

func TestNothingButOursOpens(t *testing.T) {
	c := codec(t, key(7), nil)
	payload, err := c.Seal(example())
	if err != nil {
		t.Fatal(err)
	}
	id, body, _ := strings.Cut(payload, ".")
	raw, _ := base64.RawURLEncoding.DecodeString(body)
	for i := range raw {
		changed := bytes.Clone(raw)
		changed[i] ^= 1
		if _, err := c.Open(id+"."+base64.RawURLEncoding.EncodeToString(changed), scannedAt); !errors.Is(err, ErrUnreadable) {
			t.Errorf("byte %d changed: %v", i, err)
		}
	}
	for i := range payload {
		if _, err := c.Open(payload[:i], scannedAt); !errors.Is(err, ErrUnreadable) {
			t.Errorf("cut after %d: %v", i, err)
		}
	}
	for name, bad := range map[string]string{
		"empty": "", "no key id": body, "another key": KeyID(key(8)) + "." + body, "padding": payload + "=", "white space": payload + "\n",
		"1 MB": strings.Repeat("A", 1<<20), "plain text": vectorPlain, "a web address": "https://example.com/",
	} {
		if _, err := c.Open(bad, scannedAt); !errors.Is(err, ErrUnreadable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Every picture is decoded as it is. A reader that has to find the code in the picture first, as a camera's does, also
// finds nearly all: the one here misses one or two in a hundred, whatever the content.
func TestPictureIsReadAtItsSize(t *testing.T) {
	x := example()
	x.HallID = strings.Repeat("W", 20)
	const pictures = 100
	found := 0
	for range pictures {
		payload, err := codec(t, key(7), nil).Seal(x)
		if err != nil {
			t.Fatal(err)
		}
		picture, err := Picture(payload)
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(bytes.NewReader(picture))
		if err != nil || img.Bounds().Dx() != PicturePixels || img.Bounds().Dy() != PicturePixels {
			t.Fatal(img.Bounds(), err)
		}
		read := func(hints map[gozxing.DecodeHintType]any) string {
			bitmap, err := gozxing.NewBinaryBitmapFromImage(img)
			if err != nil {
				t.Fatal(err)
			}
			result, err := qrcode.NewQRCodeReader().Decode(bitmap, hints)
			if err != nil {
				return err.Error()
			}
			return result.GetText()
		}
		if got := read(map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_PURE_BARCODE: true}); got != payload {
			t.Fatalf("read %s of %s", got, payload)
		}
		if read(nil) == payload {
			found++
		}
	}
	if found < pictures*9/10 {
		t.Errorf("a camera's reader found %d of %d", found, pictures)
	}
}

// For any input Open returns a ticket that Seal could have made, or ErrUnreadable; it never panics.
func FuzzOpen(f *testing.F) {
	c := codec(f, key(7), nil)
	good, _ := c.Seal(example())
	for _, s := range []string{good, "", ".", good[:20], vectorPlain, "a.b.c", KeyID(key(7)) + "."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, payload string) {
		if x, err := c.Open(payload, scannedAt); err != nil && !errors.Is(err, ErrUnreadable) || err == nil && payload != good {
			t.Errorf("%q opened: %+v, %v", payload, x, err)
		}
	})
}

// The decrypted object is read with the same limits.
func FuzzDecrypted(f *testing.F) {
	for _, s := range []string{vectorPlain, "{}", "[]", `{"s":1}`, `{"s":"AA","e":"AA"}`, `{"t":1e400}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, plain []byte) {
		if _, err := Decrypted(plain); err != nil && !errors.Is(err, ErrUnreadable) {
			t.Error(err)
		}
	})
}
