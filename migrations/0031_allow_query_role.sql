-- The role as which plugins query a project's database.
ALTER TABLE project_db_creds
    DROP CONSTRAINT project_db_creds_role_check,
    ADD CONSTRAINT project_db_creds_role_check
        CHECK (role IN ('owner', 'app', 'anon', 'user', 'backup', 'auth', 'query'));
