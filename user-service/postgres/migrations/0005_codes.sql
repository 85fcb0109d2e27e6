-- One live code per phone number over all accounts: SMU's codes know a number and nothing else. What is sent is counted apart from
-- the challenges, which end with their accounts; wrong codes are counted by who entered them.
-- +goose Up
ALTER TABLE otp_challenges
    ADD COLUMN judged_code  bytea,       -- SHA-256 of challenge and code that SMU is being asked about
    ADD COLUMN judged_since timestamptz,
    ADD CONSTRAINT otp_challenges_judged CHECK ((judged_code IS NULL) = (judged_since IS NULL));

UPDATE otp_challenges SET state = 'EXPIRED' WHERE state = 'PENDING' AND expires_at <= now();
UPDATE otp_challenges c SET state = 'VOID'
    WHERE method = 'sms' AND state IN ('SENDING', 'PENDING') AND EXISTS (
        SELECT FROM otp_challenges n WHERE n.phone = c.phone AND n.method = 'sms' AND n.state = c.state
        AND (n.created_at, n.challenge_id) > (c.created_at, c.challenge_id));
CREATE UNIQUE INDEX otp_challenges_one_live_of_phone ON otp_challenges (phone) WHERE state = 'PENDING' AND method = 'sms';
CREATE UNIQUE INDEX otp_challenges_one_sending_to_phone ON otp_challenges (phone) WHERE state = 'SENDING' AND method = 'sms';

-- claim: to a number that the account has not shown to be its own; asked: because of someone else, or perhaps; known: perhaps, from a network that the
-- account was logged in from; own: the owner's own act.
CREATE TYPE sms_kind AS ENUM ('claim', 'asked', 'known', 'own');

-- What went to SMU, for an hour. No foreign keys: an account that is forgotten leaves its messages counted.
CREATE TABLE sms_sent (
    challenge_id    uuid        NOT NULL CONSTRAINT sms_sent_pkey PRIMARY KEY,
    phone           varchar(20) NOT NULL,
    kind            sms_kind    NOT NULL,
    user_id         uuid        NOT NULL,
    counterparty_id uuid,
    origin          text, -- the network that the request came from; null for what another service asked for
    sent_at         timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX sms_sent_to_phone ON sms_sent (phone, sent_at);
CREATE INDEX sms_sent_of_user ON sms_sent (user_id, sent_at);
CREATE INDEX sms_sent_because_of ON sms_sent (counterparty_id, sent_at) WHERE counterparty_id IS NOT NULL;
CREATE INDEX sms_sent_from ON sms_sent (origin, sent_at) WHERE origin IS NOT NULL;
CREATE INDEX sms_sent_at ON sms_sent (sent_at);
INSERT INTO sms_sent (challenge_id, phone, kind, user_id, counterparty_id, sent_at)
    SELECT challenge_id, phone,
           CASE WHEN purpose = 'registration' THEN 'claim' WHEN counterparty_id IS NOT NULL OR purpose = 'password_reset' THEN 'asked' ELSE 'own' END::sms_kind,
           user_id, counterparty_id, created_at
    FROM otp_challenges WHERE method = 'sms' AND state <> 'UNSENT' AND created_at > now() - interval '1 hour';

-- Wrong codes of the last day. A row is written before the code is judged, and taken away if it was right.
CREATE TABLE wrong_codes (
    wrong_id     bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT wrong_codes_pkey PRIMARY KEY,
    user_id      uuid        NOT NULL CONSTRAINT wrong_codes_user_fkey REFERENCES users ON DELETE CASCADE, -- whose code it was
    purpose      otp_purpose NOT NULL,
    challenge_id uuid        NOT NULL,
    entered_by   text        NOT NULL, -- '' the owner, else who
    entered_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX wrong_codes_of_user ON wrong_codes (user_id, purpose, entered_at);
CREATE INDEX wrong_codes_at ON wrong_codes (entered_at);
INSERT INTO wrong_codes (user_id, purpose, challenge_id, entered_by, entered_at)
    SELECT user_id, purpose, challenge_id, '', created_at FROM otp_challenges, generate_series(1, tries)
    WHERE created_at > now() - interval '1 day';
