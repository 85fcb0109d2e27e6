package web

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
)

// MaxBody is the largest JSON body that Decode reads, in bytes.
const MaxBody = 64 << 10

// Decode reads a JSON object into v. Unknown fields are ignored; anything malformed, mistyped, oversized or
// absent is a fault that names the field where there is one.
func Decode(r *http.Request, v any) error {
	body, err := io.ReadAll(io.LimitReader(r.Body, MaxBody+1))
	if err != nil {
		return fault.New(fault.Invalid, fault.CodeValidation, "The request body could not be read").Because(err)
	}
	if len(body) > MaxBody {
		return fault.New(fault.TooLarge, fault.CodeTooLarge, "The request body is larger than %d KB", MaxBody>>10)
	}
	if len(strings.TrimSpace(string(body))) == 0 {
		return fault.New(fault.Invalid, fault.CodeValidation, "A JSON object is expected in the request body")
	}
	err = json.Unmarshal(body, v)
	var mistyped *json.UnmarshalTypeError
	var known *fault.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return known
	case errors.As(err, &mistyped) && mistyped.Field != "":
		return fault.Field(onTheWire(mistyped.Field), "must not be a JSON %s", mistyped.Value)
	case errors.As(err, &mistyped):
		return fault.New(fault.Invalid, fault.CodeValidation, "A JSON object is expected in the request body")
	default:
		return fault.New(fault.Invalid, fault.CodeValidation, "The request body is not usable JSON: %s", err)
	}
}

// onTheWire returns a field's path as the client knows it: without the names of Go's embedded structs, which have
// capital letters, unlike all names on the wire.
func onTheWire(path string) string {
	names := strings.Split(path, ".")
	return strings.Join(slices.DeleteFunc(names, func(name string) bool { return strings.ContainsFunc(name, unicode.IsUpper) }), ".")
}

// UUID reads a UUID in its usual 36 characters; anything else is INVALID_UUID and names the field.
func UUID(field, value string) (uuid.UUID, error) {
	id, err := uuid.Parse(value)
	switch {
	case value == "":
		return uuid.Nil, fault.Field(field, "is required")
	case err != nil || len(value) != 36 || id == uuid.Nil:
		e := fault.Field(field, "must be a UUID")
		e.Code = fault.CodeInvalidUUID
		return uuid.Nil, e
	}
	return id, nil
}

// PathUUID reads a UUID from the path parameter of that name.
func PathUUID(r *http.Request, name string) (uuid.UUID, error) {
	return UUID(name, chi.URLParam(r, name))
}

// Page is the part of a list that a client asks for.
type Page struct{ Number, Size int }

// Offset is the number of entries before the page.
func (p Page) Offset() int { return (p.Number - 1) * p.Size }

// ReadPage reads ?page (from 1, at most 100,000) and ?per_page (at most 100, default 20).
func ReadPage(r *http.Request) (Page, error) { return ReadPageOf(r, 20, 100) }

// ReadPageOf is ReadPage for a list whose pages have another size: absent without ?per_page, most at most.
func ReadPageOf(r *http.Request, absent, most int) (Page, error) {
	number, err := QueryInt(r, "page", 1, 1, 100_000)
	if err != nil {
		return Page{}, err
	}
	size, err := QueryInt(r, "per_page", absent, 1, most)
	return Page{Number: number, Size: size}, err
}

// QueryInt reads a whole number between least and most from the query; absent is the value if it is not given.
func QueryInt(r *http.Request, name string, absent, least, most int) (int, error) {
	s := r.URL.Query().Get(name)
	if s == "" {
		return absent, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < least || n > most {
		return 0, fault.Field(name, "must be a whole number from %d to %d", least, most)
	}
	return n, nil
}

// Amount reads an amount from a field declared as json.RawMessage, so that what is wrong with it names the field.
func Amount(field string, raw json.RawMessage) (money.Cents, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return 0, fault.Field(field, "is required")
	}
	c, err := money.Parse(string(raw))
	if err != nil {
		return 0, fault.Field(field, "%s", err)
	}
	return c, nil
}

// ReadReason reads a body whose only field is a reason, of at most so many characters.
func ReadReason(r *http.Request, most int) (string, error) {
	var in struct {
		Reason string `json:"reason"`
	}
	if err := Decode(r, &in); err != nil {
		return "", err
	}
	return Text("reason", in.Reason, most)
}

// Text returns a field's text without surrounding blanks. An empty text, more than most characters, and control
// characters (PostgreSQL refuses NUL) are faults that name the field.
func Text(field, value string, most int) (string, error) {
	value = strings.TrimSpace(value)
	switch {
	case value == "":
		return "", fault.Field(field, "is required")
	case utf8.RuneCountInString(value) > most:
		return "", fault.Field(field, "must have at most %d characters", most)
	case !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl):
		return "", fault.Field(field, "must not have control characters")
	}
	return value, nil
}
