-- The limit of a signed upload outlives the object and its bucket, until no URL of the path works any more. Without
-- this, a URL that is used again after the object was removed would have no limit.

-- Whether the object of a pending record was removed. A deleted bucket's records have a limit below every size.
ALTER TABLE file_metadata ADD COLUMN gone boolean NOT NULL DEFAULT false;
-- Whether the limit applies to a URL that was signed with the secret key. Other callers can't raise such a limit.
ALTER TABLE file_metadata ADD COLUMN owner_limit boolean NOT NULL DEFAULT false;
-- The records stay when their bucket is deleted.
ALTER TABLE file_metadata DROP CONSTRAINT file_metadata_project_id_bucket_fkey;
ALTER TABLE file_metadata ADD FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE CASCADE;
