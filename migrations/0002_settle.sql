-- How claimed requests are settled: the one place where a request leaves pending by the portal's
-- own hand and where routes change.

-- Appends one event to the timeline of each of the given requests.
CREATE FUNCTION pic_append_event(
    ids bigint[], happened_at timestamptz, by_actor text, what text, about text DEFAULT NULL
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    -- Two that append to one timeline go one after the other.
    PERFORM FROM request WHERE id = ANY (ids) ORDER BY id FOR NO KEY UPDATE;
    INSERT INTO event (request_id, seq, at, actor, code, subject)
    SELECT i, 1 + coalesce((SELECT max(e.seq) FROM event e WHERE e.request_id = i), 0), happened_at, by_actor, what, about
    FROM unnest(ids) AS i ORDER BY i;
END $$;
COMMENT ON FUNCTION pic_append_event(bigint[], timestamptz, text, text, text) IS
    'appends one event to the timeline of each request';

CREATE FUNCTION pic_withdraw(id bigint, by_actor text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    now_at constant timestamptz := pic_now();
BEGIN
    -- Whoever settles it at this moment goes first or not at all. Each statement from here on sees
    -- what that one has left behind.
    DELETE FROM work WHERE request_id = pic_withdraw.id;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE request r SET state = 'withdrawn', ended_at = now_at WHERE r.id = pic_withdraw.id;
    DELETE FROM finding WHERE request_id = pic_withdraw.id;
    PERFORM pic_append_event(ARRAY[pic_withdraw.id], now_at, by_actor, 'withdrawn');
    RETURN true;
END $$;
COMMENT ON FUNCTION pic_withdraw(bigint, text) IS
    'takes a pending request back and says whether it did: it may have ended in the meantime';

CREATE FUNCTION pic_settle(
    ids bigint[],
    token uuid,
    expiry interval,
    first_wait interval,
    longest_wait interval,
    proven_by bigint[],
    proven_domain text[],
    OUT expired bigint[],
    OUT held bigint[],
    OUT provisioned bigint[]
) LANGUAGE plpgsql AS $$
DECLARE
    now_at constant timestamptz := pic_now();
    mine bigint[];      -- what the claim still holds
    candidates bigint[];-- neither expired nor held
    waiting bigint[];   -- candidates that want a domain which an earlier candidate wants too
    held_by bigint[];   -- pairs of a request and a domain that holds it back
    held_domain text[];
    newly_held bigint[];
    freed text[];
    moved record;
BEGIN
    -- The guard: whatever the claim lost in the meantime is not ours to touch.
    SELECT coalesce(array_agg(w.request_id), '{}') INTO mine
    FROM (
        SELECT request_id FROM work WHERE request_id = ANY (ids) AND lease_token = token
        ORDER BY request_id FOR UPDATE
    ) w;

    SELECT coalesce(array_agg(r.id), '{}') INTO expired
    FROM request r WHERE r.id = ANY (mine) AND r.submitted_at + expiry <= now_at;

    -- Every route that matters here, in order of domains, before anything is looked at: those who
    -- share one go one after the other. Else what is released while we look at it is missed.
    PERFORM FROM route x WHERE x.sip_domain IN (
        SELECT d.sip_domain FROM request_route d WHERE d.request_id = ANY (mine)
        UNION ALL
        SELECT o.sip_domain FROM request r JOIN route o ON o.service_id = r.service_id WHERE r.id = ANY (mine))
    ORDER BY x.sip_domain FOR UPDATE;

    -- A domain in force under another service holds the request back, in every mode, unless its
    -- zone's owner has spoken for the requesting service.
    SELECT coalesce(array_agg(d.request_id), '{}'), coalesce(array_agg(d.sip_domain), '{}') INTO held_by, held_domain
    FROM request_route d
    JOIN request r ON r.id = d.request_id
    JOIN route x ON x.sip_domain = d.sip_domain AND x.service_id <> r.service_id
    WHERE d.request_id = ANY (mine) AND d.request_id <> ALL (expired) AND NOT EXISTS (
        SELECT FROM unnest(proven_by, proven_domain) AS p (request_id, sip_domain)
        WHERE p.request_id = d.request_id AND p.sip_domain = d.sip_domain);
    held := ARRAY(SELECT DISTINCT i FROM unnest(held_by) AS i);

    SELECT coalesce(array_agg(i), '{}') INTO candidates
    FROM unnest(mine) AS i WHERE i <> ALL (expired) AND i <> ALL (held);

    -- Two candidates that want one domain: the earlier goes first, the later is looked at again
    -- at once, when the domain is in force.
    SELECT coalesce(array_agg(DISTINCT d.request_id) FILTER (WHERE d.request_id > d.earliest), '{}') INTO waiting
    FROM (
        SELECT request_id, min(request_id) OVER (PARTITION BY sip_domain) AS earliest
        FROM request_route WHERE request_id = ANY (candidates)
    ) d;
    SELECT coalesce(array_agg(i), '{}') INTO provisioned FROM unnest(candidates) AS i WHERE i <> ALL (waiting);

    -- Rejected: the limit has passed.
    UPDATE request SET state = 'rejected', reason = 'expired', ended_at = now_at
    WHERE id = ANY (expired) AND state = 'pending';
    PERFORM pic_append_event(expired, now_at, 'portal', 'rejected');

    -- Held: say which domains, look again later.
    DELETE FROM finding f WHERE f.request_id = ANY (held) AND f.code = 'domain-held' AND NOT EXISTS (
        SELECT FROM unnest(held_by, held_domain) AS h (request_id, sip_domain)
        WHERE h.request_id = f.request_id AND h.sip_domain = f.subject);
    SELECT coalesce(array_agg(i), '{}') INTO newly_held FROM unnest(held) AS i
    WHERE NOT EXISTS (SELECT FROM finding WHERE request_id = i AND code = 'domain-held');
    INSERT INTO finding (request_id, code, subject, severity, at)
    SELECT h.request_id, 'domain-held', h.sip_domain, 'blocking', now_at
    FROM unnest(held_by, held_domain) AS h (request_id, sip_domain)
    ON CONFLICT (request_id, code, subject) DO UPDATE SET at = EXCLUDED.at;
    PERFORM pic_append_event(newly_held, now_at, 'portal', 'held');
    UPDATE work w SET
        due_at = least(now_at + least(first_wait * 2 ^ least(w.attempts, 20), longest_wait), r.submitted_at + expiry),
        attempts = least(w.attempts + 1, 32000), lease_token = NULL, lease_until = NULL
    FROM request r WHERE r.id = w.request_id AND w.request_id = ANY (held);

    -- Moved: the routes change hands in place, so that they are never missing; an event on both.
    -- In order of the requests that lose, because others may append to their timelines too.
    FOR moved IN
        SELECT DISTINCT x.request_id AS lost_by, x.sip_domain, e.access_edge, r.service_id, r.id AS gained_by
        FROM request r
        JOIN request_route d ON d.request_id = r.id
        JOIN request_edge e ON e.request_id = r.id AND e.ordinal = d.edge
        JOIN unnest(proven_by, proven_domain) AS p (request_id, sip_domain)
            ON p.request_id = r.id AND p.sip_domain = d.sip_domain
        JOIN route x ON x.sip_domain = d.sip_domain AND x.service_id <> r.service_id
        WHERE r.id = ANY (provisioned)
        ORDER BY x.request_id, x.sip_domain
    LOOP
        UPDATE route x
        SET service_id = moved.service_id, access_edge = moved.access_edge, request_id = moved.gained_by, since = now_at
        WHERE x.sip_domain = moved.sip_domain;
        PERFORM pic_append_event(ARRAY[moved.lost_by], now_at, 'portal', 'domain-lost', moved.sip_domain);
        PERFORM pic_append_event(ARRAY[moved.gained_by], now_at, 'portal', 'domain-gained', moved.sip_domain);
    END LOOP;

    -- Provisioned: make before break. Domains in order, so that two settlements meet in one order.
    INSERT INTO route AS x (sip_domain, access_edge, service_id, request_id, since)
    SELECT d.sip_domain, e.access_edge, r.service_id, r.id, now_at
    FROM request r
    JOIN request_route d ON d.request_id = r.id
    JOIN request_edge e ON e.request_id = r.id AND e.ordinal = d.edge
    WHERE r.id = ANY (provisioned)
    ORDER BY d.sip_domain
    ON CONFLICT (sip_domain) DO UPDATE
        SET access_edge = EXCLUDED.access_edge, request_id = EXCLUDED.request_id, since = EXCLUDED.since
        WHERE x.service_id = EXCLUDED.service_id AND x.access_edge <> EXCLUDED.access_edge;
    IF EXISTS (
        SELECT FROM request r
        JOIN request_route d ON d.request_id = r.id
        LEFT JOIN route x ON x.sip_domain = d.sip_domain AND x.service_id = r.service_id
        WHERE r.id = ANY (provisioned) AND x.sip_domain IS NULL
    ) THEN
        -- Somebody else put one of the domains in force since we looked: undo all, look again.
        RAISE EXCEPTION 'a domain was taken meanwhile' USING ERRCODE = 'serialization_failure';
    END IF;
    WITH gone AS (
        DELETE FROM route x USING request r
        WHERE r.id = ANY (provisioned) AND x.service_id = r.service_id AND NOT EXISTS (
            SELECT FROM request_route d WHERE d.request_id = r.id AND d.sip_domain = x.sip_domain)
        RETURNING x.sip_domain
    ) SELECT coalesce(array_agg(sip_domain), '{}') INTO freed FROM gone;
    UPDATE request SET state = 'provisioned', ended_at = now_at
    WHERE id = ANY (provisioned) AND state = 'pending';
    DELETE FROM finding WHERE request_id = ANY (provisioned) AND code = 'domain-held';
    PERFORM pic_append_event(provisioned, now_at, 'portal', 'provisioned');

    DELETE FROM work WHERE request_id = ANY (expired || provisioned);
    -- What waited for another candidate, and what waited for a domain that is free now: at once.
    UPDATE work SET lease_token = NULL, lease_until = NULL
    WHERE request_id = ANY (waiting);
    -- Whoever has locked one of the latter is about to look at the domain: it is not waited for.
    IF cardinality(freed) > 0 THEN
        UPDATE work SET due_at = now_at WHERE request_id IN (
            SELECT w.request_id FROM work w
            JOIN finding f ON f.request_id = w.request_id AND f.code = 'domain-held' AND f.subject = ANY (freed)
            WHERE w.due_at > now_at FOR UPDATE OF w SKIP LOCKED);
    END IF;
END $$;
COMMENT ON FUNCTION pic_settle(bigint[], uuid, interval, interval, interval, bigint[], text[]) IS
    'settles those of the given requests that the claim with this token still holds, in the caller''s transaction; `proven_by` and `proven_domain` are pairs of a request and a domain whose zone names the requesting service; tells which requests expired, are held and were provisioned; serialization_failure: nothing was changed, call again';
