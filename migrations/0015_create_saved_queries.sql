-- Saved queries and the history of the SQL editor.

CREATE TABLE saved_queries (
    id uuid PRIMARY KEY,
    project_id text NOT NULL REFERENCES projects ON DELETE CASCADE,
    name text NOT NULL,
    sql text NOT NULL,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX saved_queries_by_name ON saved_queries (project_id, name, id);

CREATE TABLE sql_history (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project_id text NOT NULL REFERENCES projects ON DELETE CASCADE,
    sql text NOT NULL,
    at timestamptz NOT NULL,
    duration_ms double precision NOT NULL,
    row_count bigint,
    error text
);
CREATE INDEX sql_history_by_project ON sql_history (project_id, id DESC);
CREATE INDEX sql_history_by_time ON sql_history (at);
