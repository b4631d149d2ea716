-- Where notifications go, and those on their way.

CREATE TABLE notification_channels (
    id           uuid PRIMARY KEY,
    name         text NOT NULL CHECK (length(name) BETWEEN 1 AND 120),
    kind         text NOT NULL CHECK (kind IN ('discord', 'email', 'webhook')),
    events       text[] NOT NULL,
    enabled      boolean NOT NULL DEFAULT true,
    -- Settings as JSON, sealed under the master key; the address of a webhook is a secret, too.
    sealed       bytea NOT NULL,
    last_sent_at timestamptz,
    -- Of the latest delivery, if that failed.
    last_error   text,
    -- One node at a time delivers to a channel, under a claim that ends by itself. A channel that asked for patience is
    -- busy without a claim.
    busy_until   timestamptz,
    claim        uuid,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now()
);

-- One message to one channel.
CREATE TABLE notification_deliveries (
    id           uuid PRIMARY KEY,
    channel_id   uuid NOT NULL REFERENCES notification_channels (id) ON DELETE CASCADE,
    -- Event, project and title: what is equal in these is folded into one message.
    fold_key     text NOT NULL,
    -- The latest of those that the message stands for.
    notification jsonb NOT NULL,
    occurrences  integer NOT NULL DEFAULT 1,
    first_at     timestamptz NOT NULL DEFAULT now(),
    last_at      timestamptz NOT NULL DEFAULT now(),
    state        text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'sent', 'failed')),
    -- A node is sending it, or died while it was.
    in_flight    boolean NOT NULL DEFAULT false,
    due_at       timestamptz NOT NULL DEFAULT now(),
    attempts     integer NOT NULL DEFAULT 0,
    error        text,
    finished_at  timestamptz
);
CREATE INDEX notification_deliveries_due_idx ON notification_deliveries (channel_id, due_at) WHERE state = 'pending';
CREATE INDEX notification_deliveries_fold_idx ON notification_deliveries (channel_id, fold_key, last_at DESC);
CREATE INDEX notification_deliveries_finished_idx ON notification_deliveries (finished_at) WHERE finished_at IS NOT NULL;

-- What the owner was told of and is still so, for example a disk that is nearly full.
CREATE TABLE notification_conditions (
    name  text PRIMARY KEY,
    since timestamptz NOT NULL DEFAULT now()
);
