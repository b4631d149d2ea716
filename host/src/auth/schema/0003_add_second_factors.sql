-- The optional second factor of users, and how sessions were opened.

-- When the user confirmed a second factor. Null: a login needs one factor.
ALTER TABLE auth.users ADD COLUMN second_factor_at timestamptz;

ALTER TABLE auth.sessions
    -- How the user proved who they are, newest first: [{"method", "timestamp"}].
    ADD COLUMN methods jsonb NOT NULL DEFAULT '[]',
    -- Whether a second factor was among them.
    ADD COLUMN has_second_factor boolean NOT NULL DEFAULT false;

-- One authenticator app for each user (TOTP, RFC 6238).
CREATE TABLE auth.totp_factors (
    user_id          uuid PRIMARY KEY REFERENCES auth.users (id) ON DELETE CASCADE,
    -- The shared secret, sealed with a data key of the platform.
    sealed           bytea NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT pg_catalog.now(),
    -- Null: not active yet.
    confirmed_at     timestamptz,
    -- The time step of the last accepted code. Codes of this and of earlier steps are refused.
    last_step        bigint,
    -- When all attempts are available again.
    attempts_full_at timestamptz
);

-- Codes that stand for a lost authenticator app, by their SHA-256. Each is deleted when it is used.
CREATE TABLE auth.recovery_codes (
    user_id uuid NOT NULL REFERENCES auth.users (id) ON DELETE CASCADE,
    hash    bytea NOT NULL,
    PRIMARY KEY (user_id, hash)
);

-- Logins that wait for the second factor, by the SHA-256 of their token.
CREATE TABLE auth.mfa_challenges (
    hash                bytea PRIMARY KEY,
    user_id             uuid NOT NULL REFERENCES auth.users (id) ON DELETE CASCADE,
    -- The first factor, as in `auth.sessions`.
    methods             jsonb NOT NULL,
    -- When the user's password had last been set at that time. If it has changed since, the challenge is invalid.
    password_changed_at timestamptz,
    -- The password to set once the second factor is proved.
    new_password_hash   text,
    attempts            integer NOT NULL DEFAULT 0,
    expires_at          timestamptz NOT NULL
);
CREATE INDEX mfa_challenges_user_id_idx ON auth.mfa_challenges (user_id);
CREATE INDEX mfa_challenges_expires_at_idx ON auth.mfa_challenges (expires_at);
