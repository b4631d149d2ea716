-- Which plugins may run: keys, approvals, revocations, and the serials seen.

CREATE TABLE trusted_keys (
    -- Minisign key id.
    id          text PRIMARY KEY CHECK (id ~ '^[0-9A-F]{16}$'),
    name        text NOT NULL CHECK (length(name) BETWEEN 1 AND 120),
    public_key  text NOT NULL,
    -- Of a binary's own plugins; counts only in a binary that carries it.
    first_party boolean NOT NULL DEFAULT false,
    created_at  timestamptz NOT NULL DEFAULT now(),
    -- For good: a key that leaked does not come back.
    revoked_at  timestamptz
);

CREATE TABLE plugin_approvals (
    name        text PRIMARY KEY,
    key_id      text NOT NULL,
    -- What the owner granted, and what the plugin asked for then: [{"capability","scope"}].
    granted     jsonb NOT NULL,
    requested   jsonb NOT NULL,
    config      jsonb NOT NULL DEFAULT '{}',
    approved_by text NOT NULL,
    approved_at timestamptz NOT NULL DEFAULT now(),
    revoked_at  timestamptz
);

CREATE TABLE plugin_secrets (
    plugin     text NOT NULL REFERENCES plugin_approvals (name) ON DELETE CASCADE,
    name       text NOT NULL,
    sealed     bytea NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (plugin, name)
);

CREATE TABLE plugin_revoked_hashes (
    sha256     bytea PRIMARY KEY CHECK (length(sha256) = 32),
    -- Of the plugin, as far as it was known.
    name       text,
    revoked_at timestamptz NOT NULL DEFAULT now()
);

-- The newest that ever ran under a name. Outlives approval and file, so that an older one never comes back.
CREATE TABLE plugin_serials (
    name    text PRIMARY KEY,
    serial  bigint NOT NULL,
    sha256  bytea NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now()
);

-- Grows with every change of the tables above, so that a node can ask cheaply whether there was one.
CREATE TABLE plugin_trust (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    version  bigint NOT NULL
);
INSERT INTO plugin_trust (version) VALUES (1);
