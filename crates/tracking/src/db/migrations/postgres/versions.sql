-- The steps that this schema has seen. works_with: the oldest step whose servers can live with this one.
CREATE TABLE trackway.schema_version (
    version BIGINT PRIMARY KEY,
    works_with BIGINT NOT NULL,
    applied TIMESTAMPTZ NOT NULL DEFAULT now()
);
