-- What an evaluation measured of a checkpoint on each item, and what the gate said of it.
CREATE TABLE results (             -- of each item the last row counts
    cycle VARCHAR NOT NULL,
    checkpoint VARCHAR NOT NULL,
    metric VARCHAR NOT NULL,       -- reward_correct, win, length, ...
    item VARCHAR NOT NULL,         -- what was measured: a pair's id, or a prompt's
    prompt_id VARCHAR NOT NULL,    -- items that share it are not independent
    category VARCHAR,
    value DOUBLE NOT NULL,
    baseline VARCHAR,              -- the checkpoint it was compared with directly; null where it was measured by itself
    details JSON NOT NULL,
    created_at TIMESTAMP NOT NULL
);
CREATE TABLE gates (               -- the gate's decisions; on the same results it is the same look
    cycle VARCHAR NOT NULL,
    checkpoint VARCHAR NOT NULL,
    baseline VARCHAR NOT NULL,
    metric VARCHAR NOT NULL,
    look USMALLINT NOT NULL,       -- 1, 2, ...
    data_hash VARCHAR NOT NULL,    -- of the differences it rests on
    prompts UINTEGER NOT NULL,
    critical DOUBLE,               -- standard errors that the effect had to surpass; null where no look was left
    spent DOUBLE NOT NULL,         -- chance of promoting without an effect, over this look and those before it
    verdict VARCHAR NOT NULL,      -- promote, reject, inconclusive
    details JSON NOT NULL,         -- as --json prints it
    created_at TIMESTAMP NOT NULL
);
