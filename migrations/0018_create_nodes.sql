-- The processes of this installation. Each reports every few seconds while it runs; rows are removed after a day without
-- a report.

CREATE TABLE nodes (
    id           uuid PRIMARY KEY,
    role         text NOT NULL CHECK (role IN ('all', 'gateway', 'scheduler')),
    version      text NOT NULL,
    started_at   timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL DEFAULT now()
);
