-- Labels whose judging stopped because the votes so far were sure enough.
ALTER TABLE votes ADD COLUMN margin DOUBLE;  -- distance of the two verdicts' log-probabilities, in nats; null where none came
CREATE TABLE posteriors (      -- what a cycle's stops rest on; the last one counts
    cycle VARCHAR NOT NULL,
    posterior JSON NOT NULL,   -- per number of decided votes the judges' weights, consensus/statistics/posterior.py
    learned_from VARCHAR NOT NULL,
    pairs UINTEGER NOT NULL,
    created_at TIMESTAMP NOT NULL
);
CREATE TABLE confident_stops (
    cycle VARCHAR NOT NULL,
    pair_id VARCHAR NOT NULL,
    verdict VARCHAR NOT NULL,  -- a, b
    p DOUBLE NOT NULL,         -- the posterior's chance of it
    created_at TIMESTAMP NOT NULL
);

-- The rule speaks first. Only where it has too few votes does a stop make the label.
ALTER VIEW labels RENAME TO rule_labels;
CREATE VIEW labels AS
SELECT l.cycle, l.pair_id, CASE WHEN s.verdict IS NULL THEN l.verdict ELSE s.verdict END AS verdict,
       l.kept OR s.verdict IS NOT NULL AS kept, CASE WHEN s.verdict IS NULL THEN l.reason ELSE 'confident' END AS reason,
       l.support, l.n_votes
FROM rule_labels l LEFT JOIN (
    SELECT cycle, pair_id, arg_max(verdict, created_at) AS verdict FROM confident_stops GROUP BY cycle, pair_id
) s ON l.reason = 'too_few_votes' AND s.cycle = l.cycle AND s.pair_id = l.pair_id;
