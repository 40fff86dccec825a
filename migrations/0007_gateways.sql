-- What the operator's gateways get (docs/gateways.md): the routes as they were last published, who takes them,
-- and what each has loaded. While no gateway is registered nothing is written here.

CREATE TABLE gateway (
    name text COLLATE "C" CONSTRAINT gateway_pkey PRIMARY KEY
        CONSTRAINT gateway_name CHECK (name ~ '^[a-z0-9][a-z0-9._-]{0,39}$'),
    token_hash digest NOT NULL CONSTRAINT gateway_token UNIQUE,
    created_at timestamptz NOT NULL,
    heard_at timestamptz,
    silent boolean NOT NULL DEFAULT true,
    serial bigint,
    loaded_at timestamptz,
    CONSTRAINT gateway_loaded CHECK ((serial IS NULL) = (loaded_at IS NULL)),
    CONSTRAINT gateway_heard CHECK (silent OR heard_at IS NOT NULL)
) WITH (fillfactor = 50);
COMMENT ON TABLE gateway IS 'the servers that take the routes: each is registered by its name, and has a token of its own';
COMMENT ON COLUMN gateway.name IS 'name of a server, never of a person; of the role too, where it reads by SQL';
COMMENT ON COLUMN gateway.token_hash IS 'SHA-256 of its token, which reads the routes and nothing else';
COMMENT ON COLUMN gateway.created_at IS 'when it was registered';
COMMENT ON COLUMN gateway.heard_at IS 'when it last asked, within seconds; null: never';
COMMENT ON COLUMN gateway.silent IS 'it has not asked for PIC_GATEWAY_SILENT, or not yet at all';
COMMENT ON COLUMN gateway.serial IS 'the publication that it has loaded: the one from which it asked last; null: none that is known here';
COMMENT ON COLUMN gateway.loaded_at IS 'since when that is known';

-- The set itself is `route`. A publication bears what it changed, while that is few enough to be told, and whom it
-- is to be told to: one row for however many.
CREATE TABLE publication (
    serial bigint CONSTRAINT publication_pkey PRIMARY KEY CONSTRAINT publication_serial CHECK (serial >= 0),
    epoch text COLLATE "C" NOT NULL CONSTRAINT publication_epoch CHECK (epoch ~ '^[0-9a-f]{16}$'),
    at timestamptz NOT NULL,
    routes integer NOT NULL CONSTRAINT publication_routes CHECK (routes >= 0),
    changes integer NOT NULL CONSTRAINT publication_changes CHECK (changes >= 0),
    sip_domains dns_name[],
    access_edges dns_name[],
    waiting bigint[],
    CONSTRAINT publication_told CHECK (cardinality(sip_domains) IS NOT DISTINCT FROM cardinality(access_edges))
);
-- Stored as they are: compressing them took a quarter of the time that a publication takes.
ALTER TABLE publication ALTER sip_domains SET STORAGE EXTERNAL, ALTER access_edges SET STORAGE EXTERNAL, ALTER waiting SET STORAGE EXTERNAL;
COMMENT ON TABLE publication IS 'every publication of the last 30 days, and always the newest, which is the set that gateways are to have';
COMMENT ON COLUMN publication.serial IS 'one more than that of the publication before';
COMMENT ON COLUMN publication.epoch IS '64 random bits of this publication: a database that is restored from a backup publishes other ones, so no gateway takes its serials for those it knows';
COMMENT ON COLUMN publication.at IS 'when it was made; after a day another one is made in any case, and at every start of the portal';
COMMENT ON COLUMN publication.routes IS 'how many routes there are';
COMMENT ON COLUMN publication.changes IS 'how many domains have changed since the publication before';
COMMENT ON COLUMN publication.sip_domains IS 'these domains; null: too many to be told one by one';
COMMENT ON COLUMN publication.access_edges IS 'the Access Edge FQDN of each; null: it has no route any more';
COMMENT ON COLUMN publication.waiting IS 'the requests of which it is the first publication with all routes, until their timelines say that they are live; null: none';
-- Of whom it is to be told next.
CREATE INDEX publication_waiting ON publication (serial) WHERE waiting IS NOT NULL;

CREATE FUNCTION pic_epoch() RETURNS text LANGUAGE sql VOLATILE
    RETURN left(encode(sha256(uuid_send(gen_random_uuid())), 'hex'), 16);
COMMENT ON FUNCTION pic_epoch() IS '64 random bits, as 16 hexadecimal digits';
INSERT INTO publication VALUES (0, pic_epoch(), pic_now(), 0, 0);

-- Written by every change of routes, a row for each statement; read and emptied at once by the next publication.
CREATE TABLE to_publish (
    sip_domains dns_name[],
    added integer NOT NULL DEFAULT 0,
    requests bigint[],
    CONSTRAINT to_publish_one CHECK (num_nonnulls(sip_domains, requests) = 1)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
COMMENT ON TABLE to_publish IS 'what has changed since the last publication';
COMMENT ON COLUMN to_publish.sip_domains IS 'domains whose routes have changed';
COMMENT ON COLUMN to_publish.added IS 'how many routes there are more by that';
COMMENT ON COLUMN to_publish.requests IS 'requests that have been provisioned';

-- ---------------------------------------------------------------------------------------------
-- Noting what changes: triggers of statements, so that no way to change a route can forget it. Requests are noted
-- by pic_end, which alone provisions them.

CREATE FUNCTION note_routes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM gateway) THEN
        INSERT INTO to_publish (sip_domains, added)
        SELECT array_agg(c.sip_domain), CASE TG_OP WHEN 'INSERT' THEN count(*) WHEN 'DELETE' THEN -count(*) ELSE 0 END
        FROM changed c HAVING count(*) > 0;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION note_routes() IS 'notes which routes have changed, if there is a gateway to tell';
CREATE TRIGGER route_put AFTER INSERT ON domain_in_force REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION note_routes();
CREATE TRIGGER route_changed_from AFTER UPDATE ON domain_in_force REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION note_routes();
CREATE TRIGGER route_changed_to AFTER UPDATE ON domain_in_force REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION note_routes();
CREATE TRIGGER route_gone AFTER DELETE ON domain_in_force REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION note_routes();

-- ---------------------------------------------------------------------------------------------
-- Publishing

-- After the commit of what changed the routes, and one at a time: serials that settling drew itself would be
-- committed out of order, and whoever reads them would miss some. What is taken from `to_publish` and what stands
-- in `route` is read by one statement, so that a publication is what was in force at one moment; so is the whole
-- set, where it is asked for.
CREATE FUNCTION pic_publish(
    silent_after interval, fresh boolean, whole boolean,
    OUT head publication, OUT sip_domains text[], OUT access_edges text[], OUT news boolean, OUT again boolean
) LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET jit = off
AS $$
DECLARE
    now_at constant timestamptz := pic_now();
    before publication;
    told record;
    tellable integer := 0;
BEGIN
    news := false; again := false;
    IF NOT EXISTS (SELECT FROM gateway) THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('pic_publish', 0));
    UPDATE gateway SET silent = true WHERE name IN (
        SELECT g.name FROM gateway g WHERE NOT g.silent AND g.heard_at <= now_at - silent_after
        ORDER BY g.name FOR NO KEY UPDATE);
    news := FOUND;
    SELECT * INTO before FROM publication ORDER BY serial DESC LIMIT 1;
    WITH taken AS (DELETE FROM to_publish t RETURNING t.sip_domains, t.added, t.requests),
    changed AS MATERIALIZED (
        SELECT d.sip_domain, r.access_edge
        FROM (SELECT DISTINCT n AS sip_domain FROM taken t, unnest(t.sip_domains) AS n) d
        LEFT JOIN route r ON r.sip_domain = d.sip_domain
    ),
    made AS (
        INSERT INTO publication (serial, epoch, at, routes, changes, sip_domains, access_edges, waiting)
        SELECT before.serial + 1, pic_epoch(), now_at,
               before.routes + (SELECT coalesce(sum(t.added), 0) FROM taken t), count(*),
               CASE WHEN count(*) <= 1000 THEN coalesce(array_agg(c.sip_domain), '{}') END,
               CASE WHEN count(*) <= 1000 THEN coalesce(array_agg(c.access_edge), '{}') END,
               (SELECT array_agg(i) FROM taken t, unnest(t.requests) AS i)
        FROM changed c
        HAVING count(*) > 0 OR EXISTS (SELECT FROM taken) OR fresh OR before.at <= now_at - interval '1 day'
    )
    SELECT CASE WHEN whole THEN ARRAY(SELECT r.sip_domain::text FROM domain_in_force r ORDER BY r.sip_domain) END,
           CASE WHEN whole THEN ARRAY(SELECT r.access_edge::text FROM route r ORDER BY r.sip_domain) END
    INTO pic_publish.sip_domains, pic_publish.access_edges;
    SELECT * INTO head FROM publication ORDER BY serial DESC LIMIT 1;
    -- Every gateway that can be heard has all routes of these.
    FOR told IN
        SELECT p.serial, p.waiting[:1000] AS live, p.waiting[1001:] AS rest FROM publication p
        WHERE p.waiting IS NOT NULL
          AND p.serial <= (SELECT min(coalesce(g.serial, -1)) FROM gateway g WHERE NOT g.silent)
        ORDER BY p.serial LIMIT 10
    LOOP
        PERFORM FROM request r WHERE r.id = ANY (told.live) ORDER BY r.id FOR NO KEY UPDATE;
        INSERT INTO event (request_id, seq, at, actor, code, serial)
        SELECT r.id, 1 + greatest((SELECT max(e.seq) FROM event e WHERE e.request_id = r.id), r.provisioned_seq, 1), now_at,
               'portal', 'live', told.serial
        FROM request r WHERE r.id = ANY (told.live) AND r.kind <> 'cancel';
        UPDATE publication SET waiting = nullif(told.rest, '{}') WHERE serial = told.serial;
        tellable := tellable + 1;
        again := again OR cardinality(told.rest) > 0;
    END LOOP;
    news := news OR tellable > 0 OR head.serial > before.serial;
    again := again OR tellable = 10;
END $$;
COMMENT ON FUNCTION pic_publish(interval, boolean, boolean) IS
    'publishes what has changed, if anything has, a day has passed or it is to be `fresh`, notes which gateways are silent, and tells the timelines of requests that are live now; says which publication is the newest (null: there is no gateway), all of its routes where the whole is asked for, whether there is anything new to show, and whether there is more to tell';

CREATE FUNCTION pic_add_gateway(new_name text, new_token bytea) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('pic_publish', 0));
    IF NOT EXISTS (SELECT FROM gateway) THEN
        -- Whoever is changing routes has noted nothing. It is waited for, and what stands then is published whole. What
        -- was published before is no base for differences: what has changed since was not noted.
        LOCK TABLE domain_in_force IN SHARE MODE;
        DELETE FROM to_publish;
        WITH before AS (DELETE FROM publication RETURNING serial)
        INSERT INTO publication (serial, epoch, at, routes, changes)
        SELECT max(b.serial) + 1, pic_epoch(), pic_now(), r.routes, r.routes
        FROM before b, (SELECT count(*) AS routes FROM domain_in_force) r GROUP BY r.routes;
    END IF;
    INSERT INTO gateway (name, token_hash, created_at) VALUES (new_name, new_token, pic_now()) ON CONFLICT (name) DO NOTHING;
    RETURN FOUND;
END $$;
COMMENT ON FUNCTION pic_add_gateway(text, bytea) IS
    'registers a gateway, and with the first one publishes all that is in force; false: the name is in use';

CREATE FUNCTION pic_hear_gateways(tokens bytea[], epochs text[], serials bigint[])
RETURNS TABLE (place bigint, news boolean) LANGUAGE sql AS $$
    WITH asked AS MATERIALIZED (
        SELECT a.place, g.name, p.serial AS has, g.silent OR g.serial IS DISTINCT FROM p.serial AS news, g.heard_at
        FROM unnest(tokens, epochs, serials) WITH ORDINALITY AS a (token, epoch, serial, place)
        JOIN gateway g ON g.token_hash = a.token
        LEFT JOIN publication p ON p.serial = a.serial AND p.epoch = coalesce(a.epoch, p.epoch)
    ),
    -- In one order, so that of two who hear of the same gateways one waits for the other.
    due AS MATERIALIZED (
        SELECT g.name FROM gateway g
        WHERE g.name IN (SELECT a.name FROM asked a WHERE a.news OR a.heard_at <= pic_now() - interval '5 s')
        ORDER BY g.name FOR NO KEY UPDATE
    ),
    noted AS (
        UPDATE gateway g SET
            heard_at = pic_now(), silent = false, serial = l.has,
            loaded_at = CASE WHEN g.serial = l.has THEN g.loaded_at WHEN l.has IS NOT NULL THEN pic_now() END
        FROM due d, (SELECT DISTINCT ON (a.name) a.name, a.has FROM asked a ORDER BY a.name, a.place DESC) l
        WHERE g.name = d.name AND l.name = d.name
    )
    SELECT a.place, a.news FROM asked a
$$;
COMMENT ON FUNCTION pic_hear_gateways(bytea[], text[], bigint[]) IS
    'notes that the gateways with these tokens ask from these publications (epoch null: whatever it is), which is what they have loaded (none, where it is no publication of this database); tells of each gateway that there is, by its place, whether that is news';

-- ---------------------------------------------------------------------------------------------
-- For gateways beside the database: deploy/gateway-role.sql makes the role that may use it

CREATE SCHEMA gateway;
COMMENT ON SCHEMA gateway IS 'what gateways read by SQL';

CREATE FUNCTION gateway.whole() RETURNS TABLE (sip_domain text, access_edge text) LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
DECLARE
    expected constant bigint := (SELECT p.routes FROM publication p ORDER BY p.serial DESC LIMIT 1)
                                + (SELECT coalesce(sum(t.added), 0) FROM to_publish t);
    got bigint;
BEGIN
    RETURN QUERY SELECT r.sip_domain::text, r.access_edge::text FROM route r ORDER BY 1;
    GET DIAGNOSTICS got = ROW_COUNT;
    IF got IS DISTINCT FROM expected THEN
        RAISE EXCEPTION 'the set of routes is not whole: % of %', got, expected USING ERRCODE = 'data_corrupted';
    END IF;
END $$;
COMMENT ON FUNCTION gateway.whole() IS 'all routes in force; fails when any is missing';
CREATE VIEW gateway.route AS SELECT sip_domain, access_edge FROM gateway.whole();
COMMENT ON VIEW gateway.route IS 'all routes in force; fails when any is missing, since a gateway that loads a part would drop the rest';

CREATE FUNCTION gateway.loaded(has_serial bigint) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
BEGIN
    PERFORM pic_hear_gateways(ARRAY[(SELECT g.token_hash FROM gateway g WHERE g.name = session_user::text)], ARRAY[NULL], ARRAY[has_serial]);
    RETURN (SELECT max(p.serial) FROM publication p);
END $$;
COMMENT ON FUNCTION gateway.loaded(bigint) IS
    'notes that the gateway named like the session''s user has loaded that publication (null: none), and tells the newest';
REVOKE ALL ON FUNCTION gateway.whole(), gateway.loaded(bigint) FROM PUBLIC;

-- ---------------------------------------------------------------------------------------------
-- What people are told

CREATE FUNCTION pic_live_from(of_request bigint) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT coalesce(
        (SELECT max(e.serial) FROM event e WHERE e.request_id = of_request AND e.code = 'live'),
        (SELECT min(p.serial) FROM publication p WHERE p.waiting IS NOT NULL AND of_request = ANY (p.waiting)),
        (SELECT 9223372036854775807 FROM to_publish t WHERE of_request = ANY (t.requests) LIMIT 1),
        0)
$$;
COMMENT ON FUNCTION pic_live_from(bigint) IS
    'which publication is the first with all routes of a provisioned request: beyond all while it is to be published, 0 where it was provisioned before there was a gateway';

-- How a request stands, for every query that shows it. PostgreSQL computes only the columns that a query names.
CREATE VIEW request_summary AS
SELECT r.id, r.service_id, r.reference, r.kind, r.deployment, r.state, r.reason, r.submitted_at, r.ended_at,
       EXISTS (SELECT FROM finding f WHERE f.request_id = r.id AND f.severity = 'blocking') AS blocked,
       CASE WHEN r.state <> 'pending' THEN r.submitted_at ELSE coalesce(
           (SELECT min(f.at) FROM finding f WHERE f.request_id = r.id AND f.severity = 'blocking'),
           (SELECT greatest(max(coalesce(e.last_at, e.at)), (SELECT max(f.at) FROM finding f WHERE f.request_id = r.id))
            FROM event e WHERE e.request_id = r.id AND e.code IN ('blocked', 'held', 'corrected') HAVING count(*) > 0),
           r.submitted_at) END AS turn_at,
       EXISTS (SELECT FROM request l
               WHERE l.service_id = r.service_id AND l.kind <> 'initiate' AND l.id > r.id AND l.state = 'provisioned')
           AS superseded,
       EXISTS (SELECT FROM event e WHERE e.request_id = r.id AND e.code = 'domain-lost') AS lost,
       (SELECT true FROM domain_in_force x WHERE x.service_id = r.service_id LIMIT 1) IS NOT NULL AS holds,
       greatest((SELECT max(e.seq) FROM event e WHERE e.request_id = r.id), r.provisioned_seq, 1) AS seq,
       ARRAY(SELECT f.severity FROM finding f WHERE f.request_id = r.id) AS severities,
       coalesce(w.due_at, h.due_at) AS due_at,
       coalesce(w.checked_at, h.checked_at) AS checked_at,
       (SELECT count(*)::int FROM gateway g) AS gateways,
       CASE WHEN r.state = 'provisioned' AND EXISTS (SELECT FROM gateway) THEN (
           SELECT count(*)::int FROM gateway g, (SELECT pic_live_from(r.id) AS serial OFFSET 0) l
           WHERE NOT g.silent AND g.serial >= l.serial) ELSE 0 END AS live_on,
       (SELECT max(e.at) FROM event e WHERE e.request_id = r.id AND e.code = 'live') AS live_at
FROM request r
LEFT JOIN work w ON w.request_id = r.id
LEFT JOIN watch h ON h.request_id = r.id;
COMMENT ON VIEW request_summary IS 'requests with what people are told of each: how it stands, and when it is looked at';
COMMENT ON COLUMN request_summary.id IS 'as in request';
COMMENT ON COLUMN request_summary.service_id IS 'as in request';
COMMENT ON COLUMN request_summary.reference IS 'as in request';
COMMENT ON COLUMN request_summary.kind IS 'as in request';
COMMENT ON COLUMN request_summary.deployment IS 'as in request';
COMMENT ON COLUMN request_summary.state IS 'as in request';
COMMENT ON COLUMN request_summary.reason IS 'as in request';
COMMENT ON COLUMN request_summary.submitted_at IS 'as in request';
COMMENT ON COLUMN request_summary.ended_at IS 'as in request';
COMMENT ON COLUMN request_summary.blocked IS 'whether a finding holds it back that the administrator can do something about';
COMMENT ON COLUMN request_summary.turn_at IS 'since when it is the turn of whoever has to act on it, while it is pending: of the administrator, since when something holds it back; of the portal, since its submission, or since what held it back was gone';
COMMENT ON COLUMN request_summary.superseded IS 'whether a later request of the same service has been provisioned';
COMMENT ON COLUMN request_summary.lost IS 'whether a domain of its service went over to another since it was provisioned, and before a later request was';
COMMENT ON COLUMN request_summary.holds IS 'whether its service has anything in force';
COMMENT ON COLUMN request_summary.seq IS 'place of the last entry in its timeline';
COMMENT ON COLUMN request_summary.severities IS 'how grave each of its findings is';
COMMENT ON COLUMN request_summary.due_at IS 'when it is looked at next; NULL: it is not';
COMMENT ON COLUMN request_summary.checked_at IS 'when its checks last ran; NULL: not yet, or it is not checked any more';
COMMENT ON COLUMN request_summary.gateways IS 'how many gateways there are';
COMMENT ON COLUMN request_summary.live_on IS 'how many of them can be heard, and have loaded all its routes, once they are in force';
COMMENT ON COLUMN request_summary.live_at IS 'when every gateway that could be heard had loaded them; NULL: not yet, or before there was a gateway';
