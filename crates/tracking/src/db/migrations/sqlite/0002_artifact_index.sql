-- What lies in object stores, remembered, so that listing it asks no bucket (docs/design/0010-artifact-index.md).

-- A run's or logged model's `…/artifacts`. `looks` counts the comparisons with the bucket, `deletions` those through us.
CREATE TABLE artifact_root (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uri TEXT NOT NULL UNIQUE,
    looks INTEGER NOT NULL DEFAULT 0,
    deletions INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Each directory that something lies in; the root itself has no name and no parent.
-- `looks` is the root's when the row was last known to be right; `seen` when the directory was last compared with the
-- bucket, none if never; `shared` whether that look found what was not noted.
CREATE TABLE artifact_dir (
    root INTEGER NOT NULL,
    parent TEXT NOT NULL,
    name TEXT NOT NULL,
    looks INTEGER NOT NULL,
    seen INTEGER,
    shared INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (root, parent, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE artifact_file (
    root INTEGER NOT NULL,
    dir TEXT NOT NULL,
    name TEXT NOT NULL,
    looks INTEGER NOT NULL,
    size INTEGER NOT NULL,
    etag TEXT,
    noted INTEGER NOT NULL,
    PRIMARY KEY (root, dir, name)
) STRICT, WITHOUT ROWID;
