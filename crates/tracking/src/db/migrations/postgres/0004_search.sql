-- For searches among many runs.

-- The latest metrics of runs at rest, in the order of their values. A run that is being written to is not in it: then
-- `ranked` is 0, and its values are read from latest_metric. So a point that is logged costs nothing here.
CREATE TABLE trackway.metric_rank (
    experiment BIGINT NOT NULL,
    key BIGINT NOT NULL,
    nan SMALLINT NOT NULL,
    value DOUBLE PRECISION NOT NULL,
    run BIGINT NOT NULL,
    PRIMARY KEY (experiment, key, nan, value, run)
);
ALTER TABLE trackway.run ADD COLUMN ranked SMALLINT NOT NULL DEFAULT 0;
CREATE INDEX run_unranked ON trackway.run (experiment, id) WHERE ranked = 0;

-- Which runs have a param or a tag of this value. The beginning of a value tells enough, and values may be long.
CREATE INDEX param_by_value ON trackway.param (key, "left"(value, 100));
CREATE INDEX tag_by_value ON trackway.tag (key, "left"(value, 100));
