-- Times are milliseconds UTC since 1970.
--
-- shelf says where a message stands in its queue:
--   0 done: processed or failed
--   1 ready: can be leased now
--   2 scheduled: pending, and not visible before visible_at
--   3 leased until visible_at
--   4 blocked: visible, behind the head of its group
-- A row whose visible_at has passed stays on shelf 2 or 3 until somebody looks: every read
-- takes that into account.

CREATE TABLE queues (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    policy TEXT NOT NULL,
    -- What the queue holds, by status as it is stored; scheduled and lapsed ones as above.
    pending INTEGER NOT NULL DEFAULT 0,
    scheduled INTEGER NOT NULL DEFAULT 0,
    processing INTEGER NOT NULL DEFAULT 0,
    processed INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0,
    pending_bytes INTEGER NOT NULL DEFAULT 0,
    -- What happened in it.
    total_published INTEGER NOT NULL DEFAULT 0,
    total_delivered INTEGER NOT NULL DEFAULT 0,
    total_acked INTEGER NOT NULL DEFAULT 0,
    total_retried INTEGER NOT NULL DEFAULT 0,
    total_released INTEGER NOT NULL DEFAULT 0,
    total_failed INTEGER NOT NULL DEFAULT 0,
    total_dead_lettered INTEGER NOT NULL DEFAULT 0,
    total_redriven INTEGER NOT NULL DEFAULT 0,
    total_lapsed INTEGER NOT NULL DEFAULT 0,
    total_expired INTEGER NOT NULL DEFAULT 0,
    total_deleted INTEGER NOT NULL DEFAULT 0,
    total_dropped INTEGER NOT NULL DEFAULT 0,
    total_retired INTEGER NOT NULL DEFAULT 0
) STRICT;

-- AUTOINCREMENT, so that the id of a removed message is never given to another one.
CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    queue_id INTEGER NOT NULL REFERENCES queues (id) ON DELETE CASCADE,
    -- pending, processing, processed or failed. No CHECK: it would cost a sixth of each insert.
    status TEXT NOT NULL,
    shelf INTEGER NOT NULL,
    -- The priority, or 0 where the queue's ordering ignores it.
    rank INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    visible_at INTEGER NOT NULL,
    expires_at INTEGER,
    delivery_count INTEGER NOT NULL DEFAULT 0,
    first_delivered_at INTEGER,
    finished_at INTEGER,
    leased_at INTEGER,
    leased_by TEXT,
    -- Of the newest lease; kept after a lapse and after an ack, for the late and the repeated ack.
    token BLOB,
    grp TEXT,
    dedup_key TEXT,
    reason TEXT,
    origin_queue TEXT,
    content_type TEXT NOT NULL,
    headers TEXT NOT NULL,
    -- Last, so that everything else is read without its overflow pages.
    content BLOB NOT NULL
) STRICT;

CREATE INDEX messages_status ON messages (queue_id, status);
CREATE INDEX messages_created_at ON messages (created_at);
CREATE INDEX messages_ready ON messages (queue_id, rank DESC) WHERE shelf = 1;
CREATE INDEX messages_scheduled ON messages (queue_id, visible_at) WHERE shelf = 2;
CREATE INDEX messages_leased ON messages (queue_id, visible_at) WHERE shelf = 3;
CREATE INDEX messages_group ON messages (queue_id, grp, shelf) WHERE grp IS NOT NULL AND shelf <> 0;
CREATE INDEX messages_expires_at ON messages (queue_id, expires_at)
    WHERE expires_at IS NOT NULL AND status = 'pending';
CREATE INDEX messages_lapsed ON messages (queue_id, delivery_count)
    WHERE token IS NOT NULL AND status = 'pending';
CREATE INDEX messages_finished_at ON messages (queue_id, status, finished_at)
    WHERE finished_at IS NOT NULL;
CREATE INDEX messages_origin ON messages (queue_id) WHERE origin_queue IS NOT NULL;

-- No reference to messages: a key outlives its message.
CREATE TABLE dedup (
    queue_id INTEGER NOT NULL REFERENCES queues (id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    message_id INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (queue_id, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX dedup_expires_at ON dedup (expires_at);
