-- The limit of a signed upload outlives the object and its bucket, until no URL of the path works any more. Without
-- this, a URL that is used again after the object was removed would have no limit.

-- In the order in which the deletion of a project locks them, so that neither waits for the other.
LOCK TABLE projects IN SHARE ROW EXCLUSIVE MODE;
LOCK TABLE buckets IN ACCESS EXCLUSIVE MODE;
LOCK TABLE file_metadata IN ACCESS EXCLUSIVE MODE;

-- Whether the object of a pending record was removed. A deleted bucket's records have a limit below every size.
ALTER TABLE file_metadata ADD COLUMN gone boolean NOT NULL DEFAULT false;
-- Time when the last URL expires that was signed with the secret key. Other callers can't raise its limit.
ALTER TABLE file_metadata ADD COLUMN owner_expires_at timestamptz NOT NULL DEFAULT 'epoch';
-- Objects that were seen in the store had records with the time of their creation. No URL was signed for them.
UPDATE file_metadata SET expires_at = 'epoch' WHERE expires_at = created_at;

-- The records stay when their bucket is deleted. The project of every record exists, because its bucket does.
ALTER TABLE file_metadata DROP CONSTRAINT file_metadata_project_id_bucket_fkey;
ALTER TABLE file_metadata ADD CONSTRAINT file_metadata_project_id_fkey
    FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE CASCADE NOT VALID;

-- Deletes the records of a deleted bucket. Keeps those of paths where a signed URL may still store an object, with a
-- limit below every size: no such object is served, even if a bucket of this name is created again. A trigger does
-- this, because earlier versions of AtlasHub, which may still run during an update, delete the bucket only. An upload
-- may end up to 24 hours after its URL expired.
CREATE FUNCTION keep_limits_of_bucket() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE file_metadata SET state = 'pending', gone = true, max_size = -1, owner_expires_at = 'epoch',
                             size = NULL, etag = NULL, upload_id = NULL, updated_at = now()
    WHERE project_id = OLD.project_id AND bucket = OLD.name
      AND expires_at > now() - interval '24 hours' AND max_size < 9223372036854775807;
    DELETE FROM file_metadata
    WHERE project_id = OLD.project_id AND bucket = OLD.name
      AND (expires_at <= now() - interval '24 hours' OR max_size = 9223372036854775807);
    RETURN NULL;
END $$;
CREATE TRIGGER keep_limits AFTER DELETE ON buckets FOR EACH ROW EXECUTE FUNCTION keep_limits_of_bucket();
