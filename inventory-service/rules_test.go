package inventory_test

import (
	"testing"

	"github.com/google/uuid"

	inventory "ticketremaster/inventory-service"
)

func TestRowName(t *testing.T) {
	for i, want := range map[int]string{0: "A", 1: "B", 25: "Z", 26: "AA", 27: "AB", 51: "AZ", 52: "BA", 701: "ZZ", 702: "AAA", 18_277: "ZZZ", 18_278: "AAAA", 99_999: "EQXD"} {
		if got := inventory.RowName(i); got != want {
			t.Errorf("row %d is %q, want %q", i, got, want)
		}
	}
}

func TestPlaces(t *testing.T) {
	p := inventory.Plan{EventID: uuid.New(), Total: 47, Tiers: []string{"A", "B", "C"}}
	if err := p.Check(); err != nil {
		t.Fatal(err)
	}
	tiers, n, last := map[string]int{}, 0, inventory.Place{}
	for place := range p.Places() {
		if place.Number != n%20+1 || place.Row != inventory.RowName(n/20) || place.Tier < last.Tier {
			t.Fatalf("place %d is %v", n, place)
		}
		tiers[place.Tier]++
		n, last = n+1, place
	}
	// Equal blocks in the order given; what does not divide goes to the last.
	if n != 47 || tiers["A"] != 15 || tiers["B"] != 15 || tiers["C"] != 17 || last.Row != "C" || last.Number != 7 {
		t.Fatalf("%d places, %v, the last is %v", n, tiers, last)
	}
}
