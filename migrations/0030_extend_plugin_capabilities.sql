-- The role as which plugins query a project's database.
ALTER TABLE project_db_creds
    DROP CONSTRAINT project_db_creds_role_check,
    ADD CONSTRAINT project_db_creds_role_check
        CHECK (role IN ('owner', 'app', 'anon', 'user', 'backup', 'auth', 'query'));

-- State that plugins keep between runs.
CREATE TABLE plugin_state (
    plugin      text NOT NULL,
    -- Null: state that belongs to no project.
    project_id  text REFERENCES projects (id) ON DELETE CASCADE,
    key         text COLLATE "C" NOT NULL,
    value       bytea NOT NULL,
    -- Increases with every change of the entry, also if it was deleted in between.
    version     bigint NOT NULL,
    updated_at  timestamptz NOT NULL DEFAULT now(),
    UNIQUE NULLS NOT DISTINCT (plugin, project_id, key)
);
CREATE INDEX plugin_state_project ON plugin_state (project_id);
