-- Projects and what belongs to them. Names of databases and roles derive from the id: proj_<id>, proj_<id>_owner, …

CREATE TABLE projects (
    id           text PRIMARY KEY CHECK (id ~ '^[a-z][a-z0-9]{7,23}$'),
    name         text NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
    state        text NOT NULL DEFAULT 'creating' CHECK (state IN ('creating', 'ready', 'deleting')),
    -- Origins that browsers may call the public API from; '*' for any.
    cors_origins text[] NOT NULL DEFAULT '{}',
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX projects_name_key ON projects (lower(name));

CREATE TABLE api_keys (
    id           uuid PRIMARY KEY,
    project_id   text NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    type         text NOT NULL CHECK (type IN ('publishable', 'secret')),
    name         text NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
    -- First characters, to recognise the key by.
    prefix       text NOT NULL,
    -- SHA-256 of the whole key.
    hash         bytea NOT NULL UNIQUE CHECK (length(hash) = 32),
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz,
    last_used_at timestamptz,
    revoked_at   timestamptz
);
CREATE INDEX api_keys_project_id_idx ON api_keys (project_id, created_at);

-- One sealed password a role.
CREATE TABLE project_db_creds (
    project_id text NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    role       text NOT NULL CHECK (role IN ('owner', 'app', 'anon', 'user', 'backup')),
    sealed     bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, role)
);

-- Keys that sign end users' access tokens. The private part is sealed, the public part is served as JWKS.
CREATE TABLE signing_keys (
    id          uuid PRIMARY KEY,
    project_id  text NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    algorithm   text NOT NULL DEFAULT 'ES256',
    public_jwk  jsonb NOT NULL,
    sealed      bytea NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    -- No longer signs, still verifies.
    retired_at  timestamptz
);
CREATE INDEX signing_keys_project_id_idx ON signing_keys (project_id);
