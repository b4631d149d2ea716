-- Keys that seal values in the databases of projects, such as the secrets of second factors. Only these keys are sealed
-- with the master key: rotating it does not change the projects' databases, and their older backups stay readable.

CREATE TABLE data_keys (
    -- Derived from the key; sealed values name it.
    id         text PRIMARY KEY,
    sealed     bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
