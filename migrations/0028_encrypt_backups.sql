-- Backups in the age format, and the identities that runs need to read them.

ALTER TABLE backups ADD COLUMN encrypted boolean NOT NULL DEFAULT false;

-- Sealed under the master key, and deleted when the run begins. Unlogged, so that they are not in the write-ahead log.
CREATE UNLOGGED TABLE run_identities (
    run_id     uuid PRIMARY KEY,
    sealed     bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
