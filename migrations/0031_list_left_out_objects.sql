-- What a restore left out: objects that could not be created, and constraints that are NOT VALID now.

ALTER TABLE restores ADD COLUMN left_out text[] NOT NULL DEFAULT '{}';
