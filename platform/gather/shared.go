package gather

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"

	"golang.org/x/sync/singleflight"

	"ticketremaster/platform/fault"
)

// Shared executes one read for all who ask for the same key at the same time. The zero value is ready.
type Shared[T any] struct {
	flight singleflight.Group
}

// Do returns what read returns, or SERVICE_UNAVAILABLE for the dependency that is read (see fault.Unreachable) when ctx
// ends first. read goes on then, for the others: its context has the values of one caller's, no deadline and no end, so
// it must set its own.
func (s *Shared[T]) Do(ctx context.Context, key, dependency string, read func(context.Context) (T, error)) (T, error) {
	shared := s.flight.DoChan(key, func() (_ any, err error) {
		defer func() {
			if p := recover(); p != nil { // it runs in no caller's goroutine, and would end the process
				slog.ErrorContext(ctx, "a shared read panicked", "panic", p, "stack", string(debug.Stack()))
				err = fmt.Errorf("reading %s panicked: %v", dependency, p)
			}
		}()
		return read(context.WithoutCancel(ctx))
	})
	select {
	case r := <-shared:
		v, _ := r.Val.(T)
		return v, r.Err
	case <-ctx.Done():
		var none T
		return none, fault.Unreachable(dependency, ctx.Err())
	}
}
