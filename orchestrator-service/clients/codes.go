package clients

// Codes that more than one flow returns. A code that a service returns too is in package fault; a code of one flow
// alone is declared in that flow's package.
const (
	CodeSelfTransfer = "SELF_TRANSFER"
	CodeEventEnded   = "EVENT_ENDED"
	CodeSalesNotOpen = "SALES_NOT_OPEN"
)
