package user

import (
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/nyaruka/phonenumbers"

	"ticketremaster/platform/fault"
)

// SMSKind says because of whom a message is sent. Each kind has its share of every limit, so that what others cause
// never uses up what a number's owner needs.
type SMSKind string

// The kinds.
const (
	Claim SMSKind = "claim" // to a number that the account has not shown to be its own
	Asked SMSKind = "asked" // because of someone else: a transfer's other party, or whoever typed an e-mail address
	Known SMSKind = "known" // the same, from a network that the account was logged in from
	Own   SMSKind = "own"   // the owner's own act
)

// Share returns the part of a limit that messages of this kind may fill, what was sent of the other kinds included.
func (k SMSKind) Share(limit int) int {
	switch k {
	case Claim:
		return max(1, limit/2)
	case Asked:
		return max(1, limit*7/10)
	case Known:
		return max(1, limit*17/20)
	}
	return limit
}

// Numbers says to which numbers codes are sent.
type Numbers struct {
	// Countries are calling codes such as 65. None: all but those of satellites and of networks of no country.
	Countries []int
}

// beyondCountries are the calling codes of satellites, of personal numbers and of networks of no country.
var beyondCountries = []int{800, 808, 870, 878, 881, 882, 883, 888, 979}

// Check says why no code is sent to a number: its country is not served, or who is called there is paid for it.
func (n Numbers) Check(phone string) error {
	number, err := phonenumbers.Parse(phone, "ZZ")
	if err != nil {
		return fault.Field("phone", "must be a number with country code such as +6591234567")
	}
	country := int(number.GetCountryCode())
	if len(n.Countries) > 0 && !slices.Contains(n.Countries, country) || len(n.Countries) == 0 && slices.Contains(beyondCountries, country) {
		return fault.Field("phone", "no codes are sent to numbers of this country")
	}
	switch phonenumbers.GetNumberType(number) {
	case phonenumbers.PREMIUM_RATE, phonenumbers.SHARED_COST, phonenumbers.UAN:
		return fault.Field("phone", "no codes are sent to numbers of this kind")
	}
	return nil
}

// maxSMS is the longest text of ours, in characters; SMU adds the code.
const maxSMS = 300

// neverShare ends each message.
const neverShare = " Never share this code with anyone."

var (
	// A dot before a letter makes a phone show a link; amounts such as 350.00 have none. The others are dots too, in
	// names of domains.
	dotOfName = regexp.MustCompile(`([\pL\pN_-])[.\x{3002}\x{ff0e}\x{ff61}]([\pL_])`)
	dotOfIP   = regexp.MustCompile(`(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})`)
	notPlain  = strings.NewReplacer("@", " at ", "://", " ", "\uff20", " at ")
)

// SMSText returns the text of a message: on one line, without anything that a phone would make a link of, ending with
// the advice not to share the code.
func SMSText(message string) string {
	s := strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r): // invisible ones, and those that turn the direction
			return -1
		}
		return r
	}, strings.ToValidUTF8(message, ""))
	s = notPlain.Replace(s)
	s = dotOfIP.ReplaceAllString(s, "$1 $2 $3 $4")
	for dotOfName.MatchString(s) {
		s = dotOfName.ReplaceAllString(s, "$1 dot $2")
	}
	s = strings.Join(strings.Fields(s), " ")
	if most := maxSMS - len(neverShare); len([]rune(s)) > most {
		s = string([]rune(s)[:most])
	}
	return s + neverShare
}
