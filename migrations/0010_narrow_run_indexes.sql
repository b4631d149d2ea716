-- Each change of a run is written into every index. What these two were for, `cron_job_runs_history_idx` and
-- `cron_job_runs_running_idx` do as well: a job's runs by age, and the few that run.
DROP INDEX cron_job_runs_job_id_idx;
DROP INDEX cron_job_runs_lease_idx;

-- For the queue as a whole, and for nothing else: `attempt > 0` always holds, and who does not ask for it is not offered this
-- index. While statistics know of an empty queue, the planner takes a scan of the whole of it for as good as
-- `cron_job_runs_waiting_idx` where a job's own runs are asked for, once for each run that is due.
DROP INDEX cron_job_runs_queued_idx;
CREATE INDEX cron_job_runs_queued_idx ON cron_job_runs (not_before, id) WHERE status = 'queued' AND attempt > 0;
