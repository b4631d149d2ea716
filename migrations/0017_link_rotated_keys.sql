-- Which key replaced which when it was rotated, and how much each key is used.

ALTER TABLE api_keys ADD COLUMN replaces uuid REFERENCES api_keys (id) ON DELETE SET NULL;
CREATE INDEX api_keys_replaces_idx ON api_keys (replaces) WHERE replaces IS NOT NULL;

-- Requests with a key, by the hour. Rows are removed after two days.
CREATE TABLE api_key_usage (
    key_id   uuid NOT NULL REFERENCES api_keys (id) ON DELETE CASCADE,
    hour     timestamptz NOT NULL,
    requests bigint NOT NULL,
    PRIMARY KEY (key_id, hour)
);
CREATE INDEX api_key_usage_hour_idx ON api_key_usage (hour);
