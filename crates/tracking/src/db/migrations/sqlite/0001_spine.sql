-- The first schema. Times are milliseconds since the epoch; lifecycle is 0 for active, 1 for deleted.

CREATE TABLE experiment (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    artifact_location TEXT NOT NULL,
    lifecycle INTEGER NOT NULL DEFAULT 0,
    creation_time INTEGER NOT NULL,
    last_update_time INTEGER NOT NULL
) STRICT;

CREATE TABLE experiment_tag (
    experiment INTEGER NOT NULL REFERENCES experiment,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (experiment, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE run (
    id INTEGER PRIMARY KEY,
    uuid TEXT NOT NULL UNIQUE,
    experiment INTEGER NOT NULL REFERENCES experiment,
    name TEXT NOT NULL,
    user_id TEXT NOT NULL,
    status TEXT NOT NULL,
    start_time INTEGER NOT NULL,
    end_time INTEGER,
    lifecycle INTEGER NOT NULL DEFAULT 0,
    deleted_time INTEGER,
    artifact_uri TEXT NOT NULL
) STRICT;
-- Serves the default order of a search (newest first) without a sort.
CREATE INDEX run_by_start ON run (experiment, lifecycle, start_time DESC, uuid);

CREATE TABLE param (
    run INTEGER NOT NULL REFERENCES run,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (run, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE tag (
    run INTEGER NOT NULL REFERENCES run,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (run, key)
) STRICT, WITHOUT ROWID;

-- Metric names are long and repeat in every run; points and summaries hold the number only.
-- A name is never deleted, so that its number may be remembered by every process.
CREATE TABLE metric_key (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- Points as they came: one small block a request, all its keys together (docs/formats/metric-points.md).
-- `total` is the bytes of this run's blocks up to and with this one: it tells when to compact.
CREATE TABLE metric_block (
    run INTEGER NOT NULL REFERENCES run,
    seq INTEGER NOT NULL,
    total INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (run, seq)
) STRICT, WITHOUT ROWID;

-- Compacted points of one key of one run, sorted and compressed, with what charts need beside them.
CREATE TABLE metric_chunk (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES run,
    key INTEGER NOT NULL REFERENCES metric_key,
    points INTEGER NOT NULL,
    first_timestamp INTEGER NOT NULL,
    last_timestamp INTEGER NOT NULL,
    min_step INTEGER NOT NULL,
    max_step INTEGER NOT NULL,
    data BLOB NOT NULL
) STRICT;
CREATE INDEX metric_chunk_by_key ON metric_chunk (run, key);

-- The last point of each key of a run, for run pages, search and order. A NaN is nan = 1 with value 0.
CREATE TABLE latest_metric (
    run INTEGER NOT NULL REFERENCES run,
    key INTEGER NOT NULL REFERENCES metric_key,
    value REAL NOT NULL,
    nan INTEGER NOT NULL,
    timestamp INTEGER NOT NULL,
    step INTEGER NOT NULL,
    PRIMARY KEY (run, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE dataset (
    id INTEGER PRIMARY KEY,
    experiment INTEGER NOT NULL REFERENCES experiment,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    source_type TEXT NOT NULL,
    source TEXT NOT NULL,
    schema TEXT,
    profile TEXT,
    UNIQUE (experiment, name, digest)
) STRICT;

CREATE TABLE run_dataset (
    run INTEGER NOT NULL REFERENCES run,
    dataset INTEGER NOT NULL REFERENCES dataset,
    PRIMARY KEY (run, dataset)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_dataset_by_dataset ON run_dataset (dataset, run);

CREATE TABLE run_dataset_tag (
    run INTEGER NOT NULL,
    dataset INTEGER NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (run, dataset, key),
    FOREIGN KEY (run, dataset) REFERENCES run_dataset
) STRICT, WITHOUT ROWID;

-- Models that a run took in (direction 0) or brought forth (direction 1). The models need not exist, as in MLflow.
CREATE TABLE run_model (
    run INTEGER NOT NULL REFERENCES run,
    direction INTEGER NOT NULL,
    model_id TEXT NOT NULL,
    step INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (run, direction, model_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE logged_model (
    id TEXT PRIMARY KEY,
    experiment INTEGER NOT NULL REFERENCES experiment,
    name TEXT NOT NULL,
    artifact_uri TEXT NOT NULL,
    creation_time INTEGER NOT NULL,
    last_update_time INTEGER NOT NULL,
    status INTEGER NOT NULL,
    status_message TEXT,
    lifecycle INTEGER NOT NULL DEFAULT 0,
    model_type TEXT NOT NULL,
    source_run_id TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX logged_model_by_creation ON logged_model (experiment, lifecycle, creation_time DESC);

CREATE TABLE logged_model_tag (
    model TEXT NOT NULL REFERENCES logged_model,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (model, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE logged_model_param (
    model TEXT NOT NULL REFERENCES logged_model,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (model, key)
) STRICT, WITHOUT ROWID;

-- Metrics that a run logged about a model.
CREATE TABLE logged_model_metric (
    model TEXT NOT NULL REFERENCES logged_model,
    key TEXT NOT NULL,
    timestamp INTEGER NOT NULL,
    step INTEGER NOT NULL,
    run_id TEXT NOT NULL,
    value REAL NOT NULL,
    dataset_name TEXT,
    dataset_digest TEXT,
    PRIMARY KEY (model, key, timestamp, step, run_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE registered_model (
    name TEXT PRIMARY KEY,
    creation_time INTEGER NOT NULL,
    last_update_time INTEGER NOT NULL,
    description TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;

CREATE TABLE registered_model_tag (
    name TEXT NOT NULL REFERENCES registered_model ON UPDATE CASCADE ON DELETE CASCADE,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (name, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE registered_model_alias (
    name TEXT NOT NULL REFERENCES registered_model ON UPDATE CASCADE ON DELETE CASCADE,
    alias TEXT NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (name, alias)
) STRICT, WITHOUT ROWID;

-- A deleted version keeps its row with stage 'Deleted_Internal', so that its number is not given again.
CREATE TABLE model_version (
    name TEXT NOT NULL REFERENCES registered_model ON UPDATE CASCADE ON DELETE CASCADE,
    version INTEGER NOT NULL,
    creation_time INTEGER NOT NULL,
    last_update_time INTEGER NOT NULL,
    description TEXT,
    user_id TEXT NOT NULL DEFAULT '',
    stage TEXT NOT NULL DEFAULT 'None',
    source TEXT NOT NULL,
    storage_location TEXT,
    run_id TEXT NOT NULL DEFAULT '',
    run_link TEXT NOT NULL DEFAULT '',
    model_id TEXT NOT NULL DEFAULT '',
    status TEXT NOT NULL DEFAULT 'READY',
    status_message TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (name, version)
) STRICT, WITHOUT ROWID;
CREATE INDEX model_version_by_run ON model_version (run_id);

CREATE TABLE model_version_tag (
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (name, version, key),
    FOREIGN KEY (name, version) REFERENCES model_version ON UPDATE CASCADE ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
