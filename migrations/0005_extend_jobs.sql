-- What schedulers need: when each job is due, a queue of runs with leases, and what a run tells of itself.

ALTER TABLE cron_jobs
    -- Fire times up to this moment were handled.
    ADD COLUMN scheduled_until timestamptz NOT NULL DEFAULT now(),
    -- The first fire time after it; null while disabled, and until a scheduler has computed it.
    ADD COLUMN next_run_at     timestamptz;
CREATE INDEX cron_jobs_due_idx ON cron_jobs (next_run_at) WHERE enabled;
CREATE INDEX cron_jobs_project_id_idx ON cron_jobs (project_id);

ALTER TABLE cron_job_runs
    -- Null: work that belongs to no job, for example a backup by hand.
    ALTER COLUMN job_id DROP NOT NULL,
    -- No foreign key: what was run stays on record when its project is gone.
    ADD COLUMN project_id          text,
    ADD COLUMN plugin              text NOT NULL DEFAULT '',
    ADD COLUMN plugin_job          text NOT NULL DEFAULT '',
    -- As they were when the run was begun.
    ADD COLUMN params              jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN timeout_ms          integer NOT NULL DEFAULT 60000 CHECK (timeout_ms > 0),
    ADD COLUMN retries_left        integer NOT NULL DEFAULT 0,
    ADD COLUMN retry_backoff_ms    integer NOT NULL DEFAULT 1000,
    -- Never runs beside another exclusive run of its job.
    ADD COLUMN exclusive           boolean NOT NULL DEFAULT false,
    ADD COLUMN not_before          timestamptz NOT NULL DEFAULT now(),
    -- Who runs it, and until when that is believed. What it writes is written only while it holds the token.
    ADD COLUMN worker              text,
    ADD COLUMN lease_token         uuid,
    ADD COLUMN lease_until         timestamptz,
    ADD COLUMN cancel_requested_at timestamptz,
    -- It failed, and another attempt was queued.
    ADD COLUMN retried             boolean NOT NULL DEFAULT false,
    ADD COLUMN progress            jsonb,
    ADD COLUMN result              jsonb,
    -- The first 64 KiB, a JSON object a line; the whole is in storage under log_object_key where it is longer.
    ADD COLUMN log_text            text NOT NULL DEFAULT '',
    -- Bytes of the log that can be read, here or there.
    ADD COLUMN log_bytes           bigint NOT NULL DEFAULT 0;

CREATE INDEX cron_job_runs_queued_idx ON cron_job_runs (not_before, id) WHERE status = 'queued';
CREATE INDEX cron_job_runs_waiting_idx ON cron_job_runs (job_id, not_before, id) WHERE status = 'queued';
CREATE INDEX cron_job_runs_running_idx ON cron_job_runs (job_id) WHERE status = 'running';
CREATE INDEX cron_job_runs_lease_idx ON cron_job_runs (lease_until) WHERE status = 'running';
CREATE INDEX cron_job_runs_history_idx ON cron_job_runs (job_id, id DESC);
CREATE INDEX cron_job_runs_finished_idx ON cron_job_runs (finished_at) WHERE finished_at IS NOT NULL;
-- Two schedulers that claim at the same moment don't see one another; this does.
CREATE UNIQUE INDEX cron_job_runs_exclusive_key ON cron_job_runs (job_id) WHERE status = 'running' AND exclusive;
