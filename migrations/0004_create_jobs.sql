-- Jobs and their runs.

CREATE TABLE cron_jobs (
    id                uuid PRIMARY KEY,
    -- Null: the platform's own.
    project_id        text REFERENCES projects (id) ON DELETE CASCADE,
    name              text NOT NULL CHECK (length(name) BETWEEN 1 AND 120),
    type              text NOT NULL CHECK (type IN ('http', 'platform')),
    schedule_cron     text NOT NULL,
    timezone          text NOT NULL DEFAULT 'UTC',
    http_url          text,
    http_method       text,
    -- Sealed under the master key, as is the body.
    http_headers_json bytea,
    http_body_json    bytea,
    plugin            text,
    plugin_job        text,
    params            jsonb NOT NULL DEFAULT '{}',
    enabled           boolean NOT NULL DEFAULT true,
    timeout_ms        integer NOT NULL DEFAULT 60000 CHECK (timeout_ms > 0),
    retries           integer NOT NULL DEFAULT 0 CHECK (retries BETWEEN 0 AND 100),
    retry_backoff_ms  integer NOT NULL DEFAULT 1000 CHECK (retry_backoff_ms >= 0),
    overlap           text NOT NULL DEFAULT 'skip' CHECK (overlap IN ('skip', 'queue', 'allow')),
    catch_up          text NOT NULL DEFAULT 'once' CHECK (catch_up IN ('once', 'none')),
    created_at        timestamptz NOT NULL DEFAULT now(),
    updated_at        timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE cron_job_runs (
    id             uuid PRIMARY KEY,
    job_id         uuid NOT NULL REFERENCES cron_jobs (id) ON DELETE CASCADE,
    attempt        integer NOT NULL DEFAULT 1,
    -- Null for manual runs.
    scheduled_for  timestamptz,
    trigger        text NOT NULL CHECK (trigger IN ('schedule', 'manual', 'retry', 'catchUp')),
    status         text NOT NULL DEFAULT 'queued'
        CHECK (status IN ('queued', 'running', 'success', 'fail', 'timeout', 'cancelled', 'skipped')),
    started_at     timestamptz,
    finished_at    timestamptz,
    http_status    integer,
    duration_ms    bigint,
    error_text     text,
    log_object_key text,
    created_at     timestamptz NOT NULL DEFAULT now(),
    UNIQUE (job_id, scheduled_for, attempt)
);
CREATE INDEX cron_job_runs_job_id_idx ON cron_job_runs (job_id, created_at DESC);
