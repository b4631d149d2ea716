-- What the owner recognises a session by in the list of sessions. Null for sessions of older versions.

ALTER TABLE admin_sessions
    ADD COLUMN last_used_at timestamptz,
    ADD COLUMN address text,
    ADD COLUMN user_agent text;
