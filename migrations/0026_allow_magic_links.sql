-- End-user login with a mailed link instead of a password.

ALTER TABLE auth_settings
    ADD COLUMN allow_magic_link boolean NOT NULL DEFAULT false,
    ADD COLUMN magic_link_path  text NOT NULL DEFAULT '/auth/magic-link';
