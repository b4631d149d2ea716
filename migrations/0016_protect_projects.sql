-- Protection of projects from deletion, and the owner's note.

ALTER TABLE projects
    ADD COLUMN protected boolean NOT NULL DEFAULT false,
    ADD COLUMN note      text NOT NULL DEFAULT '' CHECK (length(note) <= 2000);
