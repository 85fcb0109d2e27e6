-- Wrong passwords slow the next try, per account, per network and per both; where an account has logged in from is spared
-- what others cause.
-- +goose Up
CREATE TABLE password_tries (
    key     bytea       NOT NULL CONSTRAINT password_tries_pkey PRIMARY KEY, -- SHA-256 of what is counted
    wrong   integer     NOT NULL CONSTRAINT password_tries_wrong CHECK (wrong >= 0),
    last_at timestamptz NOT NULL,
    next_at timestamptz NOT NULL -- no try before
) WITH (fillfactor = 80);
CREATE INDEX password_tries_last ON password_tries (last_at);

CREATE TABLE known_origins (
    user_id uuid        NOT NULL CONSTRAINT known_origins_user_fkey REFERENCES users ON DELETE CASCADE,
    origin  text        NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT known_origins_pkey PRIMARY KEY (user_id, origin)
);
CREATE INDEX known_origins_seen ON known_origins (seen_at);

-- +goose StatementBegin
-- Takes one try of each key, all or none, and gives 0; or the seconds to wait for it. After p_free[i] wrong ones within p_forget[i]
-- each further one doubles the wait, up to p_most[i]. Keys are locked in one order.
CREATE FUNCTION password_try(p_keys bytea[], p_free integer[], p_most interval[], p_forget interval[]) RETURNS double precision LANGUAGE plpgsql AS $$
DECLARE
    k record;
    t timestamptz := clock_timestamp();
    w timestamptz;
BEGIN
    FOR k IN SELECT * FROM unnest(p_keys, p_free, p_most, p_forget) AS a (key, free, most, forget) ORDER BY key LOOP
        INSERT INTO password_tries (key, wrong, last_at, next_at) VALUES (k.key, 0, t, '-infinity') ON CONFLICT (key) DO NOTHING;
        SELECT next_at INTO w FROM password_tries WHERE key = k.key FOR UPDATE;
        IF w > clock_timestamp() THEN RETURN extract(epoch FROM w - clock_timestamp()); END IF;
    END LOOP;
    t := clock_timestamp();
    UPDATE password_tries p SET wrong = n.wrong, last_at = t,
        next_at = CASE WHEN n.wrong > n.free THEN t + least(n.most, interval '1 second' * power(2, least(n.wrong - n.free - 1, 20))) ELSE '-infinity' END
    FROM (SELECT a.key, a.free, a.most, CASE WHEN q.last_at < t - a.forget THEN 1 ELSE q.wrong + 1 END AS wrong
          FROM unnest(p_keys, p_free, p_most, p_forget) AS a (key, free, most, forget) JOIN password_tries q USING (key)) n
    WHERE p.key = n.key;
    RETURN 0;
END $$;
-- +goose StatementEnd
