-- Restores of projects' databases, and the archives that were uploaded for them.

CREATE TABLE restore_uploads (
    id         uuid PRIMARY KEY,
    project_id text NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    file_name  text NOT NULL,
    size_bytes bigint NOT NULL CHECK (size_bytes > 0),
    object_key text NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX restore_uploads_created_at_idx ON restore_uploads (created_at);

CREATE TABLE restores (
    id                uuid PRIMARY KEY,
    project_id        text NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    -- Exactly one source. No foreign keys: backups and uploads may be removed.
    backup_id         uuid,
    upload_id         uuid,
    -- The archive, and the ETag that it had when the restore was planned.
    object_key        text NOT NULL,
    etag              text,
    -- SHA-256 of the archive, if a manifest has it.
    sha256            text,
    state             text NOT NULL DEFAULT 'planned' CHECK (state IN (
        'planned', 'loading', 'checking', 'swapping', 'done', 'failed', 'cancelled', 'rolledBack')),
    -- The plan, as clients see it.
    plan              jsonb NOT NULL,
    -- The database that the archive is loaded into. Recorded before it is created; null once it has another name or
    -- was dropped.
    new_database      text,
    -- The database that is kept for a rollback.
    previous_database text,
    run_id            uuid,
    error_text        text,
    created_at        timestamptz NOT NULL DEFAULT now(),
    finished_at       timestamptz,
    CHECK ((backup_id IS NULL) <> (upload_id IS NULL))
);
CREATE INDEX restores_created_at_idx ON restores (created_at DESC, id DESC);
CREATE INDEX restores_project_idx ON restores (project_id, created_at DESC);
-- A project's database is replaced by one restore at a time.
CREATE UNIQUE INDEX restores_active_idx ON restores (project_id) WHERE state IN ('loading', 'checking', 'swapping');
