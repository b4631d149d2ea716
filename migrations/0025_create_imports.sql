-- Files that the owner uploads to import them into a table.

CREATE TABLE imports (
    id             uuid PRIMARY KEY,
    project_id     text NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    -- A table of schema public.
    table_name     text NOT NULL,
    format         text NOT NULL CHECK (format IN ('csv', 'json', 'ndjson')),
    file_name      text,
    size_bytes     bigint NOT NULL CHECK (size_bytes > 0),
    -- Key in the platform's bucket.
    object_key     text NOT NULL UNIQUE,
    -- 'committing': the rows are being committed. What became of the transaction decides. A run that failed leaves
    -- 'running'; its own state is then that of the import.
    state          text NOT NULL DEFAULT 'awaitingUpload'
        CHECK (state IN ('awaitingUpload', 'uploaded', 'running', 'committing', 'done', 'failed')),
    created_at     timestamptz NOT NULL DEFAULT now(),
    expires_at     timestamptz NOT NULL,
    -- What the last preview was asked for.
    hints          jsonb,
    -- How the file is imported, checked.
    plan           jsonb,
    run_id         uuid,
    started_at     timestamptz,
    dry_run        boolean NOT NULL DEFAULT false,
    rows_read      bigint NOT NULL DEFAULT 0,
    rows_inserted  bigint NOT NULL DEFAULT 0,
    rows_updated   bigint NOT NULL DEFAULT 0,
    rows_skipped   bigint NOT NULL DEFAULT 0,
    -- The first errors, as in the API, and the number of all.
    errors         jsonb NOT NULL DEFAULT '[]',
    error_count    bigint NOT NULL DEFAULT 0,
    error_text     text,
    -- The transaction that commits the rows.
    transaction_id text,
    finished_at    timestamptz
);
CREATE INDEX imports_created_at_idx ON imports (created_at DESC, id DESC);
CREATE INDEX imports_expires_at_idx ON imports (expires_at);
