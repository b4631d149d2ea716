-- Each change of a run is written into every index. What these two were for, `cron_job_runs_history_idx` and
-- `cron_job_runs_running_idx` do as well: a job's runs by age, and the few that run.

DROP INDEX cron_job_runs_job_id_idx;
DROP INDEX cron_job_runs_lease_idx;
