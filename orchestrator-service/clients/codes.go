package clients

// Codes that several flows return, or that a service returns and a flow acts on. A code of one flow alone is declared
// in that flow's package.
const (
	CodeSeatNotFound      = "SEAT_NOT_FOUND"
	CodeSeatUnavailable   = "SEAT_UNAVAILABLE"
	CodeNotSeatOwner      = "NOT_SEAT_OWNER"
	CodeEventNotFound     = "EVENT_NOT_FOUND"
	CodeEventEnded        = "EVENT_ENDED"
	CodeSalesNotOpen      = "SALES_NOT_OPEN"
	CodeOrderNotFound     = "ORDER_NOT_FOUND"
	CodeOrderInvalidState = "ORDER_INVALID_STATE"
	CodeTransferState     = "TRANSFER_INVALID_STATE"
	CodeUserNotFound      = "USER_NOT_FOUND"
	CodePoor              = "INSUFFICIENT_CREDITS"
	CodeOTPExpired        = "OTP_EXPIRED"
	CodeOTPMaxRetries     = "OTP_MAX_RETRIES"
)
