package postgres

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	user "ticketremaster/user-service"
)

// challengeLocks is the class of the advisory locks under which one user's challenges are begun; unlike the user's row
// it does not block payments.
const challengeLocks = 7_020_002

// sendingTakes is longer than any send takes: a challenge that is SENDING for longer was left by a crash.
const sendingTakes = "10 seconds"

// BeginChallenge writes a new challenge down. By SMS it is SENDING, and what was live before stays so until FinishSending; by
// TOTP it is live at once. With ifNonePending a live one of the same purpose and reference is given instead, pending true.
// OTP_BUSY where the live one may not be voided (user.Challenge.MayVoid); RATE_LIMITED.
func (s *Store) BeginChallenge(ctx context.Context, c user.Challenge, limits user.OTPLimits, ifNonePending bool) (begun user.Challenge, pending bool, err error) {
	begun = c
	err = s.tx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1, hashtext($2))`, challengeLocks, c.UserID.String()); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			UPDATE otp_challenges SET state = 'UNSENT' WHERE user_id = $1 AND state = 'SENDING' AND created_at < now() - interval '`+sendingTakes+`'`, c.UserID); err != nil {
			return err
		}
		live, err := liveChallenges(ctx, tx, c.UserID)
		if err != nil {
			return err
		}
		for _, l := range live {
			same := l.Purpose == c.Purpose && sameID(l.Reference, c.Reference)
			switch {
			case same && ifNonePending:
				begun, pending = l, true
				return nil
			case !c.MayVoid(l.Purpose):
				return user.ErrOTPBusy
			case l.State == "SENDING":
				return user.ErrOTPSending
			}
		}
		var sent, because int
		// Anyone may ask for a password reset: those are counted separately, so that they use up nobody's codes for
		// purchases.
		err = tx.QueryRow(ctx, `
			SELECT count(*), count(*) FILTER (WHERE counterparty_id = $2) FROM otp_challenges
			WHERE user_id = $1 AND created_at > now() - interval '1 hour' AND state <> 'UNSENT' AND method = 'sms'
			  AND (purpose = 'password_reset') = ($3 = 'password_reset')`,
			c.UserID, c.Counterparty, c.Purpose).Scan(&sent, &because)
		if err != nil {
			return err
		}
		if c.Method == user.BySMS && sent >= limits.SendsPerHour || c.Counterparty != nil && because >= limits.PairPerHour {
			return user.ErrOTPTooOften
		}
		begun.State = "SENDING"
		if c.Method == user.ByTOTP {
			begun.State = "PENDING"
			if err := voidLive(ctx, tx, c.UserID); err != nil {
				return err
			}
		}
		return tx.QueryRow(ctx, `
			INSERT INTO otp_challenges (challenge_id, user_id, purpose, reference_id, counterparty_id, method, phone, state, expires_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now() + $9::interval) RETURNING expires_at`,
			c.ID, c.UserID, c.Purpose, c.Reference, c.Counterparty, c.Method, c.Phone, begun.State, limits.TTL).Scan(&begun.Expires)
	})
	return begun, pending, err
}

// Outcomes of a send.
const (
	Sent        = "PENDING" // the new challenge is live, the old one void
	Unsent      = "UNSENT"  // certainly not sent: the old one stays live
	SentPerhaps = "PERHAPS" // unknown, and the phone may have a new code: neither is live
)

// FinishSending ends what BeginChallenge began and gives when the code expires.
func (s *Store) FinishSending(ctx context.Context, c user.Challenge, outcome string, ttl time.Duration) (expires time.Time, err error) {
	err = s.tx(ctx, func(tx pgx.Tx) error {
		if outcome != Unsent {
			if err := voidLive(ctx, tx, c.UserID); err != nil {
				return err
			}
		}
		state := outcome
		if outcome == SentPerhaps {
			state = Unsent
		}
		err := tx.QueryRow(ctx, `
			UPDATE otp_challenges SET state = $2, expires_at = now() + $3::interval
			WHERE challenge_id = $1 AND state = 'SENDING' RETURNING expires_at`, c.ID, state, ttl).Scan(&expires)
		if errors.Is(err, pgx.ErrNoRows) {
			return user.ErrOTPSending // something newer has taken its place
		}
		return err
	})
	return expires, err
}

// CancelChallenge voids a live challenge of that purpose and reference.
func (s *Store) CancelChallenge(ctx context.Context, userID uuid.UUID, purpose string, reference *uuid.UUID) error {
	_, err := s.pool.Exec(ctx, `
		UPDATE otp_challenges SET state = 'VOID'
		WHERE user_id = $1 AND purpose = $2 AND reference_id IS NOT DISTINCT FROM $3 AND state IN ('SENDING', 'PENDING')`, userID, purpose, reference)
	return faulty(err)
}

// Check checks a code against the challenge: "OK", "INVALID" or "EXPIRED", and for TOTP its time step. After an error
// the outcome is unknown, and nothing is recorded.
type Check func(ctx context.Context, c user.Challenge, secret string) (answer string, step int64, err error)

// Answer lets check judge a code for the user's present challenge (of that purpose and reference, where given) and records the answer. The
// challenge stays locked meanwhile, so that identical codes that come at once are one try. It gives the challenge; OTP_INVALID,
// OTP_EXPIRED, OTP_MAX_RETRIES, VALIDATION_ERROR if none is pending, or check's error.
func (s *Store) Answer(ctx context.Context, userID uuid.UUID, purpose *string, reference *uuid.UUID, code string, wrongPerDay int, check Check) (c user.Challenge, err error) {
	var answer string
	err = s.tx(ctx, func(tx pgx.Tx) error {
		var secret string
		if c, secret, err = presentChallenge(ctx, tx, userID, purpose, reference); err != nil {
			return err
		}
		key := user.AnswerKey(c.ID, code)
		switch {
		case c.Repeat != nil && bytes.Equal(c.Repeat, key):
			answer = c.Answer
			return nil
		case c.State == "FAILED":
			return user.ErrOTPMaxRetries
		case c.State == "EXPIRED":
			return user.ErrOTPExpired
		case c.State != "PENDING":
			return user.ErrOTPNone
		}
		var wrong int
		err := tx.QueryRow(ctx, `
			SELECT coalesce(sum(tries), 0) FROM otp_challenges
			WHERE user_id = $1 AND purpose = $2 AND created_at > now() - interval '1 day'`, userID, c.Purpose).Scan(&wrong)
		if err != nil {
			return err
		}
		var step int64
		switch {
		case wrong >= wrongPerDay:
			answer = "MAX_RETRIES"
		case c.Expired:
			answer = "EXPIRED"
		default:
			if answer, step, err = check(ctx, c, secret); err != nil {
				return err
			}
		}
		if answer == "OK" && c.Method == user.ByTOTP {
			if answer, err = useStep(ctx, tx, userID, step); err != nil {
				return err
			}
		}
		if answer == "INVALID" {
			if c.Tries++; c.Tries >= user.MaxTries || wrong+1 >= wrongPerDay {
				answer = "MAX_RETRIES"
			}
		}
		_, err = tx.Exec(ctx, `
			UPDATE otp_challenges SET tries = $2, answered_code = $3, answer = $4, answered_at = clock_timestamp(), state = $5 WHERE challenge_id = $1`,
			c.ID, c.Tries, key, answer, stateAfter[answer])
		return err
	})
	if err != nil {
		return c, err
	}
	return c, answers[answer]
}

// stateAfter and answers map an answer to the challenge's next state and to the caller's error.
var (
	stateAfter = map[string]string{"OK": "VERIFIED", "INVALID": "PENDING", "MAX_RETRIES": "FAILED", "EXPIRED": "EXPIRED"}
	answers    = map[string]error{"OK": nil, "INVALID": user.ErrOTPInvalid, "MAX_RETRIES": user.ErrOTPMaxRetries, "EXPIRED": user.ErrOTPExpired}
)

// presentChallenge locks and gives the newest challenge that was not voided. While a newer one is being sent there is none: the phone may
// have its code already, which must not confirm anything else.
func presentChallenge(ctx context.Context, tx pgx.Tx, userID uuid.UUID, purpose *string, reference *uuid.UUID) (c user.Challenge, secret string, err error) {
	err = tx.QueryRow(ctx, `
		SELECT c.challenge_id, c.user_id, c.purpose::text, c.reference_id, c.method::text, c.phone, c.state::text, c.tries, c.expires_at,
		       c.expires_at <= clock_timestamp(),
		       CASE WHEN c.answered_at > clock_timestamp() - $4::interval THEN c.answered_code END, coalesce(c.answer::text, ''), coalesce(u.two_fa_secret, '')
		FROM otp_challenges c JOIN users u USING (user_id)
		WHERE c.user_id = $1 AND ($2::otp_purpose IS NULL OR c.purpose = $2) AND ($3::uuid IS NULL OR c.reference_id = $3)
		  AND c.state IN ('PENDING', 'VERIFIED', 'FAILED', 'EXPIRED')
		  AND NOT EXISTS (SELECT FROM otp_challenges n WHERE n.user_id = $1 AND n.state = 'SENDING' AND n.created_at > now() - interval '`+sendingTakes+`')
		ORDER BY c.created_at DESC LIMIT 1 FOR UPDATE OF c`, userID, purpose, reference, user.RepeatWindow).Scan(
		&c.ID, &c.UserID, &c.Purpose, &c.Reference, &c.Method, &c.Phone, &c.State, &c.Tries, &c.Expires, &c.Expired, &c.Repeat, &c.Answer, &secret)
	if errors.Is(err, pgx.ErrNoRows) {
		return c, "", user.ErrOTPNone
	}
	return c, secret, err
}

// useStep uses up a TOTP time step: a code that was used before is wrong.
func useStep(ctx context.Context, tx pgx.Tx, userID uuid.UUID, step int64) (answer string, err error) {
	tag, err := tx.Exec(ctx, `UPDATE users SET two_fa_last_step = $2 WHERE user_id = $1 AND two_fa_last_step < $2`, userID, step)
	if err == nil && tag.RowsAffected() == 0 {
		return "INVALID", nil
	}
	return "OK", err
}

func liveChallenges(ctx context.Context, tx pgx.Tx, userID uuid.UUID) ([]user.Challenge, error) {
	rows, err := tx.Query(ctx, `
		SELECT challenge_id, user_id, purpose::text, reference_id, method::text, state::text, expires_at FROM otp_challenges
		WHERE user_id = $1 AND (state = 'SENDING' OR state = 'PENDING' AND expires_at > now())
		ORDER BY state`, userID)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (c user.Challenge, err error) {
		err = row.Scan(&c.ID, &c.UserID, &c.Purpose, &c.Reference, &c.Method, &c.State, &c.Expires)
		return c, err
	})
}

func voidLive(ctx context.Context, tx pgx.Tx, userID uuid.UUID) error {
	_, err := tx.Exec(ctx, `UPDATE otp_challenges SET state = 'VOID' WHERE user_id = $1 AND state = 'PENDING'`, userID)
	return err
}

func sameID(a, b *uuid.UUID) bool {
	return a == nil && b == nil || a != nil && b != nil && *a == *b
}
