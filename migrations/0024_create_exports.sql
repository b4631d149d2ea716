-- Exports that the owner started. Whether an export is in progress, failed or was cancelled is the state of its run.

CREATE TABLE exports (
    id         uuid PRIMARY KEY,
    -- Null: the platform database.
    project_id text REFERENCES projects (id) ON DELETE CASCADE,
    -- What is exported, as in the API.
    source     jsonb NOT NULL,
    format     text NOT NULL CHECK (format IN ('csv', 'json', 'ndjson', 'sql', 'custom')),
    gzip       boolean NOT NULL DEFAULT false,
    -- Key in the platform's bucket, and name of the file for whoever downloads it.
    object_key text NOT NULL UNIQUE,
    file_name  text NOT NULL,
    -- No foreign key: the row is inserted before its run.
    run_id     uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    -- Null until the file is complete in storage.
    ready_at   timestamptz,
    size_bytes bigint CHECK (size_bytes >= 0),
    sha256     text CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    row_count  bigint CHECK (row_count >= 0)
);
CREATE INDEX exports_created_at_idx ON exports (created_at DESC, id DESC);
CREATE INDEX exports_expires_at_idx ON exports (expires_at);
