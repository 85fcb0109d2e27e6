package event

import (
	"ticketremaster/platform/fault"
	"ticketremaster/platform/money"
	"ticketremaster/platform/web"
)

// Limits of the rules of sale.
const (
	MaxPerCustomer  = 1000
	MaxPerBooking   = 20
	MaxParts        = 10
	MaxPartName     = 50
	MaxRefundBefore = 10_000 // hours
	MaxResaleCap    = 1000   // percent
)

// Part is a fee or tax that a price includes: either a fixed amount, or a percentage that was added to what is net.
type Part struct {
	Name    string       `json:"name"`
	Amount  *money.Cents `json:"amount,omitempty"`
	Percent *money.Cents `json:"percent,omitempty"` // with two decimals at most: 9 or 8.25
}

// Parts are what a price includes, in the order in which customers read them.
type Parts []Part

func (r *Rules) check(tiers Tiers) error {
	switch {
	case r.MaxPerCustomer != nil && (*r.MaxPerCustomer < 1 || *r.MaxPerCustomer > MaxPerCustomer):
		return fault.Field("max_per_customer", "must be a whole number from 1 to %d, or null for no limit", MaxPerCustomer)
	case r.MaxPerBooking != nil && (*r.MaxPerBooking < 1 || *r.MaxPerBooking > MaxPerBooking):
		return fault.Field("max_per_booking", "must be a whole number from 1 to %d, or null for 10", MaxPerBooking)
	case r.RefundHoursBefore != nil && (*r.RefundHoursBefore < 0 || *r.RefundHoursBefore > MaxRefundBefore):
		return fault.Field("refund_hours_before", "must be a whole number from 0 to %d, or null for no refunds", MaxRefundBefore)
	case r.RefundFeePercent < 0 || r.RefundFeePercent > 100:
		return fault.Field("refund_fee_percent", "must be a whole number from 0 to 100")
	case r.ResaleCapPercent != nil && (*r.ResaleCapPercent < 0 || *r.ResaleCapPercent > MaxResaleCap):
		return fault.Field("resale_cap_percent", "must be a whole number from 0 to %d, or null for 100", MaxResaleCap)
	case len(r.Includes) > MaxParts:
		return fault.Field("includes", "must be at most %d parts", MaxParts)
	}
	var fixed money.Cents
	for i, p := range r.Includes {
		name, err := web.Text("includes", p.Name, MaxPartName)
		if err != nil {
			return err
		}
		r.Includes[i].Name = name
		switch {
		case (p.Amount == nil) == (p.Percent == nil):
			return fault.Field("includes", "each part must have either an amount or a percent")
		case p.Amount != nil && (*p.Amount < 0 || *p.Amount > money.Max):
			return fault.Field("includes", "an amount must be from 0 to %s", money.Max)
		case p.Percent != nil && (*p.Percent < 0 || *p.Percent > 100_00):
			return fault.Field("includes", "a percent must be from 0 to 100")
		case p.Amount != nil:
			fixed += *p.Amount
		}
	}
	for name, price := range tiers {
		if price > 0 && fixed > price {
			return fault.Field("includes", "fees of %s are more than the price of %s", fixed, name)
		}
	}
	return nil
}
