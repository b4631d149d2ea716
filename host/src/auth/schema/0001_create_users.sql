-- Users of the project's app. Addresses are stored in lowercase ASCII, so equal ones are equal texts.
CREATE TABLE auth.users (
    id                uuid PRIMARY KEY,
    email             text NOT NULL CONSTRAINT users_email_key UNIQUE,
    email_verified_at timestamptz,
    role              text NOT NULL DEFAULT 'member' CHECK (role IN ('owner', 'admin', 'member')),
    data              jsonb NOT NULL DEFAULT '{}' CHECK (pg_catalog.jsonb_typeof(data) = 'object'),
    created_at        timestamptz NOT NULL DEFAULT pg_catalog.now(),
    updated_at        timestamptz NOT NULL DEFAULT pg_catalog.now(),
    last_sign_in_at   timestamptz,
    disabled_at       timestamptz
);
CREATE INDEX users_created_at_idx ON auth.users (created_at DESC, id DESC);
COMMENT ON TABLE auth.users IS 'Users of this project. AtlasHub writes it; reference it with REFERENCES auth.users (id).';

-- Separate from auth.users, because the project's owner may read that table.
CREATE TABLE auth.passwords (
    user_id    uuid PRIMARY KEY REFERENCES auth.users (id) ON DELETE CASCADE,
    -- Argon2id in PHC format.
    hash       text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);

-- A sign-in. Deleting the row ends the session.
CREATE TABLE auth.sessions (
    id           uuid PRIMARY KEY,
    user_id      uuid NOT NULL REFERENCES auth.users (id) ON DELETE CASCADE,
    created_at   timestamptz NOT NULL DEFAULT pg_catalog.now(),
    refreshed_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    expires_at   timestamptz NOT NULL,
    address      text,
    user_agent   text
);
CREATE INDEX sessions_user_id_idx ON auth.sessions (user_id);
CREATE INDEX sessions_expires_at_idx ON auth.sessions (expires_at);

-- Refresh tokens, by the SHA-256 of their text. A used one is kept until it expires, to detect that it is used again.
CREATE TABLE auth.refresh_tokens (
    hash           bytea PRIMARY KEY,
    session_id     uuid NOT NULL REFERENCES auth.sessions (id) ON DELETE CASCADE,
    expires_at     timestamptz NOT NULL,
    used_at        timestamptz,
    -- The successor's text is the HMAC of this salt under the text of this token.
    successor_salt bytea,
    CHECK ((used_at IS NULL) = (successor_salt IS NULL))
);
CREATE INDEX refresh_tokens_session_id_idx ON auth.refresh_tokens (session_id);
CREATE INDEX refresh_tokens_expires_at_idx ON auth.refresh_tokens (expires_at);

-- Mailed tokens, by the SHA-256 of their text. Each is deleted when it is used.
CREATE TABLE auth.mailed_tokens (
    hash       bytea PRIMARY KEY,
    user_id    uuid NOT NULL REFERENCES auth.users (id) ON DELETE CASCADE,
    purpose    text NOT NULL CHECK (purpose IN ('verify', 'reset', 'change_email')),
    -- The address that the token was mailed to.
    email      text NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX mailed_tokens_user_id_idx ON auth.mailed_tokens (user_id);
CREATE INDEX mailed_tokens_expires_at_idx ON auth.mailed_tokens (expires_at);
