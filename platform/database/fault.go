package database

import (
	"errors"

	"ticketremaster/platform/fault"
	"ticketremaster/platform/fence"
)

// Fault returns an error of the database as a fault: SERVICE_UNAVAILABLE of owner ("the order ledger", as in a
// sentence) when the database could not be asked, fence.ErrStale when a Fence failed the transaction. A fault stays as
// it is, and so does anything else, which is our mistake and an INTERNAL_ERROR at the edge. Each service maps its
// database's errors by it, after those that mean something in its own domain.
func Fault(err error, owner string) error {
	var known *fault.Error
	switch {
	case err == nil || errors.As(err, &known):
		return err
	case Violates(err, "saga_fence"):
		return fence.ErrStale
	case Unreachable(err):
		return fault.Unreachable(owner, err)
	}
	return err
}
