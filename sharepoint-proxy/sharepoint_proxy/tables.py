"""The tables of the journal, and the longer statements on them.

`changes` holds one row per (bucket, key) that may differ from SharePoint, `uploads` the intents of writes under way, `ledger` what is
in the library by our hand. Every statement finds its rows by an index, so that it costs the same with a million rows.
"""

SCHEMA = """
CREATE TABLE IF NOT EXISTS counter (generation INTEGER NOT NULL);
INSERT INTO counter SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM counter);

CREATE TABLE IF NOT EXISTS changes (
    bucket TEXT NOT NULL, key TEXT NOT NULL,
    generation INTEGER NOT NULL,
    state TEXT NOT NULL,
    working INTEGER NOT NULL DEFAULT 0,
    event TEXT NOT NULL,
    large INTEGER NOT NULL,
    marked_at REAL NOT NULL,
    due_at REAL NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT '',
    status INTEGER,
    blocked_by TEXT,
    PRIMARY KEY (bucket, key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS changes_due ON changes (large, due_at) WHERE state = 'waiting' AND working = 0;
CREATE INDEX IF NOT EXISTS changes_working ON changes (working) WHERE working = 1;
CREATE INDEX IF NOT EXISTS changes_blocked ON changes (blocked_by) WHERE blocked_by IS NOT NULL;

CREATE TABLE IF NOT EXISTS uploads (
    bucket TEXT NOT NULL, key TEXT NOT NULL,
    path TEXT NOT NULL, path_key TEXT NOT NULL,
    etag TEXT NOT NULL, size INTEGER NOT NULL,
    session_url TEXT,
    PRIMARY KEY (bucket, key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS uploads_path ON uploads (path_key);

CREATE TABLE IF NOT EXISTS ledger (
    bucket TEXT NOT NULL, key TEXT NOT NULL,
    path TEXT NOT NULL, path_key TEXT NOT NULL,
    item_id TEXT NOT NULL,
    size INTEGER NOT NULL, etag TEXT NOT NULL, quickxor TEXT,
    is_folder INTEGER NOT NULL, made INTEGER NOT NULL,
    mirrored_at REAL NOT NULL,
    PRIMARY KEY (bucket, key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS ledger_path ON ledger (path_key);

CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS rejected (at REAL NOT NULL, reason TEXT NOT NULL, body BLOB NOT NULL);
"""

MARK = """
INSERT INTO changes (bucket, key, generation, state, event, large, marked_at, due_at) VALUES (?, ?, ?, 'waiting', ?, ?, ?, ?)
ON CONFLICT (bucket, key) DO UPDATE SET
    generation = excluded.generation, state = 'waiting', event = excluded.event, large = excluded.large,
    marked_at = CASE state WHEN 'parked' THEN excluded.marked_at ELSE marked_at END,
    due_at = excluded.due_at, attempts = 0, reason = '', status = NULL, blocked_by = NULL
"""

DUE = """
SELECT changes.*, uploads.path, uploads.etag, uploads.size, uploads.session_url
FROM changes LEFT JOIN uploads USING (bucket, key)
WHERE state = 'waiting' AND working = 0 AND large = ? AND due_at <= ? ORDER BY due_at LIMIT ?
"""

NEXT_DUE = "SELECT MIN(due_at) AS due FROM changes WHERE state = 'waiting' AND working = 0 AND large = ?"

PUT_ENTRY = "INSERT OR REPLACE INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

# Who else has this very place, a file where one of our folders must be, or anything beneath where our file must be.
# Each part finds its rows by an index; one query over both tables together would read them whole.
OCCUPANT = " UNION ALL ".join(
    f"""
    SELECT bucket, key FROM {table} WHERE path_key = :place AND NOT ({is_folder} AND :is_folder)
    UNION ALL
    SELECT bucket, key FROM {table} WHERE path_key IN (SELECT value FROM json_each(:parents)) AND NOT {is_folder}
    UNION ALL
    SELECT bucket, key FROM {table} WHERE NOT :is_folder AND path_key > :place || '/' AND path_key < :place || '0'
    """  # noqa: S608 - the two table names below are all that is put in
    for table, is_folder in (("ledger", "is_folder"), ("uploads", "0"))
)

FOLDERS_MADE = """
SELECT bucket, key FROM ledger WHERE path_key IN (SELECT value FROM json_each(:places)) AND is_folder AND made
  AND (bucket, key) <> (:bucket, :key)
"""
