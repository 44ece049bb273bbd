-- Times are UTC. Facts. Keys are kept by the code that inserts: a primary key on a large table stalls the writer at every checkpoint.
CREATE TABLE cycles (
    cycle VARCHAR NOT NULL,
    config JSON NOT NULL,      -- the resolved cycle file
    meaning JSON NOT NULL,     -- what may not change within the cycle
    min_agree SMALLINT NOT NULL,
    drop_if_split BOOLEAN NOT NULL,
    both_orders BOOLEAN NOT NULL,
    rotate BOOLEAN NOT NULL,
    per_pair SMALLINT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
);
CREATE TABLE judges (
    cycle VARCHAR NOT NULL,
    judge VARCHAR NOT NULL,
    seat SMALLINT NOT NULL,    -- place in the cycle file, from 0
    config_hash VARCHAR NOT NULL,
    config JSON NOT NULL
);
CREATE TABLE pairs (
    pair_id VARCHAR NOT NULL,
    prompt_id VARCHAR NOT NULL,
    prompt JSON NOT NULL,      -- a string, or chat messages
    completion_a JSON NOT NULL,
    completion_b JSON NOT NULL,
    category VARCHAR,
    gold VARCHAR,              -- a, b or tie, by a person
    extra JSON NOT NULL,
    order_byte SMALLINT NOT NULL,  -- the first two bytes of SHA-256(pair_id): they decide order and seats
    seat_byte SMALLINT NOT NULL,
    content_hash VARCHAR NOT NULL,
    created_at TIMESTAMP NOT NULL
);
CREATE TABLE cycle_pairs (cycle VARCHAR NOT NULL, pair_id VARCHAR NOT NULL);
CREATE TABLE votes (
    cycle VARCHAR NOT NULL,
    pair_id VARCHAR NOT NULL,
    judge VARCHAR NOT NULL,
    config_hash VARCHAR NOT NULL,
    shown VARCHAR NOT NULL,    -- ab: completion a was shown first
    repeat USMALLINT NOT NULL,
    verdict VARCHAR NOT NULL,  -- a, b, tie, abstain; a and b are completions, whatever was shown first
    scores JSON,
    raw VARCHAR,
    served_by VARCHAR,
    prompt_tokens UINTEGER,
    completion_tokens UINTEGER,
    cost_usd DOUBLE,
    latency_s DOUBLE,
    temperature DOUBLE,        -- as sent; null: asked without one
    finish_reason VARCHAR,
    attempts USMALLINT NOT NULL,
    created_at TIMESTAMP NOT NULL
);
CREATE TABLE failures (
    cycle VARCHAR NOT NULL,
    pair_id VARCHAR NOT NULL,
    judge VARCHAR NOT NULL,
    config_hash VARCHAR NOT NULL,
    shown VARCHAR NOT NULL,
    repeat USMALLINT NOT NULL,
    kind VARCHAR NOT NULL,
    message VARCHAR NOT NULL,
    prompt_tokens UINTEGER,
    completion_tokens UINTEGER,
    cost_usd DOUBLE,
    attempts USMALLINT NOT NULL,
    created_at TIMESTAMP NOT NULL
);

-- Conclusions. The votes that make a label: repeat 0 of the ballots in the plan. See consensus/rule.py, which says the same.
CREATE VIEW counted AS
SELECT v.cycle, v.pair_id, v.judge, v.verdict
FROM votes v
JOIN cycles c ON c.cycle = v.cycle
JOIN judges j ON j.cycle = v.cycle AND j.judge = v.judge AND j.config_hash = v.config_hash
JOIN (SELECT cycle, count(*)::INTEGER AS n FROM judges GROUP BY cycle) p ON p.cycle = v.cycle
JOIN pairs q ON q.pair_id = v.pair_id
WHERE v.repeat = 0
  AND (c.both_orders
       OR v.shown = CASE WHEN c.rotate AND (q.order_byte + j.seat) % 2 = 1 THEN 'ba' ELSE 'ab' END)
  AND (j.seat - q.seat_byte % p.n + p.n) % p.n < c.per_pair;

-- One verdict a judge: with both orders null where they contradict, and nothing where one is still missing.
CREATE VIEW spoken AS
SELECT k.cycle, k.pair_id, k.verdict FROM counted k JOIN cycles c ON c.cycle = k.cycle AND NOT c.both_orders
UNION ALL
SELECT k.cycle, k.pair_id, CASE WHEN min(k.verdict) = max(k.verdict) THEN min(k.verdict) END
FROM counted k JOIN cycles c ON c.cycle = k.cycle AND c.both_orders
GROUP BY k.cycle, k.pair_id, k.judge HAVING count(*) = 2;

CREATE VIEW labels AS
WITH tally AS (
    SELECT cycle, pair_id,
           count(*) FILTER (verdict = 'a')::INTEGER AS a,
           count(*) FILTER (verdict = 'b')::INTEGER AS b,
           count(*) FILTER (verdict = 'tie')::INTEGER AS tie,
           count(*) FILTER (verdict IS NULL)::INTEGER AS unstable,
           count(*)::INTEGER AS n_votes
    FROM spoken GROUP BY cycle, pair_id
),
every AS (
    SELECT cp.cycle, cp.pair_id, c.min_agree, c.drop_if_split,
           coalesce(t.a, 0) AS a, coalesce(t.b, 0) AS b, coalesce(t.tie, 0) AS tie,
           coalesce(t.unstable, 0) AS unstable, coalesce(t.n_votes, 0) AS n_votes
    FROM cycle_pairs cp JOIN cycles c ON c.cycle = cp.cycle
    LEFT JOIN tally t ON t.cycle = cp.cycle AND t.pair_id = cp.pair_id
),
judged AS (
    SELECT *, CASE
        WHEN a <> b AND greatest(a, b) >= min_agree THEN 'agreed'
        WHEN a + b + tie < min_agree THEN
            CASE WHEN a + b + tie + unstable >= min_agree THEN 'unstable' ELSE 'too_few_votes' END
        WHEN tie >= min_agree AND tie > greatest(a, b) THEN 'tie'
        WHEN a <> b AND NOT drop_if_split THEN 'plurality'
        ELSE 'split' END AS reason
    FROM every
)
SELECT cycle, pair_id,
       CASE WHEN reason IN ('agreed', 'plurality') THEN CASE WHEN a > b THEN 'a' ELSE 'b' END
            WHEN reason = 'tie' THEN 'tie' END AS verdict,
       reason IN ('agreed', 'plurality') AS kept,
       reason,
       CASE WHEN n_votes = 0 THEN NULL
            WHEN reason IN ('agreed', 'plurality') THEN greatest(a, b) / n_votes
            ELSE greatest(a, b, tie) / n_votes END AS support,
       n_votes
FROM judged;
