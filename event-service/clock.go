package event

import (
	"regexp"
	"time"
	_ "time/tzdata" // the time zones are part of the program: a container may have none

	"ticketremaster/platform/fault"
)

// zoneForm refuses what time.LoadLocation or PostgreSQL would not read as an IANA name.
var zoneForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$`)

// Zone loads the time zone of an IANA name such as Asia/Singapore.
func Zone(field, name string) (*time.Location, error) {
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" || len(name) > MaxTimezone || !zoneForm.MatchString(name) {
		return nil, fault.Field(field, "must be an IANA time zone such as Asia/Singapore")
	}
	return zone, nil
}

// Forms of a date and time: RFC 3339, and that of a browser's date field, which has no zone and often no seconds
// (docs/clients.md#administration).
var (
	zonedForms = []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00"}
	wallForms  = []string{"2006-01-02T15:04:05.999999999", "2006-01-02T15:04"}
)

// ParseTime reads a date and time; one without a zone is the wall time in zone. The result is in UTC. A wall time that
// does not exist there, or exists twice, because clocks are changed, is a fault that names both readings.
func ParseTime(field, s string, zone *time.Location) (time.Time, error) {
	for _, form := range zonedForms {
		if t, err := time.Parse(form, s); err == nil {
			return t.UTC(), nil
		}
	}
	for _, form := range wallForms {
		if wall, err := time.Parse(form, s); err == nil {
			return atWall(field, s, wall, zone)
		}
	}
	if s == "" {
		return time.Time{}, fault.Field(field, "is required")
	}
	return time.Time{}, fault.Field(field, "must be a date and time such as 2027-12-31T20:00 or 2027-12-31T20:00:00Z")
}

// atWall finds the instant at which clocks in zone show wall, whose own zone does not matter.
func atWall(field, s string, wall time.Time, zone *time.Location) (time.Time, error) {
	// Clocks are changed by hours at most, and not twice within a day: only the offsets of the day before and of the
	// day after can apply.
	_, before := wall.AddDate(0, 0, -1).In(zone).Zone()
	_, after := wall.AddDate(0, 0, 1).In(zone).Zone()
	first, second := wall.Add(-time.Duration(before)*time.Second), wall.Add(-time.Duration(after)*time.Second)
	shows := func(t time.Time) bool {
		_, offset := t.In(zone).Zone()
		return t.Add(time.Duration(offset) * time.Second).Equal(wall)
	}
	switch {
	case first.Equal(second) || shows(first) && !shows(second):
		return first.UTC(), nil
	case shows(second) && !shows(first):
		return second.UTC(), nil
	}
	why := "does not exist in %s, where clocks go forward then: say %s or %s"
	if shows(first) {
		why = "exists twice in %s, where clocks go back then: say %s or %s"
	}
	reading := func(offset int) string {
		return wall.Format("2006-01-02T15:04:05") + time.Unix(0, 0).In(time.FixedZone("", offset)).Format("-07:00")
	}
	return time.Time{}, fault.Field(field, s+" "+why, zone, reading(before), reading(after))
}

// Day reads a day such as 2027-12-31.
func Day(field, s string) (string, error) {
	if t, err := time.Parse(time.DateOnly, s); err != nil || t.Year() < 1 {
		return "", fault.Field(field, "must be a day such as 2027-12-31")
	}
	return s, nil
}

// Localise fills in the fields that follow from the venue's time zone.
func (e *Event) Localise() {
	e.Timezone, e.DateLocal = e.Venue.Timezone, e.Date.Format(time.RFC3339)
	if zone, err := time.LoadLocation(e.Timezone); err == nil {
		e.DateLocal = e.Date.In(zone).Format(time.RFC3339)
	}
}
