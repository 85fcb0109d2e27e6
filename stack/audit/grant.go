package audit

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Role is the role under which the audit reads. It may read what is listed here, and nothing else.
const Role = "auditor"

// readable are the tables that the invariants need, with their columns if others are nobody's business: passwords,
// second factors, codes, what a QR code or a saga holds.
var readable = map[string]map[string]string{
	"seats_db": {
		"seats":          "seat_id, event_id, status, held_until, hold_id, pin_id, owner_user_id, price_paid, ownership_version, void_id, refunded_at, updated_at",
		"seat_ownership": "", "seat_plans": "", "seat_additions": "",
		"entry_logs": "seat_id, result, direction, entry, scanned_at",
	},
	"users_db": {
		"users":          "user_id, credit_balance, phone, is_verified, phone_exclusive",
		"otp_challenges": "challenge_id, method, phone, state, created_at, expires_at, answered_at",
		"movements":      "", "ledger_entries": "", "debts": "", "payments": "", "payment_disputes": "", "failed_refunds": "",
	},
	"orders_db": {"orders": "", "order_refunds": "", "transfers": "", "listings": ""},
	"events_db": {"events": "event_id, total_seats, status, published_at"},
	"sagas_db": {
		"sagas":         "saga_id, kind, subject, status, created_at, updated_at",
		"cancellations": "event_id, started_at, settled_at",
	},
}

// Grant makes the role, or gives it this password, and has it read what the audit of this version reads. dsns are those
// of the databases' owners.
func Grant(ctx context.Context, dsns map[string]string, password string) error {
	if len(password) < 16 {
		return errors.New("AUDIT_DB_PASS must be set, to at least 16 characters")
	}
	secret, err := verifier(password)
	if err != nil {
		return err
	}
	for _, database := range Databases {
		if err := grant(ctx, dsns[database], database, secret); err != nil {
			return fmt.Errorf("%s: %w", database, err)
		}
	}
	return nil
}

func grant(ctx context.Context, dsn, database, secret string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return errors.New("it cannot be reached") // err may have the password
	}
	defer conn.Close(context.WithoutCancel(ctx))
	name := pgx.Identifier{conn.Config().Database}.Sanitize()
	sql := []string{
		`DO $$ BEGIN CREATE ROLE ` + Role + ` LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$`,
		`ALTER ROLE ` + Role + ` LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD '` + secret + `'`,
		`ALTER ROLE ` + Role + ` SET default_transaction_read_only = on`,
		`REVOKE ALL ON ALL TABLES IN SCHEMA public FROM ` + Role,
		`GRANT CONNECT ON DATABASE ` + name + ` TO ` + Role,
		`GRANT USAGE ON SCHEMA public TO ` + Role,
	}
	for _, table := range slices.Sorted(maps.Keys(readable[database])) {
		columns := readable[database][table]
		if columns != "" {
			columns = " (" + columns + ")"
		}
		sql = append(sql, `GRANT SELECT`+columns+` ON `+table+` TO `+Role)
	}
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, strings.Join(sql, "; "))
		return err
	})
}

// verifier is what PostgreSQL stores of a password (SCRAM-SHA-256), so that the password itself stands in no log.
func verifier(password string) (string, error) {
	const rounds = 4096
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails
	salted, err := pbkdf2.Key(sha256.New, password, salt, rounds, sha256.Size)
	if err != nil {
		return "", err
	}
	sign := func(text string) []byte {
		h := hmac.New(sha256.New, salted)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	stored := sha256.Sum256(sign("Client Key"))
	text := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", rounds, text(salt), text(stored[:]), text(sign("Server Key"))), nil
}

// ReadOnly makes the role with a password of its own and returns the connection strings for it.
func ReadOnly(ctx context.Context, dsns map[string]string) (map[string]string, error) {
	password := rand.Text()
	if err := Grant(ctx, dsns, password); err != nil {
		return nil, err
	}
	of := map[string]string{}
	for name, dsn := range dsns {
		u, err := url.Parse(dsn)
		if err != nil {
			return nil, fmt.Errorf("the address of %s is wrong", name)
		}
		u.User = url.UserPassword(Role, password)
		of[name] = u.String()
	}
	return of, nil
}
