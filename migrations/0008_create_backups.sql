-- The catalogue of backups. The truth is in storage: each dump has a manifest beside it, from which rows are made again.
-- No foreign keys: a backup outlives its project and the run that made it.

CREATE TABLE backups (
    -- Derived from the object's key, so that a catalogue made again has the same ids.
    id           uuid PRIMARY KEY,
    -- 'platform' or 'project:<id>'.
    target       text NOT NULL CHECK (target = 'platform' OR target ~ '^project:[a-z][a-z0-9]{7,23}$'),
    -- The project's name at that time.
    title        text,
    created_at   timestamptz NOT NULL,
    size_bytes   bigint NOT NULL CHECK (size_bytes >= 0),
    sha256       text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    -- 'missing': the object is gone from storage.
    state        text NOT NULL DEFAULT 'ready' CHECK (state IN ('ready', 'verified', 'missing')),
    object_key   text NOT NULL UNIQUE,
    manifest_key text NOT NULL UNIQUE,
    run_id       uuid,
    verified_at  timestamptz
);
CREATE INDEX backups_created_at_idx ON backups (created_at DESC, id DESC);

-- Objects that were not compared with the store for long.
CREATE INDEX file_metadata_checked_idx ON file_metadata (updated_at) WHERE state = 'stored';
