-- Batches of ballots that a provider works through at its leisure. What was meant to be submitted is written down before it is, so
-- that whatever moment a run is killed at, the next one knows what may be on its way.
CREATE TABLE batches (
    tag VARCHAR NOT NULL,      -- ours; where a provider keeps a name or metadata, it has it too
    cycle VARCHAR NOT NULL,
    judge VARCHAR NOT NULL,
    config_hash VARCHAR NOT NULL,
    endpoint VARCHAR NOT NULL, -- where it was, or was to be, submitted
    requests UINTEGER NOT NULL,
    most_usd DOUBLE,           -- the most it can cost; null without a price
    temperature DOUBLE,        -- as sent; null: asked without one
    created_at TIMESTAMP NOT NULL
);
CREATE TABLE batch_ballots (
    tag VARCHAR NOT NULL,
    key VARCHAR NOT NULL,      -- the ballot's id on the wire (custom_id)
    pair_id VARCHAR NOT NULL,
    shown VARCHAR NOT NULL,
    repeat USMALLINT NOT NULL
);
-- What became of a batch, in this order; the last two end it.
--   uploaded   its requests are at the provider as this file; costs nothing yet
--   sent       about to be submitted: from here on it may exist, whatever happens to this process
--   doubted    whatever sent it is over, and its id is not known; a provider may take minutes from here to list it
--   submitted  it exists under this id
--   collected  every result is stored
--   withdrawn  it does not exist, for this reason: its ballots are open again
CREATE TABLE batch_steps (
    tag VARCHAR NOT NULL,
    step VARCHAR NOT NULL,
    detail VARCHAR,
    created_at TIMESTAMP NOT NULL
);
CREATE TABLE batch_strays (    -- results under an id that the batch does not have, as they came
    tag VARCHAR NOT NULL,
    line VARCHAR NOT NULL,
    created_at TIMESTAMP NOT NULL
);

CREATE VIEW open_batches AS
SELECT b.*, s.* EXCLUDE (tag)
FROM batches b LEFT JOIN (
    SELECT tag, max(detail) FILTER (step = 'uploaded') AS file_id, max(created_at) FILTER (step = 'sent') AS sent_at,
           min(created_at) FILTER (step = 'doubted') AS doubted_at, max(detail) FILTER (step = 'submitted') AS remote_id
    FROM batch_steps GROUP BY tag) s ON s.tag = b.tag
WHERE b.tag NOT IN (SELECT tag FROM batch_steps WHERE step IN ('collected', 'withdrawn'));

CREATE VIEW waiting_ballots AS  -- their answers may come, so nobody else may ask them
SELECT b.cycle, l.pair_id, b.judge, b.config_hash, l.shown, l.repeat, b.tag, l.key
FROM batch_ballots l JOIN open_batches b ON b.tag = l.tag;
