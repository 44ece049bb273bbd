-- What is measured of a checkpoint: offline (scores, with their intervals) and in production (outcomes).
CREATE TABLE scores (              -- of the same checkpoint, cycle, metric and baseline the last one counts
    checkpoint VARCHAR NOT NULL,
    cycle VARCHAR NOT NULL,        -- in which it was measured
    metric VARCHAR NOT NULL,
    baseline VARCHAR,              -- the checkpoint it is compared with; null: the score is its own
    value DOUBLE NOT NULL,
    low DOUBLE,                    -- 95 %; null where no interval exists
    high DOUBLE,
    n UBIGINT NOT NULL,            -- the units (pairs, prompts) that it rests on
    clusters UBIGINT NOT NULL,     -- the prompts among which these are correlated
    details JSON NOT NULL,
    created_at TIMESTAMP NOT NULL
);
CREATE TABLE outcomes (            -- of the same checkpoint, metric and request (or, of a mean, time) the last one counts
    checkpoint VARCHAR NOT NULL,
    metric VARCHAR NOT NULL,
    value DOUBLE NOT NULL,
    n UBIGINT,                     -- requests that it is the mean of; null where that is not known
    request_id VARCHAR,            -- null: a mean
    conversation_id VARCHAR,
    measured_at TIMESTAMP,                  -- when it was so in production
    source VARCHAR NOT NULL,       -- who said it
    created_at TIMESTAMP NOT NULL
);

-- With what production said of the answers among the traces; a file's word for the same request goes before.
CREATE VIEW known_outcomes AS
WITH own AS (
    SELECT checkpoint, metric, value, n, request_id, coalesce(conversation_id, request_id) AS cluster, measured_at, source,
           NULL::DOUBLE AS weight
    FROM (SELECT *, rowid AS place FROM outcomes)
    QUALIFY row_number() OVER (PARTITION BY checkpoint, metric, request_id, CASE WHEN request_id IS NULL THEN measured_at END
                               ORDER BY coalesce(measured_at, created_at) DESC, place DESC) = 1),
said AS (
    SELECT *, unnest(from_json(outcomes, '[{"name":"VARCHAR","value":"JSON","source":"VARCHAR","at":"VARCHAR"}]')) AS said
    FROM (SELECT *, rowid AS place FROM prompts WHERE model IS NOT NULL AND outcomes::VARCHAR <> '[]')),
traced AS (
    SELECT model AS checkpoint, said.name AS metric,
           CASE json_type(said.value) WHEN 'BOOLEAN' THEN (said.value = 'true')::INT::DOUBLE
                WHEN 'VARCHAR' THEN NULL ELSE TRY_CAST(said.value AS DOUBLE) END AS value,
           1::UBIGINT AS n, coalesce(span_id, trace_id, prompt_id) AS request_id,
           coalesce(conversation_id, trace_id, prompt_id) AS cluster, started_at AS measured_at, said.source AS source, weight, trace_id, place
    FROM said WHERE upper(coalesce(said.source, '')) <> 'EVAL')  -- an LLM judge
SELECT * FROM own
UNION ALL
SELECT t.* EXCLUDE (trace_id, place)
FROM (SELECT * FROM traced WHERE isfinite(value)
      QUALIFY row_number() OVER (PARTITION BY checkpoint, metric, request_id ORDER BY place DESC) = 1) t
WHERE NOT EXISTS (SELECT 1 FROM own o WHERE o.checkpoint = t.checkpoint AND o.metric = t.metric
                  AND o.request_id IN (t.request_id, t.trace_id));
