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

CREATE TABLE publication (
    serial bigint CONSTRAINT publication_pkey PRIMARY KEY CONSTRAINT publication_serial CHECK (serial >= 0),
    epoch text COLLATE "C" NOT NULL CONSTRAINT publication_epoch CHECK (epoch ~ '^[0-9a-f]{16}$'),
    at timestamptz NOT NULL,
    routes integer NOT NULL CONSTRAINT publication_routes CHECK (routes >= 0),
    changes integer NOT NULL CONSTRAINT publication_changes CHECK (changes >= 0)
);
COMMENT ON TABLE publication IS 'every publication of the last 30 days, and always the newest, which is the set that gateways are to have';
COMMENT ON COLUMN publication.serial IS 'one more than that of the publication before';
COMMENT ON COLUMN publication.epoch IS '64 random bits of this publication: a database that is restored from a backup publishes other ones, so no gateway takes its serials for those it knows';
COMMENT ON COLUMN publication.at IS 'when it was made; after a day another one is made in any case, and at every start of the portal';
COMMENT ON COLUMN publication.routes IS 'how many routes there are';
COMMENT ON COLUMN publication.changes IS 'how many of them differ from the publication before';

CREATE FUNCTION pic_epoch() RETURNS text LANGUAGE sql VOLATILE
    RETURN left(encode(sha256(uuid_send(gen_random_uuid())), 'hex'), 16);
COMMENT ON FUNCTION pic_epoch() IS '64 random bits, as 16 hexadecimal digits';
INSERT INTO publication VALUES (0, pic_epoch(), pic_now(), 0, 0);

CREATE TABLE published (
    sip_domain dns_name CONSTRAINT published_pkey PRIMARY KEY,
    access_edge dns_name,
    serial bigint NOT NULL
);
COMMENT ON TABLE published IS 'the routes as of the newest publication, and those that are gone';
COMMENT ON COLUMN published.sip_domain IS 'SIP domain';
COMMENT ON COLUMN published.access_edge IS 'Access Edge FQDN; null: the domain has no route any more';
COMMENT ON COLUMN published.serial IS 'the publication that changed it last';
-- What has changed since a publication.
CREATE INDEX published_changed ON published (serial);

-- Written by every change of a route, read and emptied at once by the next publication.
CREATE TABLE to_publish (
    sip_domain dns_name,
    request_id bigint,
    CONSTRAINT to_publish_one CHECK (num_nonnulls(sip_domain, request_id) = 1)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
COMMENT ON TABLE to_publish IS 'what has changed since the last publication';
COMMENT ON COLUMN to_publish.sip_domain IS 'a domain whose route has changed';
COMMENT ON COLUMN to_publish.request_id IS 'a request that has been provisioned';

CREATE TABLE request_live (
    request_id bigint CONSTRAINT request_live_pkey PRIMARY KEY
        CONSTRAINT request_live_request REFERENCES request ON DELETE CASCADE,
    serial bigint NOT NULL,
    live_at timestamptz
);
COMMENT ON TABLE request_live IS 'which publication was the first with all routes of a request; no row: it was provisioned before there was a gateway';
COMMENT ON COLUMN request_live.request_id IS 'the provisioned request';
COMMENT ON COLUMN request_live.serial IS 'the publication';
COMMENT ON COLUMN request_live.live_at IS 'when every gateway that was not silent had loaded it; null: not yet';
-- Of whom it is to be told next.
CREATE INDEX request_live_waiting ON request_live (serial) WHERE live_at IS NULL;

-- ---------------------------------------------------------------------------------------------
-- Noting what changes: triggers of statements, so that no way to change a route can forget it

CREATE FUNCTION note_routes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM gateway) THEN
        INSERT INTO to_publish (sip_domain) SELECT c.sip_domain FROM changed c;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION note_routes() IS 'notes which routes have changed, if there is a gateway to tell';
CREATE TRIGGER route_put AFTER INSERT ON route REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION note_routes();
CREATE TRIGGER route_changed_from AFTER UPDATE ON route REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION note_routes();
CREATE TRIGGER route_changed_to AFTER UPDATE ON route REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION note_routes();
CREATE TRIGGER route_gone AFTER DELETE ON route REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION note_routes();

CREATE FUNCTION note_requests() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM gateway) THEN
        INSERT INTO to_publish (request_id)
        SELECT c.id FROM changed c WHERE c.state = 'provisioned' AND c.kind <> 'cancel';
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION note_requests() IS 'notes which requests were provisioned, if there is a gateway to tell';
CREATE TRIGGER request_provisioned AFTER UPDATE ON request REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION note_requests();

-- ---------------------------------------------------------------------------------------------
-- Publishing

-- After the commit of what changed the routes, and one at a time: serials that settling drew itself would be
-- committed out of order, and whoever reads them would miss some. What is taken from `to_publish` and what stands
-- in `route` is read by one statement, so that the published set is at every serial what was in force at one moment.
CREATE FUNCTION pic_publish(
    silent_after interval, fresh boolean, OUT head bigint, OUT head_epoch text, OUT news boolean, OUT again boolean
) LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET jit = off
AS $$
DECLARE
    now_at constant timestamptz := pic_now();
    before publication;
    live bigint[];
BEGIN
    news := false; again := false;
    IF NOT EXISTS (SELECT FROM gateway) THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('pic_publish', 0));
    UPDATE gateway SET silent = true WHERE NOT silent AND heard_at <= now_at - silent_after;
    news := FOUND;
    SELECT * INTO before FROM publication ORDER BY serial DESC LIMIT 1;
    WITH taken AS (DELETE FROM to_publish RETURNING sip_domain, request_id),
    changed AS MATERIALIZED (
        SELECT t.sip_domain, r.access_edge, p.access_edge AS was
        FROM (SELECT DISTINCT sip_domain FROM taken WHERE sip_domain IS NOT NULL) t
        LEFT JOIN route r ON r.sip_domain = t.sip_domain
        LEFT JOIN published p ON p.sip_domain = t.sip_domain
        WHERE r.access_edge IS DISTINCT FROM p.access_edge
    ),
    put AS (
        INSERT INTO published AS p (sip_domain, access_edge, serial)
        SELECT c.sip_domain, c.access_edge, before.serial + 1 FROM changed c
        ON CONFLICT (sip_domain) DO UPDATE SET access_edge = EXCLUDED.access_edge, serial = EXCLUDED.serial
    ),
    whose AS (
        INSERT INTO request_live (request_id, serial)
        SELECT DISTINCT r.id, before.serial + (EXISTS (SELECT FROM changed))::int
        FROM taken t JOIN request r ON r.id = t.request_id
        ON CONFLICT DO NOTHING
    )
    INSERT INTO publication (serial, epoch, at, routes, changes)
    SELECT before.serial + 1, pic_epoch(), now_at, before.routes + count(c.access_edge) - count(c.was), count(*)
    FROM changed c
    HAVING count(*) > 0 OR fresh OR before.at <= now_at - interval '1 day';
    SELECT p.serial, p.epoch INTO head, head_epoch FROM publication p ORDER BY p.serial DESC LIMIT 1;
    -- Every gateway that can be heard has all routes of these.
    WITH told AS (
        UPDATE request_live l SET live_at = now_at WHERE l.request_id IN (
            SELECT w.request_id FROM request_live w
            WHERE w.live_at IS NULL
              AND w.serial <= (SELECT min(coalesce(g.serial, -1)) FROM gateway g WHERE NOT g.silent)
            ORDER BY w.serial LIMIT 1000)
        RETURNING l.request_id
    )
    SELECT coalesce(array_agg(t.request_id), '{}') INTO live FROM told t;
    PERFORM pic_append_event(live, now_at, 'portal', 'live');
    news := news OR cardinality(live) > 0 OR head > before.serial;
    again := cardinality(live) >= 1000;
END $$;
COMMENT ON FUNCTION pic_publish(interval, boolean) IS
    'publishes what has changed, if anything has, a day has passed or it is to be `fresh`, notes which gateways are silent, and tells the timelines of requests that are live now; says which publication is the newest (null: there is no gateway), whether there is anything new to show, and whether there is more to tell';

CREATE FUNCTION pic_add_gateway(new_name text, new_token bytea, silent_after interval) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    is_first constant boolean := NOT EXISTS (SELECT FROM gateway);
BEGIN
    IF is_first THEN
        -- Whoever is changing routes has noted nothing. It is waited for, and what stands then is published whole.
        LOCK TABLE route IN SHARE MODE;
    END IF;
    INSERT INTO gateway (name, token_hash, created_at) VALUES (new_name, new_token, pic_now()) ON CONFLICT (name) DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF is_first THEN
        INSERT INTO to_publish (sip_domain)
        SELECT r.sip_domain FROM route r UNION SELECT p.sip_domain FROM published p WHERE p.access_edge IS NOT NULL;
        PERFORM pic_publish(silent_after, false);
    END IF;
    RETURN true;
END $$;
COMMENT ON FUNCTION pic_add_gateway(text, bytea, interval) IS
    'registers a gateway, and with the first one publishes all that is in force; false: the name is in use';

CREATE FUNCTION pic_hear_gateway(
    by_token bytea, by_name text, has_epoch text, has_serial bigint, OUT known_as text, OUT known boolean, OUT news boolean
) LANGUAGE plpgsql AS $$
DECLARE
    now_at constant timestamptz := pic_now();
    had gateway;
    has bigint;
BEGIN
    SELECT * INTO had FROM gateway g WHERE g.token_hash = by_token;
    IF by_token IS NULL THEN
        SELECT * INTO had FROM gateway g WHERE g.name = by_name;
    END IF;
    IF had.name IS NULL THEN
        RETURN;
    END IF;
    SELECT p.serial INTO has FROM publication p
    WHERE p.serial = has_serial AND p.epoch = coalesce(has_epoch, p.epoch);
    known_as := had.name; known := has IS NOT NULL;
    news := had.silent OR had.serial IS DISTINCT FROM has;
    IF news OR had.heard_at <= now_at - interval '5 s' THEN
        UPDATE gateway g SET
            heard_at = now_at, silent = false, serial = has,
            loaded_at = CASE WHEN g.serial = has THEN g.loaded_at WHEN has IS NOT NULL THEN now_at END
        WHERE g.name = had.name;
    END IF;
END $$;
COMMENT ON FUNCTION pic_hear_gateway(bytea, text, text, bigint) IS
    'notes that the gateway with this token (null: of this name) asks from this publication, which is what it has loaded; tells its name (null: there is none), whether the publication is one of these, and whether that is news';

-- ---------------------------------------------------------------------------------------------
-- For gateways beside the database: deploy/gateway-role.sql makes the role that may use it

CREATE SCHEMA gateway;
COMMENT ON SCHEMA gateway IS 'what gateways read by SQL';

CREATE FUNCTION gateway.whole() RETURNS TABLE (sip_domain text, access_edge text) LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
DECLARE
    expected constant integer := (SELECT p.routes FROM publication p ORDER BY p.serial DESC LIMIT 1);
    got integer;
BEGIN
    RETURN QUERY SELECT p.sip_domain::text, p.access_edge::text FROM published p WHERE p.access_edge IS NOT NULL ORDER BY 1;
    GET DIAGNOSTICS got = ROW_COUNT;
    IF got IS DISTINCT FROM expected THEN
        RAISE EXCEPTION 'the set of routes is not whole: % of %', got, expected USING ERRCODE = 'data_corrupted';
    END IF;
END $$;
COMMENT ON FUNCTION gateway.whole() IS 'all published routes; fails when any is missing';
CREATE VIEW gateway.route AS SELECT sip_domain, access_edge FROM gateway.whole();
COMMENT ON VIEW gateway.route IS 'all published routes; fails when any is missing, since a gateway that loads a part would drop the rest';

CREATE FUNCTION gateway.loaded(has_serial bigint) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
BEGIN
    PERFORM pic_hear_gateway(NULL, session_user::text, NULL, has_serial);
    RETURN (SELECT max(p.serial) FROM publication p);
END $$;
COMMENT ON FUNCTION gateway.loaded(bigint) IS
    'notes that the gateway named like the session''s user has loaded that publication (null: none), and tells the newest';
REVOKE ALL ON FUNCTION gateway.whole(), gateway.loaded(bigint) FROM PUBLIC;

-- ---------------------------------------------------------------------------------------------
-- What people are told

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
       (SELECT true FROM route x WHERE x.service_id = r.service_id LIMIT 1) IS NOT NULL AS holds,
       greatest((SELECT max(e.seq) FROM event e WHERE e.request_id = r.id), r.provisioned_seq, 1) AS seq,
       ARRAY(SELECT f.severity FROM finding f WHERE f.request_id = r.id) AS severities,
       coalesce(w.due_at, h.due_at) AS due_at,
       coalesce(w.checked_at, h.checked_at) AS checked_at,
       (SELECT count(*)::int FROM gateway g) AS gateways,
       (SELECT count(*)::int FROM gateway g WHERE NOT g.silent AND g.serial >= coalesce(
           (SELECT l.serial FROM request_live l WHERE l.request_id = r.id), 0)) AS live_on,
       (SELECT l.live_at FROM request_live l WHERE l.request_id = r.id) AS live_at
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
COMMENT ON COLUMN request_summary.live_at IS 'as in request_live';
