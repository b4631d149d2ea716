-- The previous attempt of a run. No foreign key: runs are removed by age.

ALTER TABLE cron_job_runs ADD COLUMN retry_of uuid;
