-- For searches among many runs.

-- The latest metrics of runs at rest, in the order of their values. A run that is being written to is not in it: then
-- `ranked` is 0, and its values are read from latest_metric. So a point that is logged costs nothing here.
CREATE TABLE metric_rank (
    experiment INTEGER NOT NULL,
    key INTEGER NOT NULL,
    nan INTEGER NOT NULL,
    value REAL NOT NULL,
    run INTEGER NOT NULL,
    PRIMARY KEY (experiment, key, nan, value, run)
) STRICT, WITHOUT ROWID;
ALTER TABLE run ADD COLUMN ranked INTEGER NOT NULL DEFAULT 0;
CREATE INDEX run_unranked ON run (experiment, id) WHERE ranked = 0;

-- Which runs have a param or a tag of this value. The beginning of a value tells enough, and values may be long.
CREATE INDEX param_by_value ON param (key, substr(value, 1, 100));
CREATE INDEX tag_by_value ON tag (key, substr(value, 1, 100));
