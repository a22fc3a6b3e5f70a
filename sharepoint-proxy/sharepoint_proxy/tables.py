"""The tables of the journal, and the longer statements on them.

`changes` holds one row per (bucket, key) that may differ from SharePoint, `claims` the names of those that are worked on now,
`uploads` the intents of writes under way, `ledger` what is in the library by our hand. Every statement finds its rows by an index, so
that it costs the same with a million rows.

The keys that are due lie far apart in `changes`, a page each once there are many. So a claim stays away from there: the index by
which it finds them holds all that it reads, and what it writes goes to a small table of its own. `tally` holds how many rows of
`changes` are in each state; triggers keep it, so that no statement can forget to.
"""

SCHEMA = """
CREATE TABLE IF NOT EXISTS counter (generation INTEGER NOT NULL);
INSERT INTO counter SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM counter);

CREATE TABLE IF NOT EXISTS changes (
    bucket TEXT NOT NULL, key TEXT NOT NULL,
    generation INTEGER NOT NULL,
    state TEXT NOT NULL,
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
-- Journals of earlier days have a column that said which rows are worked on, and these indexes of it.
DROP INDEX IF EXISTS changes_due;
DROP INDEX IF EXISTS changes_working;
CREATE INDEX IF NOT EXISTS changes_by_due ON changes (state, large, due_at, generation, attempts, event, marked_at);
CREATE INDEX IF NOT EXISTS changes_by_age ON changes (state, marked_at);
CREATE INDEX IF NOT EXISTS changes_blocked ON changes (blocked_by) WHERE blocked_by IS NOT NULL;

CREATE TABLE IF NOT EXISTS claims (bucket TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (bucket, key)) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS tally (state TEXT PRIMARY KEY, rows INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO tally
    SELECT value, (SELECT COUNT(*) FROM changes WHERE state = value) FROM json_each('["waiting", "parked"]')
    WHERE NOT EXISTS (SELECT 1 FROM tally);
CREATE TRIGGER IF NOT EXISTS tally_new AFTER INSERT ON changes BEGIN
    UPDATE tally SET rows = rows + 1 WHERE state = NEW.state;
END;
CREATE TRIGGER IF NOT EXISTS tally_gone AFTER DELETE ON changes BEGIN
    UPDATE tally SET rows = rows - 1 WHERE state = OLD.state;
END;
CREATE TRIGGER IF NOT EXISTS tally_moved AFTER UPDATE OF state ON changes WHEN NEW.state <> OLD.state BEGIN
    UPDATE tally SET rows = rows + (state = NEW.state) - (state = OLD.state);
END;

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
CREATE INDEX IF NOT EXISTS ledger_size ON ledger (size, etag);
CREATE INDEX IF NOT EXISTS ledger_multipart ON ledger (size) WHERE instr(etag, '-') > 0;

CREATE TABLE IF NOT EXISTS fields (item_id TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;

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

_IS_FREE = "NOT EXISTS (SELECT 1 FROM claims WHERE claims.bucket = changes.bucket AND claims.key = changes.key)"

DUE = f"""
SELECT bucket, key, generation, attempts, event, large, due_at, marked_at, uploads.path, uploads.etag, uploads.size, uploads.session_url
FROM changes LEFT JOIN uploads USING (bucket, key)
WHERE state = 'waiting' AND large = ? AND due_at <= ? AND {_IS_FREE} ORDER BY due_at LIMIT ?
"""  # noqa: S608 - the condition above is all that is put in

NEXT_DUE = f"SELECT due_at FROM changes WHERE state = 'waiting' AND large = ? AND {_IS_FREE} ORDER BY due_at LIMIT 1"  # noqa: S608 - as above

ANY_DUE = "SELECT 1 FROM changes WHERE state = 'waiting' AND large = ? AND due_at <= ? LIMIT ?"

NEW_REMOVAL = """
SELECT 1 FROM changes WHERE bucket = ? AND key = ? AND state = 'waiting' AND event LIKE '%ObjectRemoved%' AND marked_at > ?
"""

COUNTS = """
SELECT (SELECT rows FROM tally WHERE state = 'waiting') AS waiting, (SELECT rows FROM tally WHERE state = 'parked') AS parked,
    (SELECT COUNT(*) FROM claims) AS working, (SELECT MIN(marked_at) FROM changes WHERE state = 'waiting') AS oldest
"""

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

FORGET_FIELDS = "DELETE FROM fields WHERE item_id = (SELECT item_id FROM ledger WHERE bucket = ? AND key = ?)"

ANYTHING_BELOW = "SELECT 1 FROM ledger WHERE bucket = ? AND key > ? AND key < ? LIMIT 1"

FOLDERS_MADE = """
SELECT bucket, key FROM ledger WHERE path_key IN (SELECT value FROM json_each(:places)) AND is_folder AND made
  AND (bucket, key) <> (:bucket, :key)
"""
