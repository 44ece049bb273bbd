-- Runs of `consensus train`: what was trained on what, with which versions, and how it went.
CREATE TABLE runs (
    run VARCHAR NOT NULL,
    cycle VARCHAR NOT NULL,
    step VARCHAR NOT NULL,         -- begun, ended, failed; a run that was begun and not ended goes on
    config JSON NOT NULL,          -- the section `training:` as it was resolved
    data_hash VARCHAR NOT NULL,    -- of everything that decides the rows
    policy VARCHAR NOT NULL,       -- soft, hard: the one that was used
    versions JSON NOT NULL,        -- of packages, Python, and the git commit beside the cycle file
    seed BIGINT NOT NULL,
    folder VARCHAR NOT NULL,       -- from the store's own folder
    created_at TIMESTAMP NOT NULL
);
CREATE TABLE run_metrics (         -- of what was measured again after a resume, the last value counts
    run VARCHAR NOT NULL,
    step UINTEGER NOT NULL,
    epoch DOUBLE NOT NULL,
    metrics JSON NOT NULL,         -- by TRL's names; held_out/... of a look at the pairs that were held out
    created_at TIMESTAMP NOT NULL
);
