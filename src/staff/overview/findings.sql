-- Of how many requests in progress or in force each finding is told: for every code so many index entries at most,
-- the newest; of requests that have ended without being in force there are findings too.
SELECT c.code AS "code!: Code", n.requests AS "requests!", n.cut AS "cut!"
FROM unnest($1::text[]) AS c (code), LATERAL (
    SELECT count(*) FILTER (WHERE
               -- By the limits each is one look into an index, whatever else there is.
               (SELECT true FROM work w WHERE w.request_id = d.request_id LIMIT 1) IS NOT NULL
               OR (SELECT true FROM watch w WHERE w.request_id = d.request_id LIMIT 1) IS NOT NULL) AS requests,
           count(*) >= $2::bigint AS cut
    FROM (SELECT DISTINCT f.request_id FROM finding f
          WHERE f.code = c.code AND f.severity NOT IN ('ok', 'skipped')
          ORDER BY f.request_id DESC LIMIT $2::bigint) d
    OFFSET 0) n
WHERE n.requests > 0
ORDER BY n.requests DESC, c.code
LIMIT 10
