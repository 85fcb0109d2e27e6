package inventory

import (
	"time"

	"github.com/google/uuid"

	"ticketremaster/platform/fault"
)

// Best asks for the best free seats of a tier, one for each of the holds: all of them, or none.
type Best struct {
	EventID          uuid.UUID
	Tier             string
	HoldIDs          []uuid.UUID // proposed
	UserID, PersonID uuid.UUID
	TTL              time.Duration
	MaxHolds         int
	Pause            time.Duration
	Split            bool // several blocks will do if there is no single one
	NoSingles        bool // no free seat may be left alone in its row
}

// Reservation asks for those seats.
func (b Best) Reservation(seats []uuid.UUID) Reservation {
	r := Reservation{UserID: b.UserID, PersonID: b.PersonID, TTL: b.TTL, MaxHolds: b.MaxHolds, Pause: b.Pause}
	for i, id := range seats {
		r.Seats = append(r.Seats, HeldSeat{SeatID: id, HoldID: b.HoldIDs[i]})
	}
	return r
}

// Refusals of the best available.
var (
	ErrNoTier   = fault.New(fault.NotFound, fault.CodeSeatNotFound, "This event has no such seats")
	ErrNoneLeft = fault.New(fault.Conflict, fault.CodeSeatUnavailable, "There are not so many seats together left")
)

// Hall is which seats of an event are free, as far as this process knows: good enough to choose by, not to decide. It is not for
// concurrent use. A seat is named by its place in the order of ListSeats.
type Hall struct {
	IDs   []uuid.UUID
	parts map[string][]part
	taken []bool
	since []int64 // when it was taken, by the caller's count
}

// stretch is seats side by side: one row's, without a gap in its numbers.
type stretch struct{ from, to int }

// part is what of a stretch belongs to a tier.
type part struct {
	stretch
	row    stretch
	back   int // rows behind the tier's first
	number int // of its first seat
	middle int // of the tier in this row, in half seats
}

// NewHall makes a hall of seats in the order of ListSeats, all taken.
func NewHall(seats []Seat) *Hall {
	h := &Hall{IDs: make([]uuid.UUID, len(seats)), parts: map[string][]part{}, taken: make([]bool, len(seats)), since: make([]int64, len(seats))}
	type place struct{ row, tier string }
	ends, backs := map[place][2]int{}, map[string]map[string]int{}
	for i, s := range seats {
		h.IDs[i], h.taken[i] = s.ID, true
		at := place{s.Row, s.Tier}
		if e, ok := ends[at]; ok {
			ends[at] = [2]int{e[0], s.Number}
		} else {
			ends[at] = [2]int{s.Number, s.Number}
		}
		if backs[s.Tier] == nil {
			backs[s.Tier] = map[string]int{}
		}
		if _, ok := backs[s.Tier][s.Row]; !ok {
			backs[s.Tier][s.Row] = len(backs[s.Tier])
		}
	}
	for from := 0; from < len(seats); {
		row := stretch{from, from + 1}
		for row.to < len(seats) && seats[row.to].Row == seats[from].Row && seats[row.to].Number == seats[row.to-1].Number+1 {
			row.to++
		}
		for i := row.from; i < row.to; {
			p := part{stretch: stretch{i, i + 1}, row: row, back: backs[seats[i].Tier][seats[i].Row], number: seats[i].Number}
			for p.to < row.to && seats[p.to].Tier == seats[i].Tier {
				p.to++
			}
			e := ends[place{seats[i].Row, seats[i].Tier}]
			p.middle = e[0] + e[1]
			h.parts[seats[i].Tier] = append(h.parts[seats[i].Tier], p)
			i = p.to
		}
		from = row.to
	}
	return h
}

// Has reports whether there is such a tier.
func (h *Hall) Has(tier string) bool { return len(h.parts[tier]) > 0 }

// Take marks seats as taken at a time of the caller's count.
func (h *Hall) Take(seats []int, at int64) {
	for _, i := range seats {
		h.taken[i], h.since[i] = true, at
	}
}

// Free marks seats as free again.
func (h *Hall) Free(seats []int) {
	for _, i := range seats {
		h.taken[i] = false
	}
}

// Update takes over what the database said of all seats, but for those that were taken at or after that time of the caller's count.
func (h *Hall) Update(free func(i int) bool, at int64) {
	for i := range h.taken {
		if !h.taken[i] || h.since[i] < at {
			h.taken[i] = !free(i)
		}
	}
}

// Choose returns the best n free seats of a tier, without those to avoid; nil if there are none.
func (h *Hall) Choose(tier string, n int, split, noSingles bool, avoid map[int]bool) []int {
	c := chooser{hall: h, parts: h.parts[tier], noSingles: noSingles, used: map[int]bool{}}
	for i := range avoid {
		c.used[i] = true
	}
	if seats := c.block(n, nil); seats != nil || !split {
		return seats
	}
	for most := (n + 1) / 2; most < n; most++ { // two blocks, as even as possible
		if first := c.block(most, nil); first != nil {
			if second := c.with(first, n-most); second != nil {
				return append(first, second...)
			}
		}
	}
	var all []int
	for size := n - 1; size > 0 && len(all) < n; { // the largest first, each near the first
		size = min(size, n-len(all))
		next := c.with(all, size)
		if next == nil {
			size--
			continue
		}
		all = append(all, next...)
	}
	if len(all) < n {
		return nil
	}
	return all
}

type chooser struct {
	hall      *Hall
	parts     []part
	noSingles bool
	used      map[int]bool // to be left out, or chosen before
}

// with is block for who has some seats already.
func (c chooser) with(have []int, n int) []int {
	for _, i := range have {
		c.used[i] = true
	}
	block := c.block(n, have)
	for _, i := range have {
		delete(c.used, i)
	}
	return block
}

// block returns the n seats side by side that are nearest to the front and the middle of the tier, or to the seats that go
// before: a row back counts as much as two seats sideways.
func (c chooser) block(n int, near []int) (block []int) {
	best, from := -1, -1
	back, middle := 0, 0
	if near != nil {
		back, middle = c.at(near)
	}
	for _, p := range c.parts {
		if near == nil && best >= 0 && 4*p.back >= best {
			break // the rows behind are no better
		}
		to := p.middle
		if near != nil {
			to = middle
		}
		for begin := p.from; begin < p.to; begin++ {
			end := begin
			for end < p.to && !c.hall.taken[end] && !c.used[end] {
				end++
			}
			for first := begin; first+n <= end; first++ {
				cost := 4*distance(p.back, back) + distance(2*(p.number+first-p.from)+n-1, to)
				if (best < 0 || cost < best) && !wasteful(first-begin, end-first-n, n) && !(c.noSingles && c.leavesOne(p.row, first, first+n-1)) {
					best, from = cost, first
				}
			}
			begin = end
		}
	}
	if from < 0 {
		return nil
	}
	for i := range n {
		block = append(block, from+i)
	}
	return block
}

// at is where a block is: how far back, and its middle in half seats.
func (c chooser) at(block []int) (back, middle int) {
	for _, p := range c.parts {
		if block[0] >= p.from && block[0] < p.to {
			return p.back, 2 * (p.number + block[0] - p.from)
		}
	}
	return 0, 0
}

// leavesOne reports whether taking the seats from first to last leaves a free one alone beside them. The end of a row counts as taken.
func (c chooser) leavesOne(row stretch, first, last int) bool {
	free := func(i int) bool { return i >= row.from && i < row.to && !c.hall.taken[i] && !c.used[i] }
	return free(first-1) && !free(first-2) || free(last+1) && !free(last+2)
}

// wasteful reports whether so many free seats on both sides of a block leave fewer blocks of its size than there could be: else a row
// of twenty would sell nine pairs.
func wasteful(left, right, n int) bool { return left%n+right%n > (left+right)%n }

func distance(a, b int) int { return max(a-b, b-a) }
