-- From traces to pairs: prompts that were sampled, how, and the completions that were drawn for them.
CREATE TABLE samples (             -- how a cycle's prompts were drawn; the last one is the one they belong to
    cycle VARCHAR NOT NULL,
    content_hash VARCHAR NOT NULL, -- of the prompts, with all that is known of them
    drawn JSON NOT NULL,           -- the design, the strata in numbers
    read JSON NOT NULL,            -- what came of the files
    masked JSON NOT NULL,          -- kinds of what was masked: how often
    created_at TIMESTAMP NOT NULL
);
CREATE TABLE prompts (
    cycle VARCHAR NOT NULL,
    prompt_id VARCHAR NOT NULL,    -- hash of the messages
    messages JSON NOT NULL,        -- in OpenAI's form
    tools JSON NOT NULL,           -- what the model could call; may be empty
    production JSON NOT NULL,      -- the answer that production gave; empty where the export has none
    stratum JSON NOT NULL,         -- field: value
    weight DOUBLE,                 -- calls of the traffic that it stands for; null if there was no chance in the drawing
    alike UINTEGER NOT NULL,       -- calls with the same prompt, this one included
    outcomes JSON NOT NULL,        -- what production said of the answer
    model VARCHAR,                 -- that answered in production
    trace_id VARCHAR,
    span_id VARCHAR,
    conversation_id VARCHAR,
    started_at TIMESTAMP,
    created_at TIMESTAMP NOT NULL
);
CREATE TABLE generators (          -- the models whose completions a cycle compares, as they were asked
    cycle VARCHAR NOT NULL,
    model VARCHAR NOT NULL,
    config_hash VARCHAR NOT NULL,
    config JSON NOT NULL,
    created_at TIMESTAMP NOT NULL
);
CREATE TABLE completions (
    cycle VARCHAR NOT NULL,
    prompt_id VARCHAR NOT NULL,
    model VARCHAR NOT NULL,
    config_hash VARCHAR NOT NULL,
    sample USMALLINT NOT NULL,     -- 0, 1, ... of the same prompt
    messages JSON NOT NULL,
    served_by VARCHAR,
    finish_reason VARCHAR,
    prompt_tokens UINTEGER,
    completion_tokens UINTEGER,
    cost_usd DOUBLE,
    latency_s DOUBLE,
    temperature DOUBLE,            -- as sent; null: asked without one
    attempts USMALLINT NOT NULL,
    created_at TIMESTAMP NOT NULL
);
CREATE TABLE completion_failures (
    cycle VARCHAR NOT NULL,
    prompt_id VARCHAR NOT NULL,
    model VARCHAR NOT NULL,
    config_hash VARCHAR NOT NULL,
    sample USMALLINT NOT NULL,
    kind VARCHAR NOT NULL,
    message VARCHAR NOT NULL,
    prompt_tokens UINTEGER,
    completion_tokens UINTEGER,
    cost_usd DOUBLE,
    attempts USMALLINT NOT NULL,
    created_at TIMESTAMP NOT NULL
);
CREATE TABLE pairings (            -- prompts whose pairs were formed: from so many candidates, of which so many differ
    cycle VARCHAR NOT NULL,
    prompt_id VARCHAR NOT NULL,
    config_hash VARCHAR NOT NULL,
    n USMALLINT NOT NULL,          -- draws that were asked for
    candidates USMALLINT NOT NULL,
    different USMALLINT NOT NULL,
    pairs UINTEGER NOT NULL,
    created_at TIMESTAMP NOT NULL
);
