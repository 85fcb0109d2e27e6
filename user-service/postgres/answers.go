package postgres

import (
	"bytes"
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	user "ticketremaster/user-service"
)

// judgingTakes is longer than any judging: a try that was not settled by then was left by a crash, and stays counted.
const judgingTakes = "3 seconds"

// Entry is a code that someone enters for a user's challenge, of that purpose ("" any) and reference (nil: any).
type Entry struct {
	UserID    uuid.UUID
	Purpose   string
	Reference *uuid.UUID
	Code      string
	By        string // who enters it, "" the owner
}

// Try is one try at a challenge: taken, to be judged and settled; or answered before.
type Try struct {
	user.Challenge
	Secret  string // sealed TOTP secret of the owner
	Judged  bool   // nothing is to be asked: this very code was answered a moment ago
	wrongID int64
	key     []byte
}

// ErrJudging says that another code of the same challenge is being judged: to be tried again in a moment.
var ErrJudging = errors.New("another code is being judged")

// TakeTry takes one of the tries of the user's present challenge, for SettleTry to settle. Nothing is locked in
// between. An identical code gets the answer it got before, if that was less than user.RepeatWindow ago, and takes no
// try. OTP_INVALID, OTP_EXPIRED, OTP_MAX_RETRIES, RATE_LIMITED if only the owner may still try, VALIDATION_ERROR if
// none is pending, ErrJudging.
func (s *Store) TakeTry(ctx context.Context, e Entry, limits user.OTPLimits) (t Try, err error) {
	var refusal error // what is recorded beside it stands
	err = s.tx(ctx, func(tx pgx.Tx) error {
		p, err := presentChallenge(ctx, tx, e)
		if err != nil {
			return err
		}
		t = Try{Challenge: p.Challenge, Secret: p.secret, key: user.AnswerKey(p.ID, e.Code)}
		switch {
		case p.repeat != nil && bytes.Equal(p.repeat, t.key):
			t.Judged, refusal = true, answers[p.answer]
			return nil
		case p.State == "FAILED":
			return user.ErrOTPMaxRetries
		case p.State == "EXPIRED":
			return user.ErrOTPExpired
		case p.State != "PENDING":
			return user.ErrOTPNone
		case p.judging:
			return ErrJudging
		case p.expired:
			refusal = user.ErrOTPExpired
			return end(ctx, tx, t, "EXPIRED")
		}
		wrong, err := wrongCodes(ctx, tx, t.Challenge, e.By)
		if err != nil {
			return err
		}
		if refusal = limits.Over(t.Purpose, e.By == "", wrong); refusal != nil {
			if refusal == user.ErrOTPMaxRetries && t.EndsBy(e.By == "") {
				return end(ctx, tx, t, "MAX_RETRIES")
			}
			return nil
		}
		err = tx.QueryRow(ctx, `
			INSERT INTO wrong_codes (user_id, purpose, challenge_id, entered_by) VALUES ($1, $2, $3, $4) RETURNING wrong_id`,
			t.UserID, t.Purpose, t.ID, e.By).Scan(&t.wrongID)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE otp_challenges SET judged_code = $2, judged_since = clock_timestamp() WHERE challenge_id = $1`, t.ID, t.key)
		return err
	})
	if err == nil {
		err = refusal
	}
	return t, err
}

// SettleTry records what a try's code was judged to be: "OK" (with the TOTP time step it belongs to), "INVALID" or
// "EXPIRED"; "" says that nobody knows, and the try is given back. What the user asked for meanwhile voids it:
// VALIDATION_ERROR. Else the answer's refusal, nil for a right code.
func (s *Store) SettleTry(ctx context.Context, t Try, by, verdict string, step int64, limits user.OTPLimits) error {
	answer := verdict
	err := s.tx(ctx, func(tx pgx.Tx) error {
		var stands bool
		err := tx.QueryRow(ctx, `
			SELECT state = 'PENDING' AND NOT EXISTS (
				SELECT FROM otp_challenges n WHERE n.challenge_id <> c.challenge_id AND n.created_at >= c.judged_since AND c.method = 'sms'
				AND n.method = 'sms' AND n.phone = c.phone) -- a new code went out: SMU may have judged by that
			FROM otp_challenges c WHERE challenge_id = $1 AND judged_code = $2 FOR UPDATE`, t.ID, t.key).Scan(&stands)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		if answer == "OK" && stands && t.Method == user.ByTOTP {
			if answer, err = useStep(ctx, tx, t.UserID, step); err != nil {
				return err
			}
		}
		if answer != "INVALID" {
			if _, err := tx.Exec(ctx, `DELETE FROM wrong_codes WHERE wrong_id = $1`, t.wrongID); err != nil {
				return err
			}
		}
		switch {
		case !stands:
			answer = "NONE"
			return nil
		case answer == "":
			_, err := tx.Exec(ctx, `UPDATE otp_challenges SET judged_code = NULL, judged_since = NULL WHERE challenge_id = $1`, t.ID)
			return err
		case answer == "INVALID":
			wrong, err := wrongCodes(ctx, tx, t.Challenge, by)
			if err != nil {
				return err
			}
			if limits.Over(t.Purpose, by == "", wrong) == user.ErrOTPMaxRetries && t.EndsBy(by == "") {
				answer = "MAX_RETRIES"
			}
		}
		return end(ctx, tx, t, answer)
	})
	if err != nil {
		return err
	}
	return answers[answer]
}

// end records an answer and what it does to its challenge.
func end(ctx context.Context, tx pgx.Tx, t Try, answer string) error {
	_, err := tx.Exec(ctx, `
		UPDATE otp_challenges SET judged_code = NULL, judged_since = NULL, answered_code = $2, answer = $3, answered_at = clock_timestamp(), state = $4,
			tries = least(3, (SELECT count(*) FROM wrong_codes w WHERE w.challenge_id = $1 AND w.entered_by = ''))
		WHERE challenge_id = $1`, t.ID, t.key, answer, stateAfter[answer])
	return err
}

// stateAfter and answers say what an answer does to its challenge and what its giver is told.
var (
	stateAfter = map[string]string{"OK": "VERIFIED", "INVALID": "PENDING", "MAX_RETRIES": "FAILED", "EXPIRED": "EXPIRED"}
	answers    = map[string]error{"OK": nil, "": nil, "INVALID": user.ErrOTPInvalid, "MAX_RETRIES": user.ErrOTPMaxRetries, "EXPIRED": user.ErrOTPExpired,
		"NONE": user.ErrOTPNone}
)

// present is a challenge as it is found when a code is entered.
type present struct {
	user.Challenge
	expired bool   // by the database's clock
	judging bool   // another code is with SMU
	repeat  []byte // AnswerKey of the code answered last, if that was less than user.RepeatWindow ago
	answer  string // to that code
	secret  string
}

// presentChallenge locks and returns the newest challenge that was not voided. While a newer one is being sent there is
// none: the phone may have its code already, which must not confirm anything else. So it is after a sending that was
// left by a crash, until the next one.
func presentChallenge(ctx context.Context, tx pgx.Tx, e Entry) (p present, err error) {
	var purpose *string
	if e.Purpose != "" {
		purpose = &e.Purpose
	}
	err = tx.QueryRow(ctx, `
		SELECT c.challenge_id, c.user_id, c.purpose::text, c.reference_id, c.method::text, c.phone, c.state::text, c.expires_at,
		       c.expires_at <= clock_timestamp(), coalesce(c.judged_since > clock_timestamp() - interval '`+judgingTakes+`', false),
		       CASE WHEN c.answered_at > clock_timestamp() - $4::interval THEN c.answered_code END, coalesce(c.answer::text, ''), coalesce(u.two_fa_secret, '')
		FROM otp_challenges c JOIN users u USING (user_id)
		WHERE c.user_id = $1 AND ($2::otp_purpose IS NULL OR c.purpose = $2) AND ($3::uuid IS NULL OR c.reference_id = $3)
		  AND c.state IN ('PENDING', 'VERIFIED', 'FAILED', 'EXPIRED')
		  AND NOT EXISTS (SELECT FROM otp_challenges n WHERE n.state = 'SENDING' AND (n.user_id = $1 OR n.phone = c.phone AND c.method = 'sms'))
		ORDER BY c.created_at DESC LIMIT 1 FOR UPDATE OF c`, e.UserID, purpose, e.Reference, user.RepeatWindow).Scan(
		&p.ID, &p.UserID, &p.Purpose, &p.Reference, &p.Method, &p.Phone, &p.State, &p.Expires, &p.expired, &p.judging, &p.repeat, &p.answer, &p.secret)
	if errors.Is(err, pgx.ErrNoRows) {
		return p, user.ErrOTPNone
	}
	return p, err
}

// wrongCodes counts the wrong codes of a challenge and of a day.
func wrongCodes(ctx context.Context, tx pgx.Tx, c user.Challenge, by string) (w user.Wrong, err error) {
	err = tx.QueryRow(ctx, `
		SELECT count(*) FILTER (WHERE entered_by = $4 AND challenge_id = $3), count(*) FILTER (WHERE entered_by = $4),
		       count(*) FILTER (WHERE entered_by <> '' AND challenge_id = $3), count(*) FILTER (WHERE entered_by <> '')
		FROM wrong_codes WHERE user_id = $1 AND purpose = $2 AND entered_at > now() - interval '1 day'`, c.UserID, c.Purpose, c.ID, by).Scan(
		&w.Mine, &w.MineOfDay, &w.Strangers, &w.StrangersOfDay)
	return w, err
}

// useStep spends a TOTP time step: a code that was used before is as wrong as any other.
func useStep(ctx context.Context, tx pgx.Tx, userID uuid.UUID, step int64) (answer string, err error) {
	tag, err := tx.Exec(ctx, `UPDATE users SET two_fa_last_step = $2 WHERE user_id = $1 AND two_fa_last_step < $2`, userID, step)
	if err == nil && tag.RowsAffected() == 0 {
		return "INVALID", nil
	}
	return "OK", err
}
