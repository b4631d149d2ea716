-- Rows of all tables in a backup, from its manifest. Null until it was read.

ALTER TABLE backups ADD COLUMN row_count bigint;
