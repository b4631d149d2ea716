-- Logical buckets: prefixes in the project's one bucket of the object store.

CREATE TABLE buckets (
    project_id         text NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    name               text NOT NULL CHECK (name ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    publishable_access text NOT NULL DEFAULT 'none' CHECK (publishable_access IN ('none', 'download', 'upload', 'both')),
    signed_in_access   text NOT NULL DEFAULT 'none' CHECK (signed_in_access IN ('none', 'download', 'upload', 'both')),
    max_object_bytes   bigint NOT NULL CHECK (max_object_bytes > 0),
    created_at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, name)
);

-- What was signed for, and what is known to have arrived.
CREATE TABLE file_metadata (
    project_id   text NOT NULL,
    bucket       text NOT NULL,
    path         text NOT NULL CHECK (octet_length(path) BETWEEN 1 AND 1024),
    state        text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'stored')),
    content_type text NOT NULL,
    -- Largest size that was signed for; an object above it is removed.
    max_size     bigint NOT NULL,
    -- As the store last told; null until it was seen.
    size         bigint,
    etag         text,
    -- The multipart upload signed last; a repeated completion is recognised by it.
    upload_id    text,
    -- Who asked: 'secret', 'publishable', 'admin', or a signed-in user's id.
    uploaded_by  text NOT NULL,
    -- The URL works until then.
    expires_at   timestamptz NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, bucket, path),
    FOREIGN KEY (project_id, bucket) REFERENCES buckets (project_id, name) ON DELETE CASCADE
);
CREATE INDEX file_metadata_pending_idx ON file_metadata (expires_at) WHERE state = 'pending';
-- What was not compared with the store since its URL expired.
CREATE INDEX file_metadata_unchecked_idx ON file_metadata (expires_at) WHERE updated_at <= expires_at;
