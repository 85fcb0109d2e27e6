-- Accounts, sessions and one-time passwords. Times are judged by this database's clock.
-- +goose Up
CREATE TYPE user_role AS ENUM ('customer', 'staff', 'admin');

CREATE TABLE users (
    user_id          uuid          NOT NULL CONSTRAINT users_pkey PRIMARY KEY,
    email            varchar(255)  NOT NULL CONSTRAINT users_email_unique UNIQUE,
    phone            varchar(20)   NOT NULL,
    password_hash    text          NOT NULL,
    credit_balance   numeric(10,2) NOT NULL DEFAULT 0, -- the sum of the user's movements (0002)
    two_fa_secret    text,                             -- in force; encrypted under TOTP_ENCRYPTION_KEY
    two_fa_pending   text,                             -- enrolled, waiting for its first valid code
    two_fa_last_step bigint        NOT NULL DEFAULT 0, -- the last time step used, against replay
    is_flagged       boolean       NOT NULL DEFAULT false,
    is_verified      boolean       NOT NULL DEFAULT false,
    role             user_role     NOT NULL DEFAULT 'customer',
    created_at       timestamptz   NOT NULL DEFAULT now(),
    CONSTRAINT users_email_lower CHECK (email = lower(email) AND email LIKE '_%@_%'),
    CONSTRAINT users_phone_e164 CHECK (phone ~ '^\+[1-9][0-9]{7,14}$'),
    CONSTRAINT users_credit_balance_not_negative CHECK (credit_balance >= 0)
) WITH (fillfactor = 80); -- a balance changes in place: no index names it

CREATE TABLE sessions (
    session_id   uuid        NOT NULL CONSTRAINT sessions_pkey PRIMARY KEY,
    user_id      uuid        NOT NULL CONSTRAINT sessions_user_fkey REFERENCES users ON DELETE CASCADE,
    refresh_hash bytea       NOT NULL CONSTRAINT sessions_refresh_hash_unique UNIQUE,
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL,
    revoked_at   timestamptz,
    CONSTRAINT sessions_refresh_hash_sha256 CHECK (octet_length(refresh_hash) = 32),
    CONSTRAINT sessions_seven_days CHECK (expires_at <= created_at + interval '7 days')
);
CREATE INDEX sessions_user ON sessions (user_id) WHERE revoked_at IS NULL;

-- seq is given out under an advisory lock that ends with the commit, so whoever has read n has read all before n.
CREATE TABLE revocations (
    seq        bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT revocations_pkey PRIMARY KEY,
    session_id uuid        NOT NULL,
    until      timestamptz NOT NULL
);

CREATE TYPE otp_purpose AS ENUM ('registration', 'login', 'password_reset', 'totp', 'profile', 'purchase', 'transfer');
CREATE TYPE otp_method AS ENUM ('sms', 'totp');
CREATE TYPE otp_state AS ENUM ('SENDING', 'PENDING', 'VERIFIED', 'FAILED', 'EXPIRED', 'VOID', 'UNSENT');
CREATE TYPE otp_answer AS ENUM ('OK', 'INVALID', 'MAX_RETRIES', 'EXPIRED');

-- SENDING -> PENDING | UNSENT | VOID;  PENDING -> VERIFIED | FAILED (too many wrong codes) | EXPIRED | VOID
CREATE TABLE otp_challenges (
    challenge_id    uuid        NOT NULL CONSTRAINT otp_challenges_pkey PRIMARY KEY,
    user_id         uuid        NOT NULL CONSTRAINT otp_challenges_user_fkey REFERENCES users ON DELETE CASCADE,
    purpose         otp_purpose NOT NULL,
    reference_id    uuid,
    counterparty_id uuid,
    method          otp_method  NOT NULL,
    phone           varchar(20) NOT NULL, -- where the code went
    state           otp_state   NOT NULL,
    tries           smallint    NOT NULL DEFAULT 0, -- wrong codes
    created_at      timestamptz NOT NULL DEFAULT now(),
    expires_at      timestamptz NOT NULL,
    answered_code   bytea,                 -- SHA-256 of challenge and code: an identical repeat is no new try
    answer          otp_answer,
    answered_at     timestamptz,
    CONSTRAINT otp_challenges_reference CHECK (purpose NOT IN ('purchase', 'transfer') OR reference_id IS NOT NULL),
    CONSTRAINT otp_challenges_tries CHECK (tries BETWEEN 0 AND 3),
    CONSTRAINT otp_challenges_answer CHECK ((answered_code IS NULL) = (answer IS NULL) AND (answer IS NULL) = (answered_at IS NULL))
);
CREATE UNIQUE INDEX otp_challenges_one_live ON otp_challenges (user_id) WHERE state = 'PENDING';
CREATE UNIQUE INDEX otp_challenges_one_sending ON otp_challenges (user_id) WHERE state = 'SENDING';
CREATE INDEX otp_challenges_of_user ON otp_challenges (user_id, created_at DESC);

-- +goose StatementBegin
CREATE FUNCTION otp_challenges_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state <> NEW.state AND NOT (
        OLD.state = 'SENDING' AND NEW.state IN ('PENDING', 'UNSENT', 'VOID') OR
        OLD.state = 'PENDING' AND NEW.state IN ('VERIFIED', 'FAILED', 'EXPIRED', 'VOID'))
    THEN
        RAISE EXCEPTION 'a challenge does not go from % to %', OLD.state, NEW.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'otp_challenges_transition';
    END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER otp_challenges_transition BEFORE UPDATE OF state ON otp_challenges
    FOR EACH ROW EXECUTE FUNCTION otp_challenges_transition();
