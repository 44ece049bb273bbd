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
    content_hash VARCHAR NOT NULL,
    created_at TIMESTAMP NOT NULL
);
CREATE TABLE cycle_pairs (
    cycle VARCHAR NOT NULL,
    pair_id VARCHAR NOT NULL,
    order_byte SMALLINT NOT NULL,  -- the first two bytes of SHA-256(pair_id): they decide order and seats
    seat_byte SMALLINT NOT NULL
);
CREATE TABLE figures (             -- summaries that were worked out, with what they were worked out from
    cycle VARCHAR NOT NULL,
    made_from VARCHAR NOT NULL,
    figures JSON NOT NULL
);
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

-- Conclusions. consensus/rule.py says the same, pair by pair; a test holds the two together.
--
-- A pair's votes of repeat 0 are one number: six bits a seat, three for each order (1: it voted, 2: for a, 4: for b; a tie is for
-- both, an abstention for neither), and above them the pair's two hash bytes. So ten million votes take one aggregation and no join
-- of large tables, and a vote that stands twice counts once.
CREATE VIEW vote_sets AS
SELECT cycle, pair_id, bit_or(bits) AS bits
FROM (
    SELECT v.cycle, v.pair_id,
           CASE v.verdict WHEN 'a' THEN 3::HUGEINT WHEN 'b' THEN 5::HUGEINT WHEN 'tie' THEN 7::HUGEINT ELSE 1::HUGEINT END
           << (6 * j.seat + CASE v.shown WHEN 'ab' THEN 0 ELSE 3 END)::HUGEINT AS bits
    FROM votes v JOIN judges j ON j.cycle = v.cycle AND j.judge = v.judge AND j.config_hash = v.config_hash
    WHERE v.repeat = 0
    UNION ALL
    SELECT cycle, pair_id, (1 + 2 * (order_byte % 2) + 4 * seat_byte)::HUGEINT << 104::HUGEINT FROM cycle_pairs
)
GROUP BY cycle, pair_id HAVING bit_or(bits) >= 1::HUGEINT << 104::HUGEINT;

CREATE VIEW labels AS
WITH panel AS (  -- every sixth bit is a seat: 1257589881178799009421332545 is all sixteen, 19347536633519984760328193 the even ones
    SELECT c.*, j.n, 1257589881178799009421332545::HUGEINT & ((1::HUGEINT << (6 * j.n)::HUGEINT) - 1) AS everybody,
           1257589881178799009421332545::HUGEINT & ((1::HUGEINT << (6 * c.per_pair)::HUGEINT) - 1) AS few
    FROM cycles c JOIN (SELECT cycle, count(*)::INTEGER AS n FROM judges GROUP BY cycle) j ON j.cycle = c.cycle
),
sides AS (  -- per order and verdict the seats that said it
    SELECT s.cycle, s.pair_id, p.n, p.per_pair, p.both_orders, p.rotate, p.min_agree, p.drop_if_split, p.everybody, p.few,
           ((bits >> 105::HUGEINT) & 1) = 1 AS odd, ((bits >> 106::HUGEINT) & 255)::INTEGER % p.n AS first_seat,
           bits & p.everybody AS ab, (bits >> 1::HUGEINT) & p.everybody AS for_a_ab, (bits >> 2::HUGEINT) & p.everybody AS for_b_ab,
           (bits >> 3::HUGEINT) & p.everybody AS ba, (bits >> 4::HUGEINT) & p.everybody AS for_a_ba,
           (bits >> 5::HUGEINT) & p.everybody AS for_b_ba
    FROM vote_sets s JOIN panel p ON p.cycle = s.cycle
),
asked AS (  -- the seats asked about the pair: all, or a window that starts at the second byte
    SELECT *, CASE WHEN per_pair >= n THEN everybody
                   ELSE ((few << (6 * first_seat)::HUGEINT) | (few >> (6 * (n - first_seat))::HUGEINT)) & everybody END AS asked
    FROM sides
),
placed AS (  -- of those, the ones that see completion b first: odd seats where the first byte is even, else even seats
    SELECT *, CASE WHEN NOT rotate THEN 0::HUGEINT
                   WHEN odd THEN asked & 19347536633519984760328193::HUGEINT ELSE asked & 1238242344545279024661004352::HUGEINT END AS see_b_first
    FROM asked
),
counted AS (  -- each judge once: in its own order, or where both are there, agreeing or not
    SELECT cycle, pair_id, min_agree, drop_if_split, bit_count(asked)::INTEGER AS n_asked,
           CASE WHEN both_orders THEN ab & ba & asked ELSE (ab & (asked - see_b_first)) | (ba & see_b_first) END AS voted,
           CASE WHEN both_orders THEN for_a_ab & for_a_ba
                ELSE (for_a_ab & (asked - see_b_first)) | (for_a_ba & see_b_first) END AS for_a,
           CASE WHEN both_orders THEN for_b_ab & for_b_ba
                ELSE (for_b_ab & (asked - see_b_first)) | (for_b_ba & see_b_first) END AS for_b,
           CASE WHEN both_orders THEN xor(for_a_ab, for_a_ba) | xor(for_b_ab, for_b_ba) ELSE 0::HUGEINT END AS torn
    FROM placed
),
tally AS (
    SELECT cycle, pair_id, min_agree, drop_if_split, n_asked,
           bit_count(voted)::INTEGER AS n_votes,
           bit_count(voted & torn)::INTEGER AS unstable,
           bit_count(voted & for_a & ~for_b & ~torn)::INTEGER AS a,
           bit_count(voted & for_b & ~for_a & ~torn)::INTEGER AS b,
           bit_count(voted & for_a & for_b & ~torn)::INTEGER AS tie
    FROM counted
),
judged AS (
    SELECT *, CASE
        WHEN a <> b AND greatest(a, b) >= min_agree THEN 'agreed'
        WHEN greatest(a, b) + n_asked - n_votes >= min_agree THEN 'too_few_votes'
        WHEN a + b + tie < min_agree THEN
            CASE WHEN a + b + tie + unstable >= min_agree THEN 'unstable' ELSE 'too_few_votes' END
        WHEN tie >= min_agree AND tie > greatest(a, b) THEN 'tie'
        WHEN a <> b AND NOT drop_if_split THEN 'plurality'
        ELSE 'split' END AS reason
    FROM tally
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
