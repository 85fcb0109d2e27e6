package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	user "ticketremaster/user-service"
)

// Classes of the advisory locks under which challenges are begun, one user's, one phone number's and one origin's,
// taken in this order; unlike the user's row they stand in no payment's way.
const (
	challengeLocks = 7_020_002
	phoneLocks     = 7_020_003
	originLocks    = 7_020_004
)

// sendingTakes is longer than any sending: a challenge that is SENDING for longer was left by a crash.
const sendingTakes = "10 seconds"

// BeginChallenge records a new challenge. By SMS it is SENDING, and what was live before stays so until FinishSending;
// by TOTP it is live at once. With ifNonePending a live one of the same purpose and reference is given instead, pending
// true. OTP_BUSY where a live one may not be voided (user.Challenge's MayVoid and GivesWay); RATE_LIMITED.
func (s *Store) BeginChallenge(ctx context.Context, c user.Challenge, limits user.OTPLimits, ifNonePending bool) (begun user.Challenge, pending bool, err error) {
	begun = c
	err = s.tx(ctx, func(tx pgx.Tx) error {
		if err := lockChallenges(ctx, tx, c); err != nil {
			return err
		}
		if err := endStale(ctx, tx, c); err != nil {
			return err
		}
		live, err := liveChallenges(ctx, tx, c)
		if err != nil {
			return err
		}
		for _, l := range live {
			mine := l.UserID == c.UserID
			switch {
			case mine && ifNonePending && l.Purpose == c.Purpose && sameID(l.Reference, c.Reference):
				begun, pending = l, true
				return nil
			case mine && !c.MayVoid(l), !mine && !l.GivesWay():
				if c.Kind == user.Claim {
					return user.ErrOTPTooOften // who only claims a number learns nothing of its owner
				}
				return user.ErrOTPBusy
			case l.State == "SENDING":
				return user.ErrOTPSending
			}
		}
		begun.State = "PENDING"
		if c.Method == user.BySMS {
			begun.State = "SENDING"
			err = countSMS(ctx, tx, c, limits)
		} else {
			err = voidLive(ctx, tx, c)
		}
		if err != nil {
			return err
		}
		return tx.QueryRow(ctx, `
			INSERT INTO otp_challenges (challenge_id, user_id, purpose, reference_id, counterparty_id, method, phone, state, expires_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now() + $9::interval) RETURNING expires_at`,
			c.ID, c.UserID, c.Purpose, c.Reference, c.Counterparty, c.Method, c.Phone, begun.State, limits.TTL).Scan(&begun.Expires)
	})
	return begun, pending, err
}

func lockChallenges(ctx context.Context, tx pgx.Tx, c user.Challenge) error {
	if err := lock(ctx, tx, challengeLocks, c.UserID.String()); err != nil || c.Method != user.BySMS {
		return err
	}
	if err := lock(ctx, tx, phoneLocks, c.Phone); err != nil {
		return err
	}
	return lock(ctx, tx, originLocks, user.Origin(ctx))
}

// lock takes the advisory lock of a class on a name until tx ends; none on "".
func lock(ctx context.Context, tx pgx.Tx, class int, name string) error {
	_, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1, hashtext($2)) WHERE $2 <> ''`, class, name)
	return err
}

// touched are the challenges that one of a user's, which goes to a phone by a method, has to do with.
const touched = `(user_id = $1 OR $3 = 'sms' AND method = 'sms' AND phone = $2)`

// endStale ends what is over: codes that have expired, and sendings that were left by a crash. Such a one may have
// reached the phone, whose new code must confirm nothing else: what was live there ends with it.
func endStale(ctx context.Context, tx pgx.Tx, c user.Challenge) error {
	_, err := tx.Exec(ctx, `
		UPDATE otp_challenges SET state = 'EXPIRED' WHERE `+touched+` AND state = 'PENDING' AND expires_at <= now()`, c.UserID, c.Phone, c.Method)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		WITH left_behind AS (
			UPDATE otp_challenges SET state = 'UNSENT'
			WHERE `+touched+` AND state = 'SENDING' AND created_at < now() - interval '`+sendingTakes+`' RETURNING user_id, phone)
		UPDATE otp_challenges o SET state = 'VOID' FROM left_behind l
		WHERE o.state = 'PENDING' AND o.method = 'sms' AND (o.user_id = l.user_id OR o.phone = l.phone)`, c.UserID, c.Phone, c.Method)
	return err
}

// liveChallenges returns those of the user, and those that go to the same phone.
func liveChallenges(ctx context.Context, tx pgx.Tx, c user.Challenge) ([]user.Challenge, error) {
	rows, err := tx.Query(ctx, `
		SELECT challenge_id, user_id, purpose::text, reference_id, counterparty_id, method::text, state::text, expires_at,
		       CASE WHEN purpose = 'registration' OR purpose = 'profile' AND phone <> (SELECT phone FROM users u WHERE u.user_id = o.user_id) THEN 'claim' ELSE 'own' END
		FROM otp_challenges o WHERE `+touched+` AND state IN ('SENDING', 'PENDING')
		ORDER BY state`, c.UserID, c.Phone, c.Method)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (l user.Challenge, err error) {
		err = row.Scan(&l.ID, &l.UserID, &l.Purpose, &l.Reference, &l.Counterparty, &l.Method, &l.State, &l.Expires, &l.Kind)
		return l, err
	})
}

// countSMS counts a message that is to be sent, if it is within every limit: of its number, of its sender, of who
// caused it, and in all.
func countSMS(ctx context.Context, tx pgx.Tx, c user.Challenge, limits user.OTPLimits) error {
	var toPhone, ofUser, ofPair, because, fromOrigin, inAll int
	var origin *string
	if o := user.Origin(ctx); o != "" {
		origin = &o
	}
	err := tx.QueryRow(ctx, `
		SELECT (SELECT count(*) FROM sms_sent WHERE phone = $1 AND sent_at > now() - interval '1 hour'),
		       (SELECT count(*) FROM sms_sent WHERE user_id = $2 AND kind IN ('claim', 'own') AND sent_at > now() - interval '1 hour'),
		       (SELECT count(*) FROM sms_sent WHERE counterparty_id = $3 AND user_id = $2 AND sent_at > now() - interval '1 hour'),
		       (SELECT count(*) FROM sms_sent WHERE counterparty_id = $3 AND sent_at > now() - interval '1 hour'),
		       (SELECT count(*) FROM sms_sent WHERE origin = $4 AND sent_at > now() - interval '1 hour'),
		       (SELECT count(*) FROM sms_sent WHERE sent_at > now() - interval '1 minute')`,
		c.Phone, c.UserID, c.Counterparty, origin).Scan(&toPhone, &ofUser, &ofPair, &because, &fromOrigin, &inAll)
	switch {
	case err != nil:
		return err
	case inAll >= c.Kind.Share(limits.PerMinute):
		return user.ErrSMSFlood
	case toPhone >= c.Kind.Share(limits.SendsPerHour), (c.Kind == user.Claim || c.Kind == user.Own) && ofUser >= limits.SendsPerHour,
		c.Counterparty != nil && (ofPair >= limits.PairPerHour || because >= limits.SendsPerHour), fromOrigin >= limits.PerOrigin:
		return user.ErrOTPTooOften
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO sms_sent (challenge_id, phone, kind, user_id, counterparty_id, origin) VALUES ($1, $2, $3, $4, $5, $6)`,
		c.ID, c.Phone, c.Kind, c.UserID, c.Counterparty, origin)
	return err
}

// What became of a sending.
const (
	Sent        = "PENDING" // the new challenge is live, the old one void
	Unsent      = "UNSENT"  // surely not sent: the old one stands
	SentPerhaps = "PERHAPS" // nobody knows, and the phone may have a new code: neither is live
)

// FinishSending ends what BeginChallenge began and returns when the code expires.
func (s *Store) FinishSending(ctx context.Context, c user.Challenge, outcome string, ttl time.Duration) (expires time.Time, err error) {
	err = s.tx(ctx, func(tx pgx.Tx) error {
		state := outcome
		switch outcome {
		case Unsent:
			if _, err := tx.Exec(ctx, `DELETE FROM sms_sent WHERE challenge_id = $1`, c.ID); err != nil {
				return err
			}
		case SentPerhaps:
			state = Unsent
			fallthrough
		default:
			if err := voidLive(ctx, tx, c); err != nil {
				return err
			}
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

// voidLive ends what is live of the user, and by SMS what is live on the phone: only what gives way is another's.
func voidLive(ctx context.Context, tx pgx.Tx, c user.Challenge) error {
	_, err := tx.Exec(ctx, `UPDATE otp_challenges SET state = 'VOID' WHERE `+touched+` AND state = 'PENDING'`, c.UserID, c.Phone, c.Method)
	return err
}

func sameID(a, b *uuid.UUID) bool {
	return a == nil && b == nil || a != nil && b != nil && *a == *b
}
