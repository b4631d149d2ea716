-- Objects of projects in backups.

-- Number and size of the objects; null if the backup has none of them.
ALTER TABLE backups ADD COLUMN object_count bigint, ADD COLUMN object_bytes bigint;

-- The content that an object had when it was last backed up, so that unchanged objects are not read again. A cache:
-- without a row, the object is read.
CREATE TABLE backup_object_cache (
    project_id    text NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    key           text NOT NULL,
    etag          text NOT NULL,
    size_bytes    bigint NOT NULL,
    last_modified timestamptz NOT NULL,
    content_type  text,
    sha256        bytea NOT NULL CHECK (octet_length(sha256) = 32),
    seen_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, key)
);
