-- Provisioned a day, the oldest first: fourteen ranges of one index.
SELECT d.day::date AS "day!",
       (SELECT count(*) FROM request r
        WHERE r.state = 'provisioned' AND r.ended_at >= d.day AT TIME ZONE 'UTC'
          AND r.ended_at < (d.day + interval '1 day') AT TIME ZONE 'UTC') AS "provisioned!"
FROM (SELECT date_trunc('day', pic_now() AT TIME ZONE 'UTC') - n * interval '1 day' AS day
      FROM generate_series(0, $1::int - 1) AS n) d
ORDER BY d.day
