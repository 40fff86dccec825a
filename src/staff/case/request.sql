-- What the desk sees of one request beyond what its administrator sees, in one round trip.
SELECT r.id, r.service_id, w.lease_until,
       coalesce(w.lease_until > pic_now(), false) AS "leased!",
       (SELECT d.sip_domain FROM request_route d WHERE d.request_id = n.about ORDER BY d.edge, d.place LIMIT 1) AS "domain?: SipDomain",
       (SELECT count(*) FROM request_route d WHERE d.request_id = n.about) AS "domains!",
       r.state = 'pending' AND EXISTS (
           SELECT FROM finding f WHERE f.request_id = r.id AND f.code = 'domain-held' AND f.at < pic_now() - $2::interval) AS "held_long!",
       (SELECT coalesce(jsonb_agg(jsonb_build_array(e.seq, st.name)), '[]')
        FROM (SELECT seq, staff_id FROM event WHERE request_id = r.id ORDER BY seq DESC LIMIT 100) e
        JOIN staff st ON st.id = e.staff_id) AS "event_staff!: Json<Vec<(u32, Name)>>",
       (SELECT coalesce(jsonb_agg(jsonb_build_array(c.sip_domain, c.service_id, c.number, c.since) ORDER BY c.sip_domain), '[]')
        FROM (SELECT x.sip_domain, x.service_id, s.number, x.since
              FROM request_route d
              JOIN route x ON x.sip_domain = d.sip_domain AND x.service_id <> r.service_id
              JOIN service s ON s.id = x.service_id
              WHERE d.request_id = r.id AND r.state = 'pending'
              ORDER BY x.sip_domain LIMIT 100) c) AS "holders!: Json<Vec<Holder>>",
       (SELECT coalesce(jsonb_agg(jsonb_build_array(c.sip_domain, c.reference) ORDER BY c.id, c.sip_domain), '[]')
        FROM (SELECT d.sip_domain, o.reference, o.id
              FROM request_route d
              JOIN request_route x ON reverse(x.sip_domain) COLLATE "C" = reverse(d.sip_domain) COLLATE "C"
                  AND x.request_id <> d.request_id
              JOIN request o ON o.id = x.request_id AND o.state = 'pending'
              WHERE d.request_id = r.id AND r.state = 'pending'
              ORDER BY o.id LIMIT 100) c) AS "rivals!: Json<Vec<(SipDomain, Reference)>>",
       ARRAY(SELECT o.reference FROM pic_requests_of(r.service_id) o WHERE o.id <> r.id
             ORDER BY o.id DESC LIMIT 50) AS "others!: Vec<Reference>",
       (SELECT coalesce(jsonb_agg(jsonb_build_array(m.mark, st.name, m.at) ORDER BY m.at), '[]')
        FROM staff_mark m JOIN staff st ON st.id = m.staff_id
        WHERE m.request_id = r.id) AS "marks!: Json<Vec<(Mark, Name, DateTime<Utc>)>>"
FROM request r
LEFT JOIN work w ON w.request_id = r.id
-- A cancel has no names of its own: it is about those of the request that was provisioned before it.
CROSS JOIN LATERAL (
    SELECT CASE r.kind WHEN 'cancel' THEN coalesce((
        SELECT max(o.id) FROM pic_requests_of(r.service_id) o
        WHERE o.id < r.id AND o.kind <> 'cancel' AND o.state = 'provisioned'), r.id) ELSE r.id END AS about
) n
WHERE r.reference = $1
