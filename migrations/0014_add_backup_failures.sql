-- The last verification of a backup, if it failed. `state` stays 'ready' then, which older versions know; newer ones show
-- 'failed'.

ALTER TABLE backups ADD COLUMN failed_at timestamptz, ADD COLUMN failure text;
