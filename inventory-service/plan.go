package inventory

import (
	"iter"
	"slices"

	"github.com/google/uuid"

	"ticketremaster/platform/fault"
)

// Limits of a plan.
const (
	MaxSeats          = 100_000
	MaxTiers          = 20
	MaxTierName       = 50 // characters
	MaxSeatsPerRow    = 1_000
	UsualSeatsPerRow  = 20
	maxRowNameLetters = 4 // seats.row_number is VARCHAR(4); 100,000 rows end at EQXD
)

// Plan is how an event's seats are made: rows of SeatsPerRow, named A, B, … Z, AA, …, from the front, and the tiers in
// the order given (falling price), in equal blocks; the remainder goes to the last, the cheapest.
type Plan struct {
	EventID     uuid.UUID
	Total       int
	Tiers       []string
	SeatsPerRow int // 0: UsualSeatsPerRow
}

// Check fills in defaults and returns what is wrong with the plan.
func (p *Plan) Check() error {
	if p.SeatsPerRow == 0 {
		p.SeatsPerRow = UsualSeatsPerRow
	}
	switch {
	case p.Total < 1 || p.Total > MaxSeats:
		return fault.Field("total_seats", "must be from 1 to %d", MaxSeats)
	case p.SeatsPerRow < 1 || p.SeatsPerRow > MaxSeatsPerRow:
		return fault.Field("seats_per_row", "must be from 1 to %d", MaxSeatsPerRow)
	case len(p.Tiers) < 1 || len(p.Tiers) > MaxTiers:
		return fault.Field("tiers", "must be 1 to %d names", MaxTiers)
	case len(p.Tiers) > p.Total:
		return fault.Field("tiers", "are more than the seats")
	}
	for i, t := range p.Tiers {
		if t == "" || len([]rune(t)) > MaxTierName || slices.Contains(p.Tiers[:i], t) {
			return fault.Field("tiers", "must be different names of 1 to %d characters", MaxTierName)
		}
	}
	return nil
}

// Place is a seat's row, number and tier.
type Place struct {
	Row    string
	Number int
	Tier   string
}

// Places returns the places of a checked plan, from the front.
func (p Plan) Places() iter.Seq[Place] {
	return func(yield func(Place) bool) {
		block := p.Total / len(p.Tiers)
		row := ""
		for i := range p.Total {
			if i%p.SeatsPerRow == 0 {
				row = RowName(i / p.SeatsPerRow)
			}
			tier := p.Tiers[min(i/block, len(p.Tiers)-1)]
			if !yield(Place{Row: row, Number: i%p.SeatsPerRow + 1, Tier: tier}) {
				return
			}
		}
	}
}

// RowName returns the name of the row with index i from 0: A, B, … Z, AA, AB, …
func RowName(i int) string {
	var letters [maxRowNameLetters]byte
	at := len(letters)
	for i++; i > 0; i = (i - 1) / 26 {
		at--
		letters[at] = byte('A' + (i-1)%26)
	}
	return string(letters[at:])
}
