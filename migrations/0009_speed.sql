-- What makes the background task quick, and keeps it so as tables grow.

-- ---------------------------------------------------------------------------------------------
-- Claimed and settled in one go where nothing is looked up.

-- Whoever was held back before it was noted when that was: the function below takes a request that
-- was never looked at for one that nothing was found of.
UPDATE work SET checked_at = pic_now()
WHERE checked_at IS NULL AND EXISTS (
    SELECT FROM finding f WHERE f.request_id = work.request_id AND f.code = 'domain-held');

-- One transaction, so that no lease is needed for what it settles: a crash leaves everything as it was.
--
-- Plain is what nothing stands against: a service's first request, looked at for the first time, whose
-- domains are in force under nobody and wanted by no other request of the batch. Its edges in the
-- state machine are those of pic_conclude, which does all the rest; that gets it under a lease.
--
-- The plans are those for large tables, whatever the statistics say on the day that a connection
-- plans: every row is reached through an index, from a batch of known size.
CREATE FUNCTION pic_settle_plain(
    most integer,
    since timestamptz,
    token uuid,
    lease interval,
    expiry interval,
    OUT provisioned integer,
    OUT rest bigint[],
    OUT full_batch boolean,
    OUT next_since timestamptz,
    OUT idle interval
) LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    now_at constant timestamptz := pic_now();
    -- A clock that was put back has made what is due look older than what was done.
    from_at constant timestamptz := CASE WHEN since <= now_at THEN since ELSE '-infinity' END;
    mine bigint[];
    fresh boolean[];    -- of each: never looked at
    places tid[];       -- of each: its row of work, which stays where it is while it is locked
    plain bigint[];
BEGIN
    provisioned := 0;
    SELECT coalesce(array_agg(w.request_id), '{}'), array_agg(w.checked_at IS NULL), array_agg(w.ctid), max(w.due_at)
    INTO mine, fresh, places, next_since
    FROM (
        SELECT request_id, checked_at, ctid, due_at FROM work
        WHERE due_at >= from_at AND due_at <= now_at AND (lease_until IS NULL OR lease_until <= now_at)
        ORDER BY due_at LIMIT most FOR UPDATE SKIP LOCKED
    ) w;
    full_batch := cardinality(mine) >= most;
    rest := mine;
    IF cardinality(mine) > 0 THEN
        -- Everything is looked at after the rows of work are locked: whoever ends a request, or has
        -- it looked at again, begins with its row of work too. All of them are plain, as nearly always;
        -- else each is looked at by itself.
        SELECT mine INTO plain
        FROM unnest(mine, fresh) AS m (id, fresh)
        JOIN request r ON r.id = m.id
        LEFT JOIN request o ON o.service_id = r.service_id AND o.id <> r.id
        LEFT JOIN request_route d ON d.request_id = r.id
        LEFT JOIN route x ON x.sip_domain = d.sip_domain
        HAVING bool_and(m.fresh AND r.kind = 'initiate' AND r.state = 'pending' AND r.submitted_at + expiry > now_at
                        AND o.id IS NULL AND d.sip_domain IS NOT NULL AND x.sip_domain IS NULL)
           AND count(DISTINCT d.sip_domain) = count(*);
        IF plain IS NULL THEN
            SELECT array_agg(b.id), array_agg(b.place) INTO plain, places
            FROM (
                SELECT w.id, w.place
                FROM (
                    SELECT m.id, m.place,
                           m.fresh AND r.kind = 'initiate' AND r.state = 'pending' AND r.submitted_at + expiry > now_at
                               AND o.id IS NULL AND d.sip_domain IS NOT NULL AND x.sip_domain IS NULL
                               AND count(*) OVER (PARTITION BY d.sip_domain) = 1 AS fits
                    FROM unnest(mine, fresh, places) AS m (id, fresh, place)
                    JOIN request r ON r.id = m.id
                    LEFT JOIN request o ON o.service_id = r.service_id AND o.id <> r.id
                    LEFT JOIN request_route d ON d.request_id = r.id
                    LEFT JOIN route x ON x.sip_domain = d.sip_domain
                ) w
                GROUP BY w.id, w.place HAVING bool_and(w.fits)
            ) b;
        END IF;
        IF plain IS NOT NULL THEN
            BEGIN
                -- Domains in order, so that two settlements meet in one order.
                INSERT INTO route (sip_domain, access_edge, service_id, request_id, since)
                SELECT d.sip_domain, e.access_edge, r.service_id, r.id, now_at
                FROM request r
                JOIN request_route d ON d.request_id = r.id
                JOIN request_edge e ON e.request_id = r.id AND e.ordinal = d.edge
                WHERE r.id = ANY (plain)
                ORDER BY d.sip_domain;
                INSERT INTO event (request_id, seq, at, actor, code)
                SELECT i, 1 + coalesce((SELECT max(e.seq) FROM event e WHERE e.request_id = i), 0), now_at, 'portal', 'provisioned'
                FROM unnest(plain) AS i;
                UPDATE request SET state = 'provisioned', ended_at = now_at WHERE id = ANY (plain);
                DELETE FROM work WHERE ctid = ANY (places);
                provisioned := cardinality(plain);
                rest := CASE WHEN provisioned = cardinality(mine) THEN '{}'
                             ELSE ARRAY(SELECT i FROM unnest(mine) AS i EXCEPT SELECT i FROM unnest(plain) AS i) END;
            EXCEPTION WHEN unique_violation THEN
                -- Somebody put one of the domains in force, or wrote to one of the timelines, since we
                -- looked. Nothing of this block has happened; pic_conclude waits for whom it has to.
                NULL;
            END;
        END IF;
        IF cardinality(rest) > 0 THEN
            UPDATE work SET lease_token = token, lease_until = now_at + lease, again = false
            WHERE request_id = ANY (rest);
        END IF;
    END IF;
    IF NOT full_batch THEN
        -- What was submitted in these seconds may not have been committed yet.
        next_since := now_at - interval '2 s';
        -- What is due and locked is about to be settled by whoever locked it.
        idle := least((SELECT min(lease_until) FROM work WHERE due_at >= from_at AND due_at <= now_at AND lease_until > now_at),
                      (SELECT due_at FROM work WHERE due_at > now_at ORDER BY due_at LIMIT 1)) - now_at;
    END IF;
END $$;
COMMENT ON FUNCTION pic_settle_plain(integer, timestamptz, uuid, interval, interval) IS
    'settles, without look-ups, up to `most` requests that are due since then (null: since ever) and free, oldest first, in the caller''s transaction; tells how many it provisioned, which it has claimed by `token` for `lease` because they are for pic_conclude, whether there may be more, since when to look next (due rows before that were dealt with, but for those of others), and for how long nothing else will be due (null: nothing is waiting)';

-- ---------------------------------------------------------------------------------------------
-- Deleting requests, planned for large tables too: between two ANALYZE an empty table may have become
-- a large one, and each of the plans kept in a session would read it from end to end, for every row
-- that is deleted.
ALTER FUNCTION pic_forget_requests(interval, interval, interval, integer) SET enable_seqscan = off;
ALTER FUNCTION pic_forget_requests(interval, interval, interval, integer) SET enable_bitmapscan = off;
ALTER FUNCTION pic_forget_requests(interval, interval, interval, integer) SET enable_hashjoin = off;
ALTER FUNCTION pic_forget_requests(interval, interval, interval, integer) SET enable_mergejoin = off;

-- ---------------------------------------------------------------------------------------------
-- PostgreSQL's upkeep where its defaults wait for a fifth of a table, which of millions is too late.

-- Every row is deleted within moments, and every claim reads the index of due times from its
-- beginning: dead entries there are what slows it down. It is small, so it is done at full speed.
ALTER TABLE work SET (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 5000);
-- Every row gets another due time once a day, so each leaves a dead entry in that index.
ALTER TABLE watch SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
-- Every row dies once, when it leaves pending: the state stands in predicates of indexes, so that this
-- is no HOT update. What is counted is read from indexes alone where the pages are known to be visible.
ALTER TABLE request SET (
    autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
-- Findings come and go with every check.
ALTER TABLE finding SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000);
-- Written once and never changed. Frozen later, if they live: to freeze rows as soon as they are there
-- cost 80 bytes of write-ahead log a submit.
ALTER TABLE event SET (autovacuum_vacuum_insert_scale_factor = 0.05);
ALTER TABLE request_edge SET (autovacuum_vacuum_insert_scale_factor = 0.05);
ALTER TABLE request_route SET (autovacuum_vacuum_insert_scale_factor = 0.05);
