-- The defaults, checks and indexes that the migrations give the tables, for tables from which they were removed.
ALTER TABLE auth.users
    ALTER COLUMN role SET DEFAULT 'member',
    ALTER COLUMN data SET DEFAULT '{}',
    ALTER COLUMN created_at SET DEFAULT pg_catalog.now(),
    ALTER COLUMN updated_at SET DEFAULT pg_catalog.now(),
    DROP CONSTRAINT IF EXISTS users_role_check,
    ADD CONSTRAINT users_role_check CHECK (role IN ('owner', 'admin', 'member')),
    DROP CONSTRAINT IF EXISTS users_data_check,
    ADD CONSTRAINT users_data_check CHECK (pg_catalog.jsonb_typeof(data) = 'object');
CREATE INDEX IF NOT EXISTS users_created_at_idx ON auth.users (created_at DESC, id DESC);

ALTER TABLE auth.passwords ALTER COLUMN changed_at SET DEFAULT pg_catalog.now();

ALTER TABLE auth.sessions
    ALTER COLUMN created_at SET DEFAULT pg_catalog.now(),
    ALTER COLUMN refreshed_at SET DEFAULT pg_catalog.now(),
    ALTER COLUMN methods SET DEFAULT '[]',
    ALTER COLUMN has_second_factor SET DEFAULT false;
CREATE INDEX IF NOT EXISTS sessions_user_id_idx ON auth.sessions (user_id);
CREATE INDEX IF NOT EXISTS sessions_expires_at_idx ON auth.sessions (expires_at);

ALTER TABLE auth.refresh_tokens
    DROP CONSTRAINT IF EXISTS refresh_tokens_check,
    ADD CONSTRAINT refresh_tokens_check CHECK ((used_at IS NULL) = (successor_salt IS NULL));
CREATE INDEX IF NOT EXISTS refresh_tokens_session_id_idx ON auth.refresh_tokens (session_id);
CREATE INDEX IF NOT EXISTS refresh_tokens_expires_at_idx ON auth.refresh_tokens (expires_at);

ALTER TABLE auth.mailed_tokens
    DROP CONSTRAINT IF EXISTS mailed_tokens_purpose_check,
    ADD CONSTRAINT mailed_tokens_purpose_check
        CHECK (purpose IN ('verify', 'reset', 'change_email', 'magic_link'));
CREATE INDEX IF NOT EXISTS mailed_tokens_user_id_idx ON auth.mailed_tokens (user_id);
CREATE INDEX IF NOT EXISTS mailed_tokens_expires_at_idx ON auth.mailed_tokens (expires_at);

ALTER TABLE auth.mfa_challenges ALTER COLUMN attempts SET DEFAULT 0;
ALTER TABLE auth.totp_factors ALTER COLUMN created_at SET DEFAULT pg_catalog.now();
CREATE INDEX IF NOT EXISTS mfa_challenges_user_id_idx ON auth.mfa_challenges (user_id);
CREATE INDEX IF NOT EXISTS mfa_challenges_expires_at_idx ON auth.mfa_challenges (expires_at);

ALTER TABLE auth.schema_migrations ALTER COLUMN applied_at SET DEFAULT pg_catalog.now();
