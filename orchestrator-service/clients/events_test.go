package clients_test

import (
	"testing"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/platform/money"
)

func TestBreakdownOfAPrice(t *testing.T) {
	cents := func(c money.Cents) *money.Cents { return &c }
	rules := clients.Rules{Includes: []clients.Part{{Name: "Booking fee", Amount: cents(5_00)}, {Name: "GST", Percent: cents(9_00)}}}
	for price, want := range map[money.Cents][2]money.Cents{
		114_00: {5_00, 9_00}, // 100 net
		60_00:  {5_00, 4_54}, // 50.46 net
		5_00:   {5_00, 0},
		0:      {0, 0},
	} {
		parts := rules.Breakdown(price)
		if len(parts) != 2 || parts[0].Amount != want[0] || parts[1].Amount != want[1] {
			t.Errorf("%s includes %+v, want %v", price, parts, want)
		}
	}
	if parts := (clients.Rules{}).Breakdown(60_00); parts != nil {
		t.Errorf("a price that includes nothing: %+v", parts)
	}
}
