-- Who changed what, when, from where, and how it ended. No foreign keys: entries outlive what they name.

CREATE TABLE audit_logs (
    id         uuid PRIMARY KEY,
    at         timestamptz NOT NULL DEFAULT now(),
    actor      text NOT NULL,
    action     text NOT NULL,
    project_id text,
    target     text,
    address    text,
    result     text NOT NULL CHECK (result IN ('success', 'denied', 'failed')),
    status     integer,
    request_id text,
    details    jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_logs_at_idx ON audit_logs (at DESC, id DESC);
CREATE INDEX audit_logs_project_id_idx ON audit_logs (project_id, at DESC);

-- Sign-ins to the admin surface. Only the hash of a cookie or code is kept.
CREATE TABLE admin_sessions (
    hash       bytea PRIMARY KEY CHECK (length(hash) = 32),
    -- 'code': waits to be exchanged, once; 'session': the cookie's.
    kind       text NOT NULL CHECK (kind IN ('code', 'session')),
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
