-- Tokens of mailed links that sign in.
ALTER TABLE auth.mailed_tokens
    -- It is missing in a restored database, see `completion.sql`.
    DROP CONSTRAINT IF EXISTS mailed_tokens_purpose_check,
    ADD CONSTRAINT mailed_tokens_purpose_check
        CHECK (purpose IN ('verify', 'reset', 'change_email', 'magic_link'));
