-- sagas_db as the migrations leave it. Made by `make schema`; do not edit.

CREATE FUNCTION messages_guard() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF TG_OP = 'DELETE' OR OLD.status <> 'PARKED' THEN
        RAISE EXCEPTION 'what was decided about a message is kept' USING ERRCODE = 'check_violation', CONSTRAINT = 'messages_kept';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION sagas_guard() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'sagas are never deleted' USING ERRCODE = 'check_violation', CONSTRAINT = 'sagas_kept';
    END IF;
    IF OLD.status <> NEW.status AND (OLD.status, NEW.status) NOT IN (
        ('RUNNING', 'DONE'), ('RUNNING', 'COMPENSATING'), ('RUNNING', 'PARKED'),
        ('COMPENSATING', 'UNDONE'), ('COMPENSATING', 'PARKED'),
        ('PARKED', 'RUNNING'), ('PARKED', 'COMPENSATING')) THEN -- by a person, to have it tried again
        RAISE EXCEPTION 'a saga cannot go from % to %', OLD.status, NEW.status
            USING ERRCODE = 'check_violation', CONSTRAINT = 'sagas_transition';
    END IF;
    RETURN NEW;
END $$;

CREATE TABLE admin_requests (
    admin_id uuid NOT NULL,
    key text NOT NULL,
    fingerprint bytea NOT NULL,
    operation_id uuid NOT NULL,
    made_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT admin_requests_key_short CHECK ((length(key) <= 400))
);

CREATE TABLE cancellations (
    event_id uuid NOT NULL,
    code_hash bytea NOT NULL,
    previewed_by uuid NOT NULL,
    previewed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    tickets integer NOT NULL,
    holders integer NOT NULL,
    credits numeric(12,2) NOT NULL,
    reason text,
    started_at timestamp with time zone,
    batches integer DEFAULT 0 NOT NULL,
    look_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    settled_at timestamp with time zone,
    CONSTRAINT cancellations_reason_length CHECK ((length(reason) <= 500)),
    CONSTRAINT cancellations_settled_after_start CHECK (((settled_at IS NULL) OR (started_at IS NOT NULL))),
    CONSTRAINT cancellations_started_with_reason CHECK (((started_at IS NULL) = (reason IS NULL)))
);

CREATE TABLE messages (
    message_id uuid NOT NULL,
    queue text NOT NULL,
    because text NOT NULL,
    correlation_id text NOT NULL,
    parked_at timestamp with time zone NOT NULL,
    body bytea NOT NULL,
    status text DEFAULT 'PARKED'::text NOT NULL,
    decided_by uuid,
    decided_at timestamp with time zone,
    reason text,
    CONSTRAINT messages_decided CHECK ((num_nonnulls(decided_by, decided_at, reason) =
CASE status
    WHEN 'PARKED'::text THEN 0
    ELSE 3
END)),
    CONSTRAINT messages_reason_length CHECK ((length(reason) <= 500)),
    CONSTRAINT messages_status_known CHECK ((status = ANY (ARRAY['PARKED'::text, 'REPLAYED'::text, 'DROPPED'::text])))
);

CREATE TABLE sagas (
    saga_id uuid NOT NULL,
    kind text NOT NULL,
    subject text NOT NULL,
    status text NOT NULL,
    state jsonb NOT NULL,
    turned integer DEFAULT 0 NOT NULL,
    refusal jsonb,
    trail jsonb DEFAULT '[]'::jsonb NOT NULL,
    correlation_id text DEFAULT ''::text NOT NULL,
    lease_owner uuid NOT NULL,
    lease_until timestamp with time zone NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    epoch bigint DEFAULT 1 NOT NULL,
    reached integer DEFAULT 0 NOT NULL,
    rounds integer DEFAULT 0 NOT NULL,
    stalled_since timestamp with time zone,
    unreported boolean DEFAULT false NOT NULL,
    parked_from text,
    CONSTRAINT sagas_parked_from CHECK ((parked_from = ANY (ARRAY['RUNNING'::text, 'COMPENSATING'::text]))),
    CONSTRAINT sagas_refusal_known CHECK (((status <> ALL (ARRAY['COMPENSATING'::text, 'UNDONE'::text, 'PARKED'::text])) OR (refusal IS NOT NULL))),
    CONSTRAINT sagas_status_known CHECK ((status = ANY (ARRAY['RUNNING'::text, 'COMPENSATING'::text, 'DONE'::text, 'UNDONE'::text, 'PARKED'::text])))
)
WITH (fillfactor='80');

CREATE TABLE unheard_scans (
    key bytea NOT NULL,
    scan_id uuid NOT NULL,
    noted_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT unheard_scans_key_length CHECK ((length(key) = 32))
);

ALTER TABLE ONLY admin_requests
    ADD CONSTRAINT admin_requests_pkey PRIMARY KEY (admin_id, key);

ALTER TABLE ONLY cancellations
    ADD CONSTRAINT cancellations_pkey PRIMARY KEY (event_id);

ALTER TABLE ONLY messages
    ADD CONSTRAINT messages_pkey PRIMARY KEY (message_id);

ALTER TABLE ONLY sagas
    ADD CONSTRAINT sagas_pkey PRIMARY KEY (saga_id);

ALTER TABLE ONLY unheard_scans
    ADD CONSTRAINT unheard_scans_pkey PRIMARY KEY (key, scan_id);

CREATE INDEX cancellations_open ON cancellations USING btree (look_at) WHERE ((started_at IS NOT NULL) AND (settled_at IS NULL));

CREATE INDEX messages_by_status ON messages USING btree (status, parked_at DESC, message_id DESC);

CREATE INDEX sagas_by_subject ON sagas USING btree (kind, subject, created_at DESC);

CREATE INDEX sagas_live ON sagas USING btree (lease_until) WHERE (status = ANY (ARRAY['RUNNING'::text, 'COMPENSATING'::text]));

CREATE UNIQUE INDEX sagas_one_per_subject ON sagas USING btree (kind, subject) WHERE (status <> 'UNDONE'::text);

CREATE INDEX sagas_parked ON sagas USING btree (created_at DESC) WHERE (status = 'PARKED'::text);

CREATE INDEX unheard_scans_noted ON unheard_scans USING btree (noted_at);

CREATE TRIGGER messages_guard BEFORE DELETE OR UPDATE ON messages FOR EACH ROW EXECUTE FUNCTION messages_guard();

CREATE TRIGGER sagas_guard BEFORE DELETE OR UPDATE ON sagas FOR EACH ROW EXECUTE FUNCTION sagas_guard();
