-- What the feed and the calendar of a service tell, by the secret in their address: the last events of all its
-- requests, the last first (`MOST_EVENTS`), and the certificates that its checks found to be fine.
SELECT s.id, s.created_at, s.token,
       (SELECT coalesce(jsonb_agg(jsonb_build_array(
                   o.reference, o.kind, jsonb_build_array(o.seq, o.at, o.last_at, o.times, o.actor, o.code, o.subject))), '[]')
        FROM (
            SELECT r.reference, r.kind, t.*
            FROM (SELECT * FROM pic_requests_of(s.id) ORDER BY id DESC LIMIT 200) r
            JOIN timeline t ON t.request_id = r.id
            ORDER BY coalesce(t.last_at, t.at) DESC, t.request_id DESC, t.seq DESC LIMIT 100
        ) o) AS "events!: Json<Vec<(Reference, Kind, Event)>>",
       (SELECT coalesce(jsonb_agg(jsonb_build_array(f.code, f.severity, f.subject, f.expected, string_to_array(f.found, E'\n')) ORDER BY f.subject), '[]')
        FROM finding f
        WHERE f.request_id = (SELECT max(r.id) FROM pic_requests_of(s.id) r WHERE r.state = 'provisioned')
          AND f.code = 'certificate') AS "certificates!: Json<Vec<Finding>>"
FROM service s
WHERE s.watch_hash = $1
