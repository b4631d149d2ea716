-- An audit entry is written before its change and completed afterwards. Until then it is pending. `result` is 'failed'
-- meanwhile, with {"interrupted": true} in `details`, because older versions don't know `pending`.

ALTER TABLE audit_logs ADD COLUMN pending boolean NOT NULL DEFAULT false;
