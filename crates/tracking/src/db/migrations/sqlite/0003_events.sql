-- Live changes: what happened to which run, for listeners of any server. Few rows: old ones are trimmed.
-- Numbers are given in the order of the commits. kinds is a set of bits (changes.rs); 0 tells of a server's start.
-- run is empty where an experiment itself changed.
CREATE TABLE event (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    time INTEGER NOT NULL,
    experiment INTEGER NOT NULL,
    run TEXT NOT NULL,
    kinds INTEGER NOT NULL
) STRICT;

-- The chunks of a series by time: pages begin in the middle, and packing looks at the last ones.
-- metric_block.seq is the time of the block in microseconds from now on, and total the bytes of this block.
CREATE INDEX metric_chunk_by_time ON metric_chunk (run, key, first_timestamp);
DROP INDEX metric_chunk_by_key;
