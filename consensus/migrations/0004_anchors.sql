-- Calls made beside a cycle: its judges are asked, it pays, but neither its labels nor its audits may rest on the answers, since the
-- pairs were picked by hand or belong to another cycle. The votes stand in `votes` under the name of the side run.
CREATE TABLE side_runs (
    name VARCHAR NOT NULL,
    cycle VARCHAR NOT NULL,       -- whose judges are asked
    anchors INTEGER,              -- the set that is looked at; null for a test of one pair
    step VARCHAR NOT NULL,        -- begun, ended; a look that was begun and not ended goes on
    created_at TIMESTAMP NOT NULL
);
-- Anchors: pairs whose votes are kept as a reference, to see later whether a judge has changed. The votes of the cycle in this order
-- up to this moment are the reference.
CREATE TABLE anchors (
    number INTEGER NOT NULL,      -- of the set
    cycle VARCHAR NOT NULL,
    place INTEGER NOT NULL,       -- in which they are asked again
    pair_id VARCHAR NOT NULL,
    judge VARCHAR NOT NULL,
    shown VARCHAR NOT NULL,
    created_at TIMESTAMP NOT NULL
);
-- What a provider says of the version of its system that answered (OpenAI's system_fingerprint); null where it says nothing.
ALTER TABLE votes ADD COLUMN fingerprint VARCHAR;
