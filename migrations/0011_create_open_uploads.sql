-- Uploads that were signed and have not ended. Uploads signed without the secret key arrive under a key of their own,
-- `_staged/<bucket>/<hash of the path>/<id>`, and are moved to their path when somebody looks. Multipart uploads are
-- recorded to count them and to abort abandoned ones.
CREATE TABLE open_uploads (
    id           uuid PRIMARY KEY,
    project_id   text NOT NULL,
    bucket       text NOT NULL,
    path         text NOT NULL CHECK (octet_length(path) BETWEEN 1 AND 1024),
    kind         text NOT NULL CHECK (kind IN ('staged', 'multipart')),
    -- 'moving': the staged object is being moved. 'over': moved, lost to another object, completed or aborted; the row
    -- stays until no URL of the upload works any more.
    state        text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'moving', 'over')),
    content_type text NOT NULL,
    -- Maximum size that was signed for, in bytes.
    max_size     bigint NOT NULL,
    -- The store's id of a multipart upload; null until the store created it.
    upload_id    text,
    -- Bytes of a multipart upload's object, and of each part except the last.
    object_size  bigint,
    part_size    bigint,
    -- Whether completing a multipart upload may replace an object.
    may_replace  boolean NOT NULL,
    -- 'secret', 'publishable', 'admin', or a signed-in user's id.
    uploaded_by  text NOT NULL,
    -- Key or user whose quota the upload counts in; null for none.
    quota_owner  text,
    expires_at   timestamptz NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (project_id, bucket) REFERENCES buckets (project_id, name) ON DELETE CASCADE
);
CREATE INDEX open_uploads_path_idx ON open_uploads (project_id, bucket, path) WHERE state <> 'over';
-- At most one object of a path is being moved.
CREATE UNIQUE INDEX open_uploads_moving_idx ON open_uploads (project_id, bucket, path) WHERE state = 'moving';
CREATE INDEX open_uploads_quota_idx ON open_uploads (quota_owner, kind, expires_at) WHERE state = 'open';
CREATE INDEX open_uploads_upload_id_idx ON open_uploads (project_id, upload_id) WHERE kind = 'multipart';
CREATE INDEX open_uploads_expires_at_idx ON open_uploads (expires_at);
