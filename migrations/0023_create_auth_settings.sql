-- End-user login: a project's settings, and a sixth role that owns the tables of schema `auth`. A project without a
-- row never switched login on.

CREATE TABLE auth_settings (
    project_id             text PRIMARY KEY REFERENCES projects (id) ON DELETE CASCADE,
    enabled                boolean NOT NULL DEFAULT false,
    allow_signup           boolean NOT NULL DEFAULT true,
    require_verified_email boolean NOT NULL DEFAULT false,
    access_token_seconds   integer NOT NULL DEFAULT 900,
    refresh_token_days     integer NOT NULL DEFAULT 30,
    password_min_length    integer NOT NULL DEFAULT 8,
    -- Whether every request with an access token checks that its session still exists.
    check_session          boolean NOT NULL DEFAULT false,
    -- Base of mailed links. Null: no mail is sent.
    site_url               text,
    -- Claim `iss` of access tokens. Null: derived from the server's public URL.
    issuer                 text,
    verify_path            text NOT NULL DEFAULT '/auth/verify',
    reset_path             text NOT NULL DEFAULT '/auth/reset',
    -- The project's own texts, by kind of mail.
    mail_texts             jsonb NOT NULL DEFAULT '{}',
    updated_at             timestamptz NOT NULL DEFAULT now()
);

ALTER TABLE project_db_creds
    DROP CONSTRAINT project_db_creds_role_check,
    ADD CONSTRAINT project_db_creds_role_check CHECK (role IN ('owner', 'app', 'anon', 'user', 'backup', 'auth'));
