-- A project may wait for a last backup of it, and is deleted once that is there.

ALTER TABLE projects
    -- The run that makes the backup; null where nothing is waited for. No foreign key: runs are removed by age.
    ADD COLUMN delete_after_run uuid,
    -- Why the project is still there after its deletion was asked for.
    ADD COLUMN delete_problem   text;
