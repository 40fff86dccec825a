-- How long the latest requests took from submission to provisioned, in seconds: the end of one index.
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY t.seconds) AS median, count(*) AS "timed!"
FROM (SELECT extract(epoch FROM r.ended_at - r.submitted_at)::float8 AS seconds
      FROM request r
      WHERE r.state = 'provisioned' AND r.ended_at > pic_now() - $1::int * interval '1 day'
      ORDER BY r.ended_at DESC LIMIT $2::bigint) t
