package postgres_test

import (
	"context"
	"testing"

	"github.com/google/uuid"

	"ticketremaster/platform/database"
	"ticketremaster/platform/testenv"
	user "ticketremaster/user-service"
	"ticketremaster/user-service/postgres"
)

// A booking that is asked for again is not answered before the first is safe: where all standbys are gone, a reader sees
// what can still be lost.
func TestARepeatIsAsSafeAsTheFirst(t *testing.T) {
	server := testenv.ReplicatedPostgres(t)
	pool, err := database.Open(t.Context(), server.URL, postgres.Migrations())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	s := postgres.New(pool)
	ctx := context.WithoutCancel(t.Context())
	ann, bob := uuid.New(), uuid.New()
	for id, name := range map[uuid.UUID]string{ann: "ann", bob: "bob"} {
		if _, err := pool.Exec(ctx, `INSERT INTO users (user_id, email, phone, password_hash, is_verified) VALUES ($1, $2 || '@example.com', '+6591111111', 'x', true)`, id, name); err != nil {
			t.Fatal(err)
		}
	}
	granted, bought, returned, released, escrowReturned, dispute, undisputed, taken, reversal, refund := uuid.New(), uuid.New(), uuid.New(), uuid.New(), uuid.New(), uuid.New(), uuid.New(), uuid.New(), uuid.New(), uuid.New()
	topUp, event := uuid.New(), user.PaymentEvent{ID: "evt_1", Type: "payment_intent.succeeded", Intent: "pi_1", Currency: "sgd", Ours: "sgd"}
	for _, step := range []struct {
		what string
		do   func() error
		once bool // prepares for another; it is not repeated
	}{
		{"a grant", func() error { return s.Grant(ctx, granted, ann, 500_00) }, false},
		{"a deduction", func() error { _, err := s.Deduct(ctx, bought, ann, 10_00, nil); return err }, false},
		{"", func() error { _, err := s.Deduct(ctx, returned, ann, 10_00, nil); return err }, true},
		{"a return", func() error { _, err := s.Return(ctx, returned); return err }, false},
		{"an escrow", func() error { _, err := s.Escrow(ctx, released, ann, 10_00, nil); return err }, false},
		{"an escrow's release", func() error { _, err := s.ReleaseEscrow(ctx, released, bob, 0); return err }, false},
		{"", func() error { _, err := s.Escrow(ctx, escrowReturned, ann, 10_00, nil); return err }, true},
		{"an escrow's return", func() error { _, err := s.ReturnEscrow(ctx, escrowReturned); return err }, false},
		{"a freeze", func() error { _, _, err := s.Freeze(ctx, dispute, ann, 10_00); return err }, false},
		{"", func() error { _, _, err := s.Freeze(ctx, undisputed, ann, 10_00); return err }, true},
		{"an unfreezing", func() error { _, err := s.Unfreeze(ctx, undisputed); return err }, false},
		{"", func() error { _, _, err := s.Freeze(ctx, taken, ann, 10_00); return err }, true},
		{"a freeze taken into an escrow", func() error { _, err := s.FreezeToEscrow(ctx, reversal, taken, false); return err }, false},
		{"a ticket's refund", func() error {
			return s.RefundTickets(ctx, []postgres.TicketRefund{{ID: refund, UserID: ann, OrderID: bought, Amount: 10_00}})
		}, false},
		{"a top-up", func() error { _, err := s.BeginTopUp(ctx, topUp, ann, 10_00, "key", 10); return err }, false},
		{"an event of Stripe's", func() error { _, err := s.PaymentEvent(ctx, event); return err }, false},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		if !step.once {
			server.Unanswered(step.what, step.do)
		}
	}
}
