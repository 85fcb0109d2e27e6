package inventory

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// drawn makes a hall of rows: a letter is a free seat of that tier, a capital one taken; a blank is a gap in the numbers.
func drawn(rows ...string) *Hall {
	var seats []Seat
	var free []bool
	for r, row := range rows {
		for n, c := range row {
			if c != ' ' {
				seats = append(seats, Seat{ID: uuid.New(), Row: RowName(r), Number: n + 1, Tier: strings.ToLower(string(c))})
				free = append(free, c >= 'a')
			}
		}
	}
	h := NewHall(seats)
	h.Update(func(i int) bool { return free[i] }, 1)
	return h
}

func TestTheBestSeats(t *testing.T) {
	for _, c := range []struct {
		name         string
		rows         []string
		n            int
		split, alone bool
		want         string // places in the order of the hall; "": none
	}{
		{name: "the middle of the front", rows: []string{"aaaaaa", "aaaaaa"}, n: 2, want: "[2 3]"},
		{name: "a row back is as far as two seats sideways", rows: []string{"aaAAAAAAaa", "aaaaaaaaaa"}, n: 2, want: "[14 15]"},
		{name: "and nearer seats in front are better", rows: []string{"aaAAaa", "aaaaaa"}, n: 2, want: "[0 1]"},
		{name: "one", rows: []string{"aaa"}, n: 1, want: "[1]"},
		{name: "not over a gap in the numbers", rows: []string{"aa aa", "aaaaa"}, n: 3, want: "[5 6 7]"},
		{name: "not into another tier", rows: []string{"aabb", "bbbb"}, n: 3, want: ""},
		{name: "not over two rows", rows: []string{"aaAA", "aaAA"}, n: 3, want: ""},
		{name: "of the tier's own middle", rows: []string{"bbbaaaaaa", "aaaaaaaaa"}, n: 2, want: "[5 6]"},
		{name: "in two blocks, as even as possible, if asked for", rows: []string{"aaaAaa", "AAAAAA"}, n: 4, split: true, want: "[1 2 4 5]"},
		{name: "one by one, if there is nothing else", rows: []string{"aAaAaA"}, n: 3, split: true, want: "[2 0 4]"},
		{name: "too few", rows: []string{"aAa"}, n: 3, split: true, want: ""},
		{name: "nobody is left alone at the end", rows: []string{"aaaaa"}, n: 3, alone: true, want: "[0 1 2]"},
		{name: "nor between", rows: []string{"AaaaaA"}, n: 2, alone: true, want: "[1 2]"},
		{name: "a single seat is sold to one", rows: []string{"AaA"}, n: 1, alone: true, want: "[1]"},
		{name: "where one would be left, nothing is sold", rows: []string{"AaaaA"}, n: 2, alone: true, want: ""},
		{name: "beside another tier's free seat none is alone", rows: []string{"Aaaab"}, n: 2, alone: true, want: "[1 2]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := drawn(c.rows...).Choose("a", c.n, c.split, c.alone, nil)
			if want := c.want; want == "" && got != nil || want != "" && fmt.Sprint(got) != want {
				t.Errorf("got %v, want %s", got, want)
			}
		})
	}
}

// A hall sells out by blocks without leaving a seat that the rule would have sold.
func TestAHallSellsOut(t *testing.T) {
	for n := 1; n <= 5; n++ {
		h := drawn(strings.Repeat("a", 20), strings.Repeat("a", 20), strings.Repeat("a", 20))
		sold := 0
		for seats := h.Choose("a", n, false, false, nil); seats != nil; seats = h.Choose("a", n, false, false, nil) {
			h.Take(seats, 2)
			sold += n
		}
		free := 0
		for i := range h.taken {
			if !h.taken[i] {
				free++
			}
		}
		if sold != 3*(20/n*n) || sold+free != 60 {
			t.Errorf("by %d: %d sold, %d free", n, sold, free)
		}
	}
	h := drawn(strings.Repeat("a", 20), strings.Repeat("a", 20))
	for n, sold := 2, 0; ; sold += n {
		seats := h.Choose("a", n, false, true, nil)
		if seats == nil {
			if sold != 40 {
				t.Errorf("by twos and with nobody left alone: %d of 40", sold)
			}
			break
		}
		h.Take(seats, 2)
	}
}

// What was taken after a reading began is not freed by it.
func TestAnOldReadingFreesNothingNew(t *testing.T) {
	h := drawn("aa")
	h.Take([]int{0}, 5)
	h.Update(func(int) bool { return true }, 5)
	if !h.taken[0] {
		t.Error("it was taken by then")
	}
	h.Update(func(int) bool { return true }, 6)
	if h.taken[0] {
		t.Error("it is free since")
	}
}

func BenchmarkChoose(b *testing.B) {
	h := drawn(strings.Split(strings.Repeat(strings.Repeat("aA", 10)+"\n", 1000), "\n")...)
	for b.Loop() {
		h.Choose("a", 2, false, true, nil)
	}
}
