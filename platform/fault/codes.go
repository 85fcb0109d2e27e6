package fault

// Codes that more than one service knows: the service whose rule it is returns it, others act on it or pass it on. A
// code of one service alone is declared beside its rule.
const (
	CodeEventCancelled       = "EVENT_CANCELLED"
	CodeEventNotFound        = "EVENT_NOT_FOUND"
	CodeEventInvalidState    = "EVENT_INVALID_STATE"
	CodeHoldExpired          = "HOLD_EXPIRED"
	CodeInsufficientCredits  = "INSUFFICIENT_CREDITS"
	CodeListingNotFound      = "LISTING_NOT_FOUND"
	CodeListingUnavailable   = "LISTING_UNAVAILABLE"
	CodeNotSeatOwner         = "NOT_SEAT_OWNER"
	CodeOperationVoided      = "OPERATION_VOIDED" // it was undone before it came
	CodeOrderInvalidState    = "ORDER_INVALID_STATE"
	CodeOrderNotFound        = "ORDER_NOT_FOUND"
	CodeOTPExpired           = "OTP_EXPIRED"
	CodeOTPMaxRetries        = "OTP_MAX_RETRIES"
	CodeOTPRequired          = "OTP_REQUIRED"
	CodePaymentInProgress    = "PAYMENT_IN_PROGRESS"
	CodeQRInvalid            = "QR_INVALID"
	CodeScanNotFound         = "SCAN_NOT_FOUND"
	CodeSeatNotFound         = "SEAT_NOT_FOUND"
	CodeSeatNotHeld          = "SEAT_NOT_HELD"
	CodeSeatUnavailable      = "SEAT_UNAVAILABLE"
	CodeTicketAlreadyUsed    = "TICKET_ALREADY_USED"
	CodeTicketDisputed       = "TICKET_DISPUTED"
	CodeTicketLimit          = "TICKET_LIMIT"
	CodeTicketRefunded       = "TICKET_REFUNDED"
	CodeTransferInProgress   = "TRANSFER_IN_PROGRESS"
	CodeTransferInvalidState = "TRANSFER_INVALID_STATE"
	CodeTransferNotFound     = "TRANSFER_NOT_FOUND"
	CodeUndoNotPossible      = "UNDO_NOT_POSSIBLE"
	CodeUserNotFound         = "USER_NOT_FOUND"
)
