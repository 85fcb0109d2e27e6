package order

import "ticketremaster/platform/fault"

// OfferOutcome is the outcome of an offer; empty while it is being checked.
type OfferOutcome string

// The outcomes of an offer.
const (
	OfferMade    OfferOutcome = "MADE" // a transfer was initiated: the other party knows
	OfferRefused OfferOutcome = "REFUSED"
)

// MaxRefusedOffers is how many offers to transfer a ticket may be refused to a user within an hour. A refusal reveals
// something about the other party, who is not told of it.
const MaxRefusedOffers = 20

// ErrTooManyOffers refuses an offer, whatever it is, of a user who had too many refused.
var ErrTooManyOffers = fault.New(fault.TooMany, "TOO_MANY_OFFERS", "Too many of your offers were refused; please try again in an hour")
