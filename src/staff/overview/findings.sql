-- Of how many requests each finding is told: for every code so many index entries at most.
SELECT c.code AS "code!: Code", n.requests AS "requests!"
FROM unnest($1::text[]) AS c (code), LATERAL (
    SELECT count(*) AS requests FROM (
        SELECT DISTINCT f.request_id FROM finding f
        WHERE f.code = c.code AND f.severity NOT IN ('ok', 'skipped')
        ORDER BY f.request_id LIMIT $2::bigint) d) n
WHERE n.requests > 0
ORDER BY n.requests DESC, c.code
LIMIT 10
