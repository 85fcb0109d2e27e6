-- Who is one person for limits; numbers that belong to one account; registrations that nobody confirmed.
-- +goose Up
ALTER TABLE users
    ADD COLUMN phone_exclusive boolean NOT NULL DEFAULT false, -- confirmed where a number belongs to one account
    ADD COLUMN phone_lost_at   timestamptz;                    -- another account has confirmed the number since
CREATE UNIQUE INDEX users_phone_exclusive ON users (phone) WHERE is_verified AND phone_exclusive;
CREATE INDEX users_phone ON users (phone) WHERE is_verified;
CREATE INDEX users_unverified ON users (created_at) WHERE NOT is_verified AND phone_lost_at IS NULL;

-- A confirmed number, and an e-mail address without its +tag, each lead to one person. Accounts that share either share the person.
CREATE TABLE people (
    key       text NOT NULL CONSTRAINT people_pkey PRIMARY KEY, -- 'phone ' or 'mail ' and the number or address
    person_id uuid NOT NULL
);
CREATE INDEX people_person ON people (person_id);

CREATE FUNCTION phone_key(phone text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'phone ' || phone $$;
CREATE FUNCTION mail_key(email text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'mail ' || regexp_replace(email, '\+[^@]*@', '@') $$;
CREATE INDEX users_mail_key ON users (mail_key(email)) WHERE is_verified;

-- +goose StatementBegin
CREATE FUNCTION users_are_people() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE of_phone uuid; of_mail uuid;
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.is_verified THEN -- what this account has left, and nobody else has, leads to it no more
        DELETE FROM people WHERE key = phone_key(OLD.phone) AND (OLD.phone <> NEW.phone OR NOT NEW.is_verified)
            AND NOT EXISTS (SELECT FROM users WHERE phone = OLD.phone AND is_verified AND user_id <> OLD.user_id);
        DELETE FROM people WHERE key = mail_key(OLD.email) AND mail_key(OLD.email) <> mail_key(NEW.email)
            AND NOT EXISTS (SELECT FROM users WHERE mail_key(email) = mail_key(OLD.email) AND is_verified AND user_id <> OLD.user_id);
    END IF;
    IF NEW.is_verified THEN
        INSERT INTO people VALUES (phone_key(NEW.phone), NEW.user_id) ON CONFLICT DO NOTHING;
        SELECT person_id INTO of_phone FROM people WHERE key = phone_key(NEW.phone);
        INSERT INTO people VALUES (mail_key(NEW.email), of_phone) ON CONFLICT DO NOTHING;
        SELECT person_id INTO of_mail FROM people WHERE key = mail_key(NEW.email);
        IF of_mail <> of_phone THEN -- two turn out to be one: the older's id stays
            UPDATE people SET person_id = least(of_mail, of_phone) WHERE person_id = greatest(of_mail, of_phone);
        END IF;
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER users_are_people AFTER INSERT OR UPDATE OF phone, email, is_verified ON users
    FOR EACH ROW EXECUTE FUNCTION users_are_people();
UPDATE users SET is_verified = is_verified WHERE is_verified;
