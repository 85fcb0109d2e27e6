package event_test

import (
	"strings"
	"testing"
	"time"

	event "ticketremaster/event-service"
	"ticketremaster/platform/fault"
)

func TestWallTimeIsTheVenues(t *testing.T) {
	for _, c := range []struct{ zone, given, want string }{
		{"Asia/Singapore", "2027-07-31T20:00", "2027-07-31T12:00:00Z"},
		{"Asia/Singapore", "2027-07-31T20:00Z", "2027-07-31T20:00:00Z"},
		{"Europe/London", "2027-07-31T20:00", "2027-07-31T19:00:00Z"},
		{"Europe/London", "2027-01-31T20:00", "2027-01-31T20:00:00Z"},
		{"Europe/London", "2027-03-28T00:59", "2027-03-28T00:59:00Z"}, // clocks go forward at 01:00
		{"Europe/London", "2027-03-28T02:00", "2027-03-28T01:00:00Z"},
		{"Europe/London", "2027-10-31T00:59", "2027-10-30T23:59:00Z"}, // and back at 02:00
		{"Europe/London", "2027-10-31T02:00", "2027-10-31T02:00:00Z"},
		{"Pacific/Auckland", "2027-12-31T00:30", "2027-12-30T11:30:00Z"},
		{"Asia/Kathmandu", "2027-12-31T20:00:30.5", "2027-12-31T14:15:30.5Z"},
		{"America/St_Johns", "2027-07-01T20:00", "2027-07-01T22:30:00Z"},
		{"UTC", "2027-07-01T20:00", "2027-07-01T20:00:00Z"},
	} {
		zone, err := event.Zone("zone", c.zone)
		if err != nil {
			t.Fatal(err)
		}
		got, err := event.ParseTime("event_date", c.given, zone)
		if err != nil || got.Format(time.RFC3339Nano) != c.want {
			t.Errorf("%s in %s is %s (%v), want %s", c.given, c.zone, got.Format(time.RFC3339Nano), err, c.want)
		}
	}
}

// A wall time that a clock change skips or repeats is refused with both possible times, each of which is accepted.
func TestImpossibleAndAmbiguousWallTimesNameBothReadings(t *testing.T) {
	for _, c := range []struct{ zone, given, why, first, second string }{
		{"Europe/London", "2027-03-28T01:30", "does not exist", "2027-03-28T01:30:00+00:00", "2027-03-28T01:30:00+01:00"},
		{"Europe/London", "2027-03-28T01:00", "does not exist", "2027-03-28T01:00:00+00:00", "2027-03-28T01:00:00+01:00"},
		{"Europe/London", "2027-10-31T01:30", "exists twice", "2027-10-31T01:30:00+01:00", "2027-10-31T01:30:00+00:00"},
		{"Europe/London", "2027-10-31T01:00", "exists twice", "2027-10-31T01:00:00+01:00", "2027-10-31T01:00:00+00:00"},
		{"America/New_York", "2027-03-14T02:15", "does not exist", "2027-03-14T02:15:00-05:00", "2027-03-14T02:15:00-04:00"},
		{"America/New_York", "2027-11-07T01:15:30", "exists twice", "2027-11-07T01:15:30-04:00", "2027-11-07T01:15:30-05:00"},
		{"Australia/Lord_Howe", "2027-04-04T01:45", "exists twice", "2027-04-04T01:45:00+11:00", "2027-04-04T01:45:00+10:30"}, // by half an hour
		{"Pacific/Apia", "2011-12-30T20:00", "does not exist", "2011-12-30T20:00:00-10:00", "2011-12-30T20:00:00+14:00"},      // a day that was left out
	} {
		zone, err := event.Zone("zone", c.zone)
		if err != nil {
			t.Fatal(err)
		}
		_, err = event.ParseTime("event_date", c.given, zone)
		message := fault.From(err).Fields["event_date"]
		for _, part := range []string{c.why, c.zone, c.first, c.second} {
			if !strings.Contains(message, part) {
				t.Errorf("%s in %s: %q does not say %q", c.given, c.zone, message, part)
			}
		}
		for _, reading := range []string{c.first, c.second} {
			if _, err := event.ParseTime("event_date", reading, zone); err != nil {
				t.Errorf("%s: %v", reading, err)
			}
		}
	}
}

func TestOnlyIANANamesAreZones(t *testing.T) {
	for _, name := range []string{"", "Local", "Singapore Standard Time", "../etc/passwd", "Asia/Singapur", "+08:00", "/Asia/Singapore", "Asia/Singapore;"} {
		if _, err := event.Zone("timezone", name); err == nil {
			t.Errorf("%q was taken for a time zone", name)
		}
	}
}
