-- Services, requests, routes and timelines, and the rules that they are held to.
--
-- There is no column for a name, an e-mail address, a telephone number or free text, and there
-- must never be one.

-- A session keeps the plans by which foreign keys are checked. One that it makes when the table has a page
-- or two, and is known to, reads the table from end to end for every row that refers to it, until the next
-- ANALYZE: six thousand requests later a submit read five times as many pages. So nobody counts the rows of
-- `service` and `request` before there are a thousand; VACUUM counts them too.
CREATE TABLE service (
    id bigint CONSTRAINT service_pkey PRIMARY KEY,
    created_at timestamptz NOT NULL,
    programme text COLLATE "C" NOT NULL CONSTRAINT service_programme CHECK (
        programme IN ('volume_licensing', 'partner_network', 'service_provider', 'high_volume')),
    number text COLLATE "C" NOT NULL CONSTRAINT service_number CHECK (number ~ '^[A-Z0-9]+$')
        CONSTRAINT service_number_length CHECK (octet_length(number) <= 32),
    token text COLLATE "C" NOT NULL CONSTRAINT service_token CHECK (token ~ '^[0-9A-HJKMNP-TV-Z]+$')
        CONSTRAINT service_token_length CHECK (octet_length(token) = 16),
    key_hash half_digest NOT NULL,
    watch_hash digest,
    -- A digit, and at most four letters in a row: no name is stored as an agreement number.
    CONSTRAINT service_number_no_name CHECK (number ~ '[0-9]' AND number !~ '[A-Z]{5}')
) WITH (autovacuum_analyze_threshold = 1000, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE service IS 'what an agreement holds; several services may bear one agreement number, each is opened by its own key';
COMMENT ON COLUMN service.id IS 'internal number, that of the request that made it';
COMMENT ON COLUMN service.created_at IS 'when its first request was submitted';
COMMENT ON COLUMN service.programme IS 'licensing programme';
COMMENT ON COLUMN service.number IS 'normalised agreement number: identifies, never authorises; 0: words stood there and were removed by a sweep';
COMMENT ON COLUMN service.token IS 'public token that a TXT record names to give a domain to this service, 80 random bits in Crockford base32';
COMMENT ON COLUMN service.key_hash IS 'the first half of the SHA-256 of the management key, which has 128 bits itself';
COMMENT ON COLUMN service.watch_hash IS 'SHA-256 of the secret in the address of its feed and calendar; null: there is none';
-- A feed or a calendar is asked for.
CREATE UNIQUE INDEX service_watched_by ON service (watch_hash) WHERE watch_hash IS NOT NULL;
-- Signing in: number and key together, so that a number that exists and one that does not cost the same. Of the
-- key's hash the first 64 bits tell them apart; the whole is compared in the row. The desk's search by number.
CREATE INDEX service_opened_by ON service (number, substr(key_hash::bytea, 1, 8));
-- The sweep finds what is no number, without a look at all the others.
CREATE INDEX service_number_to_mask ON service (id) WHERE number !~ '[0-9]' OR number ~ '[A-Z]{5}';

CREATE TABLE session (
    token_hash digest CONSTRAINT session_pkey PRIMARY KEY,
    service_id bigint NOT NULL CONSTRAINT session_service REFERENCES service ON DELETE CASCADE,
    began_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL CONSTRAINT session_seen CHECK (seen_at >= began_at)
) WITH (fillfactor = 70);
COMMENT ON TABLE session IS 'who is signed in: a browser that has shown a service''s management key';
COMMENT ON COLUMN session.token_hash IS 'SHA-256 of the token in the cookie';
COMMENT ON COLUMN session.service_id IS 'the service that it opens';
COMMENT ON COLUMN session.began_at IS 'when it began; the absolute end counts from here';
COMMENT ON COLUMN session.seen_at IS 'when it was last used, to the minute; the idle end counts from here';
-- The sessions of one service: when one is opened beyond the bound, and when its key is replaced.
CREATE INDEX session_of_service ON session (service_id);

-- Every row dies once, when it leaves pending: the state stands in predicates of indexes, so that this
-- is no HOT update. What is counted is read from indexes alone where the pages are known to be visible.
CREATE TABLE request (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT request_pkey PRIMARY KEY,
    service_id bigint NOT NULL,
    submitted_at timestamptz NOT NULL,
    ended_at timestamptz,
    reference text COLLATE "C" NOT NULL CONSTRAINT request_reference UNIQUE
        CONSTRAINT request_reference_form CHECK (reference ~ '^PIC(-[0-9A-HJKMNP-TV-Z]{4}){4}$'),
    kind text COLLATE "C" NOT NULL CONSTRAINT request_kind CHECK (kind IN ('initiate', 'update', 'cancel')),
    deployment text COLLATE "C" CONSTRAINT request_deployment CHECK (deployment IN ('on_premises', 'split')),
    state text COLLATE "C" NOT NULL DEFAULT 'pending' CONSTRAINT request_state CHECK (
        state IN ('pending', 'provisioned', 'rejected', 'withdrawn')),
    reason text COLLATE "C" CONSTRAINT request_reason CHECK (
        reason IN ('expired', 'not-eligible', 'duplicate', 'wrong-information', 'policy')),
    content_hash short_digest NOT NULL,
    provisioned_seq integer CONSTRAINT request_provisioned_seq CHECK (provisioned_seq > 1),
    CONSTRAINT request_makes_service CHECK ((kind = 'initiate') = (id = service_id)),
    CONSTRAINT request_cancel_deploys_nothing CHECK ((kind = 'cancel') = (deployment IS NULL)),
    CONSTRAINT request_ended CHECK ((state = 'pending') = (ended_at IS NULL)),
    CONSTRAINT request_rejected CHECK ((state = 'rejected') = (reason IS NOT NULL)),
    CONSTRAINT request_provisioned CHECK ((state = 'provisioned') = (provisioned_seq IS NOT NULL))
) WITH (
    autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02,
    autovacuum_analyze_threshold = 1000);
COMMENT ON TABLE request IS 'what an administrator asked of a service; carries the whole wanted set of routes';
COMMENT ON COLUMN request.id IS 'internal number, in order of submission';
COMMENT ON COLUMN request.service_id IS 'the service it is about; of an initiate its own number';
COMMENT ON COLUMN request.submitted_at IS 'when it was stored; promise and limit count from here';
COMMENT ON COLUMN request.ended_at IS 'when it left pending; null while it is pending';
COMMENT ON COLUMN request.reference IS 'public, unguessable name: whoever holds it may see the request; made of the form''s submission id and the secret, so the same submission is stored once';
COMMENT ON COLUMN request.kind IS 'initiate, update or cancel';
COMMENT ON COLUMN request.deployment IS 'on_premises, or split: users of a domain both on-premises and online; null for a cancel';
COMMENT ON COLUMN request.state IS 'pending, and then provisioned, rejected or withdrawn for good';
COMMENT ON COLUMN request.reason IS 'why it was rejected; null otherwise';
COMMENT ON COLUMN request.content_hash IS 'the first bytes of the SHA-256 of what was submitted, to tell a retry from another request under the same submission id';
COMMENT ON COLUMN request.provisioned_seq IS 'place in its timeline of being provisioned; null: it is not';
-- A service has one pending request at a time. An initiate is the first of its service, and pending before any
-- other can be sent: `request_is_whole` looks at it.
CREATE UNIQUE INDEX request_one_pending ON request (service_id) WHERE state = 'pending' AND kind <> 'initiate';
-- The requests of one service that did not make it, in order; the other has the service's number.
CREATE INDEX request_of_service ON request (service_id, id) WHERE kind <> 'initiate';
-- The desk's lists of what has ended in one way; what is pending has its row in `work`.
CREATE INDEX request_provisioned ON request (id) WHERE state = 'provisioned';
CREATE INDEX request_rejected ON request (id) WHERE state = 'rejected';
CREATE INDEX request_withdrawn ON request (id) WHERE state = 'withdrawn';
-- What the sweep is to remove.
CREATE INDEX request_to_forget ON request (ended_at) WHERE state IN ('withdrawn', 'rejected');
-- The desk's overview: provisioned a day, and how long it took. A range of this index and nothing else is
-- read. A request is written to it once, when it is provisioned.
CREATE INDEX request_provisioned_when ON request (ended_at) INCLUDE (submitted_at) WHERE state = 'provisioned';

CREATE FUNCTION pic_requests_of(service bigint) RETURNS SETOF request LANGUAGE sql STABLE AS $$
    SELECT * FROM request WHERE id = service AND kind = 'initiate'
    UNION ALL
    SELECT * FROM request WHERE service_id = service AND kind <> 'initiate'
$$;
COMMENT ON FUNCTION pic_requests_of(bigint) IS 'the requests of a service: the one that made it, by its number, and the others, by an index';

-- Written once and never changed, like `event`. Frozen later, if they live: to freeze rows as soon as they are
-- there cost 80 bytes of write-ahead log a submit.
CREATE TABLE request_route (
    request_id bigint NOT NULL CONSTRAINT request_route_request REFERENCES request ON DELETE CASCADE,
    edge smallint NOT NULL CONSTRAINT request_route_ten_edges CHECK (edge BETWEEN 1 AND 10),
    place smallint NOT NULL CONSTRAINT request_route_place CHECK (place BETWEEN 1 AND 1000),
    access_edge dns_name,
    sip_domain dns_name NOT NULL,
    CONSTRAINT request_route_pkey PRIMARY KEY (request_id, edge, place),
    CONSTRAINT request_route_edge_once CHECK ((place = 1) = (access_edge IS NOT NULL))
) WITH (autovacuum_vacuum_insert_scale_factor = 0.05);
COMMENT ON TABLE request_route IS 'the routes a request wants: a SIP domain once, at one Access Edge';
COMMENT ON COLUMN request_route.request_id IS 'the request';
COMMENT ON COLUMN request_route.edge IS 'place of the Access Edge within the request, from 1';
COMMENT ON COLUMN request_route.place IS 'place of the domain among those of its Access Edge, from 1';
COMMENT ON COLUMN request_route.access_edge IS 'Access Edge FQDN, in the first row of each edge alone';
COMMENT ON COLUMN request_route.sip_domain IS 'SIP domain';
-- The desk finds a domain and its sub-domains, and an edge: backwards, because a name's sub-domains begin alike
-- then. Without the request beside the name entries are shorter, and the same names share one. An edge has one
-- entry, whatever its domains are.
CREATE INDEX request_route_backwards ON request_route ((reverse(sip_domain) COLLATE "C"));
CREATE INDEX request_route_edge_backwards ON request_route ((reverse(access_edge) COLLATE "C")) WHERE place = 1;

CREATE VIEW request_edge AS SELECT request_id, edge AS ordinal, access_edge FROM request_route WHERE place = 1;
COMMENT ON VIEW request_edge IS 'the Access Edge FQDNs of a request, ten at most';
COMMENT ON COLUMN request_edge.request_id IS 'the request';
COMMENT ON COLUMN request_edge.ordinal IS 'place in the request, from 1';
COMMENT ON COLUMN request_edge.access_edge IS 'Access Edge FQDN';

-- The name of the edge, and since when the route is in force, are those of the request: to write them here too
-- cost 68 bytes a request.
CREATE TABLE domain_in_force (
    service_id bigint NOT NULL,
    request_id bigint NOT NULL,
    edge smallint NOT NULL,
    sip_domain dns_name CONSTRAINT domain_in_force_pkey PRIMARY KEY
);
COMMENT ON TABLE domain_in_force IS 'the routes in force: a SIP domain is in force once';
COMMENT ON COLUMN domain_in_force.service_id IS 'the service that holds the domain';
COMMENT ON COLUMN domain_in_force.request_id IS 'the request that brought this route into force';
COMMENT ON COLUMN domain_in_force.edge IS 'the Access Edge that serves it, by its place within that request';
COMMENT ON COLUMN domain_in_force.sip_domain IS 'SIP domain';
-- What a service has in force.
CREATE INDEX domain_in_force_of_service ON domain_in_force (service_id);

-- Outer joins, so that a query that asks for neither column does not look at what they come from.
CREATE VIEW route AS
SELECT x.sip_domain, e.access_edge, x.service_id, x.request_id, r.ended_at AS since
FROM domain_in_force x
LEFT JOIN request_edge e ON e.request_id = x.request_id AND e.ordinal = x.edge
LEFT JOIN request r ON r.id = x.request_id;
COMMENT ON VIEW route IS 'the routes in force, with the name of the Access Edge of each';
COMMENT ON COLUMN route.sip_domain IS 'as in domain_in_force';
COMMENT ON COLUMN route.access_edge IS 'Access Edge FQDN that serves it';
COMMENT ON COLUMN route.service_id IS 'as in domain_in_force';
COMMENT ON COLUMN route.request_id IS 'as in domain_in_force';
COMMENT ON COLUMN route.since IS 'when this route came into force';

CREATE TABLE event (
    request_id bigint NOT NULL CONSTRAINT event_request REFERENCES request ON DELETE CASCADE,
    seq integer NOT NULL CONSTRAINT event_seq CHECK (seq > 0),
    at timestamptz NOT NULL,
    actor text COLLATE "C" NOT NULL CONSTRAINT event_actor CHECK (actor IN ('administrator', 'staff', 'portal')),
    code text COLLATE "C" NOT NULL CONSTRAINT event_code CHECK (code IN (
        'submitted', 'held', 'blocked', 'rejected', 'withdrawn', 'domain-gained', 'domain-lost',
        'key-replaced', 'at-risk', 'recovered', 'check-asked', 'superseded', 'corrected', 'live')),
    subject dns_name,
    staff_id bigint,
    times integer NOT NULL DEFAULT 1 CONSTRAINT event_times CHECK (times > 0),
    last_at timestamptz,
    serial bigint,
    CONSTRAINT event_pkey PRIMARY KEY (request_id, seq),
    CONSTRAINT event_first CHECK ((seq = 1) = (code = 'submitted')),
    CONSTRAINT event_subject CHECK ((code IN ('domain-gained', 'domain-lost')) = (subject IS NOT NULL)),
    CONSTRAINT event_by_staff CHECK (staff_id IS NULL OR actor = 'staff'),
    CONSTRAINT event_again CHECK ((times > 1) = (last_at IS NOT NULL)),
    CONSTRAINT event_in_order CHECK (last_at >= at),
    CONSTRAINT event_serial CHECK (serial IS NULL OR code = 'live')
) WITH (autovacuum_vacuum_insert_scale_factor = 0.05);
COMMENT ON TABLE event IS 'what happened to a request; append-only, but for counting what happens again; the view timeline has the submission by an administrator and the provisioning too, which have no row here';
COMMENT ON COLUMN event.request_id IS 'the request';
COMMENT ON COLUMN event.seq IS 'place in the request''s timeline, from 1, in order of when it happened last; the largest is how often anything has happened, the sum of `times`';
COMMENT ON COLUMN event.at IS 'when it happened, the first time where it happened several times';
COMMENT ON COLUMN event.actor IS 'administrator, staff or portal; never a name';
COMMENT ON COLUMN event.code IS 'what happened';
COMMENT ON COLUMN event.subject IS 'the SIP domain it is about, where it is about one';
COMMENT ON COLUMN event.staff_id IS 'the account that did it, where staff did; never shown to administrators';
COMMENT ON COLUMN event.times IS 'how often it happened within a day';
COMMENT ON COLUMN event.last_at IS 'when it happened last; null where it happened once';
COMMENT ON COLUMN event.serial IS 'where it became live: the first publication to gateways with all of its routes';
-- Which domains a request has lost is asked by its page, whatever else its timeline holds.
CREATE INDEX event_lost ON event (request_id, subject) WHERE code = 'domain-lost';

-- Most requests are submitted by administrators and provisioned by the portal, and their rows tell when: another
-- row for each would cost as much as three index entries.
CREATE VIEW timeline AS
SELECT request_id, seq, at, actor, code, subject, staff_id, times, last_at FROM event
UNION ALL
SELECT r.id, 1, r.submitted_at, 'administrator' COLLATE "C", 'submitted' COLLATE "C", NULL::dns_name, NULL::bigint, 1,
       NULL::timestamptz
FROM request r
WHERE NOT EXISTS (SELECT FROM event e WHERE e.request_id = r.id AND e.seq = 1)
UNION ALL
SELECT r.id, r.provisioned_seq, r.ended_at, 'portal' COLLATE "C", 'provisioned' COLLATE "C", NULL::dns_name,
       NULL::bigint, 1, NULL::timestamptz
FROM request r
WHERE r.state = 'provisioned';
COMMENT ON VIEW timeline IS 'the timelines of requests: the events, the submission and the provisioning';
COMMENT ON COLUMN timeline.request_id IS 'as in event';
COMMENT ON COLUMN timeline.seq IS 'as in event';
COMMENT ON COLUMN timeline.at IS 'as in event';
COMMENT ON COLUMN timeline.actor IS 'as in event';
COMMENT ON COLUMN timeline.code IS 'as in event';
COMMENT ON COLUMN timeline.subject IS 'as in event';
COMMENT ON COLUMN timeline.staff_id IS 'as in event';
COMMENT ON COLUMN timeline.times IS 'as in event';
COMMENT ON COLUMN timeline.last_at IS 'as in event';

-- ---------------------------------------------------------------------------------------------
-- Rules that span rows

CREATE FUNCTION event_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.seq > OLD.seq AND NEW.times = OLD.times + 1 AND NEW.last_at >= coalesce(OLD.last_at, OLD.at)
       AND ROW(NEW.request_id, NEW.at, NEW.actor, NEW.code, NEW.subject, NEW.staff_id)
           IS NOT DISTINCT FROM ROW(OLD.request_id, OLD.at, OLD.actor, OLD.code, OLD.subject, OLD.staff_id) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the timeline is append-only' USING ERRCODE = 'integrity_constraint_violation';
END $$;
COMMENT ON FUNCTION event_is_append_only() IS
    'refuses to change an event, but for one change: it happened once more, and moves to the end of its timeline';
CREATE TRIGGER event_append_only BEFORE UPDATE ON event
    FOR EACH ROW EXECUTE FUNCTION event_is_append_only();

CREATE FUNCTION pic_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation';
END $$;
COMMENT ON FUNCTION pic_refuse() IS 'refuses what is not to be done, in the words that the trigger gives';
CREATE TRIGGER request_final BEFORE UPDATE ON request
    FOR EACH ROW WHEN (OLD.state <> 'pending') EXECUTE FUNCTION pic_refuse('an ended request does not change');
CREATE TRIGGER request_of_one_service BEFORE UPDATE OF id, service_id ON request
    EXECUTE FUNCTION pic_refuse('a request stays with its service');
CREATE TRIGGER request_route_for_good BEFORE UPDATE ON request_route
    EXECUTE FUNCTION pic_refuse('what a request wants does not change');

CREATE FUNCTION request_route_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM (SELECT DISTINCT g.request_id FROM gone g) d JOIN request r ON r.id = d.request_id
        WHERE r.state = 'provisioned'
    ) THEN
        RAISE EXCEPTION 'what a provisioned request wanted is kept, as its routes have their edges from it'
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'route_edge';
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION request_route_is_kept() IS
    'refuses to delete what a provisioned request wants, unless the request itself is deleted';
CREATE TRIGGER request_route_kept AFTER DELETE ON request_route REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION request_route_is_kept();
CREATE TRIGGER service_number_for_good BEFORE UPDATE OF id ON service
    EXECUTE FUNCTION pic_refuse('a service keeps its internal number');

-- A request, its routes and a new service are stored by one statement; at its end these look at the whole.
-- The planner does not know how few rows that are, and a session that planned after an ANALYZE at the wrong
-- moment joined both tables from end to end, with temporary files, for every submit: eight times slower, and
-- worse as the tables grow. Every row of interest is reached through an index.
CREATE FUNCTION request_is_whole() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
BEGIN
    -- In place of a foreign key, which would need an index of all requests by service: a service is not deleted
    -- while somebody submits to it. One that is made here is seen by nobody yet.
    IF EXISTS (
        SELECT FROM added r
        WHERE CASE r.kind WHEN 'initiate' THEN (SELECT s.id FROM service s WHERE s.id = r.service_id)
              ELSE (SELECT s.id FROM service s WHERE s.id = r.service_id FOR KEY SHARE) END IS NULL
    ) THEN
        RAISE EXCEPTION 'a request is about a service'
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'request_service';
    END IF;
    IF EXISTS (
        SELECT FROM added r
        WHERE r.kind <> 'initiate' AND r.state = 'pending'
          AND (SELECT i.state FROM request i WHERE i.id = r.service_id) = 'pending'
    ) THEN
        RAISE EXCEPTION 'a service has one pending request'
            USING ERRCODE = 'unique_violation', CONSTRAINT = 'request_one_pending';
    END IF;
    IF EXISTS (
        SELECT FROM added r
        WHERE (r.kind = 'cancel') <> ((SELECT d.request_id FROM request_route d WHERE d.request_id = r.id LIMIT 1) IS NULL)
    ) THEN
        RAISE EXCEPTION 'a request wants routes; a cancel wants none'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'request_whole';
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION request_is_whole() IS
    'that a request has a service and is the only pending one of it, and wants routes or cancels; checked when the statement that stores it ends';
CREATE TRIGGER request_whole AFTER INSERT ON request REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION request_is_whole();

CREATE FUNCTION request_route_is_whole() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
    broken text;
BEGIN
    SELECT CASE WHEN w.n > w.domains THEN 'request_route_once'
                WHEN w.edges <> w.first OR w.edges <> w.names THEN 'request_route_edges'
                WHEN w.n > 1000 THEN 'request_whole'
                WHEN w.meet THEN 'request_domain_is_no_host' END AS rule
    INTO broken
    FROM (SELECT DISTINCT a.request_id FROM added a) r
    CROSS JOIN LATERAL (
        SELECT count(*) AS n, count(DISTINCT d.sip_domain) AS domains, count(DISTINCT d.edge) AS edges,
               count(*) FILTER (WHERE d.place = 1) AS first, count(DISTINCT d.access_edge) AS names,
               array_agg(d.sip_domain::text) && array_agg(d.access_edge::text) FILTER (WHERE d.place = 1) AS meet
        FROM request_route d WHERE d.request_id = r.request_id
    ) w
    WHERE w.n > w.domains OR w.edges <> w.first OR w.edges <> w.names OR w.n > 1000 OR w.meet
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'a request wants 1 to 1000 domains, each once, at 1 to 10 edges, each under one name and one number, from place 1 on; a SIP domain is never an Access Edge of its own request'
            USING ERRCODE = 'check_violation', CONSTRAINT = broken;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION request_route_is_whole() IS
    'docs/field.md#edges-and-domains: what the routes of a request must be, checked when the statement that stores them ends';
CREATE TRIGGER request_route_whole AFTER INSERT ON request_route REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION request_route_is_whole();

-- In place of two foreign keys, each of which looked up every route one by one, and one needed an index by which
-- nothing else is found. A service with a route has the request that brought it, which is kept.
CREATE FUNCTION route_has_request() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
BEGIN
    IF EXISTS (
        SELECT FROM added a
        WHERE (SELECT r.service_id FROM request r WHERE r.id = a.request_id) IS DISTINCT FROM a.service_id
    ) THEN
        RAISE EXCEPTION 'a route is brought into force by a request of its service'
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'route_request';
    END IF;
    IF EXISTS (
        SELECT FROM (SELECT DISTINCT a.request_id, a.edge FROM added a) a
        WHERE (SELECT e.ordinal FROM request_edge e WHERE e.request_id = a.request_id AND e.ordinal = a.edge) IS NULL
    ) THEN
        RAISE EXCEPTION 'a route has its edge from the request that brought it'
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'route_edge';
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION route_has_request() IS 'that routes name requests of their services, and edges of these, checked when the statement that writes them ends';
CREATE TRIGGER route_new AFTER INSERT ON domain_in_force REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION route_has_request();
CREATE TRIGGER route_changed AFTER UPDATE ON domain_in_force REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION route_has_request();

CREATE FUNCTION request_is_unused() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM domain_in_force x WHERE x.service_id = OLD.service_id AND x.request_id = OLD.id) THEN
        RAISE EXCEPTION 'a request has brought routes into force'
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'route_request';
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION request_is_unused() IS 'refuses to delete a request that a route names, as a foreign key would';
CREATE TRIGGER request_unused AFTER DELETE ON request
    FOR EACH ROW WHEN (OLD.state = 'provisioned') EXECUTE FUNCTION request_is_unused();

CREATE FUNCTION service_is_unused() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM pic_requests_of(OLD.id)) THEN
        RAISE EXCEPTION 'a service has requests'
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'request_service';
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION service_is_unused() IS 'refuses to delete a service that has requests, as a foreign key would';
CREATE TRIGGER service_unused AFTER DELETE ON service FOR EACH ROW EXECUTE FUNCTION service_is_unused();

-- ---------------------------------------------------------------------------------------------
-- Timelines

-- What may happen again and again (a zone that comes and goes, a key that is replaced every second)
-- is counted in the entry that is there, if that began within a day, and moves it to the end. So a
-- timeline grows by a few rows a day at most, the entry that stands last is what happened last, and
-- two that take turns, at risk and recovered, are two rows. The other events happen to a request once.
--
-- The last 100 entries are looked through: so many are shown.
CREATE FUNCTION pic_append_event(
    ids bigint[], happened_at timestamptz, by_actor text, what text, about text DEFAULT NULL, by_staff bigint DEFAULT NULL
) RETURNS void LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
    counted bigint[] := '{}';
BEGIN
    IF cardinality(ids) = 0 THEN
        RETURN;
    END IF;
    -- Two that append to one timeline go one after the other.
    PERFORM FROM request WHERE id = ANY (ids) ORDER BY id FOR NO KEY UPDATE;
    IF what NOT IN ('rejected', 'withdrawn', 'superseded') THEN
        WITH before AS MATERIALIZED (
            SELECT r.id, l.seq,
                   greatest((SELECT max(e.seq) FROM event e WHERE e.request_id = r.id), r.provisioned_seq) AS last
            FROM request r
            CROSS JOIN LATERAL (
                SELECT n.seq
                FROM (SELECT e.* FROM event e WHERE e.request_id = r.id ORDER BY e.seq DESC LIMIT 100) n
                WHERE n.code = what AND n.actor = by_actor AND n.at > happened_at - interval '24 hours'
                  AND n.subject IS NOT DISTINCT FROM about AND n.staff_id IS NOT DISTINCT FROM by_staff
                ORDER BY n.seq DESC LIMIT 1
            ) l
            WHERE r.id = ANY (ids)
        ),
        moved AS (
            UPDATE event e SET seq = b.last + 1, times = e.times + 1, last_at = greatest(happened_at, e.at, e.last_at)
            FROM before b WHERE e.request_id = b.id AND e.seq = b.seq
            RETURNING e.request_id
        )
        SELECT coalesce(array_agg(request_id), '{}') INTO counted FROM moved;
    END IF;
    INSERT INTO event (request_id, seq, at, actor, code, subject, staff_id)
    SELECT r.id, 1 + greatest((SELECT max(e.seq) FROM event e WHERE e.request_id = r.id), r.provisioned_seq, 1),
           happened_at, by_actor, what, about, by_staff
    FROM request r WHERE r.id = ANY (ids) AND r.id <> ALL (counted) ORDER BY r.id;
END $$;
COMMENT ON FUNCTION pic_append_event(bigint[], timestamptz, text, text, text, bigint) IS
    'appends one event to the timeline of each request, or counts it in the entry that tells the same';

-- ---------------------------------------------------------------------------------------------
-- Sessions and keys

-- The live sessions of one service are bounded: whoever signs in beyond that ends the oldest. The row of
-- the service is locked first, so that of those who sign in at the same moment each sees the sessions of the
-- one before.
CREATE FUNCTION pic_open_session(
    of_number text, by_key bytea, token bytea, absolute_end interval, idle_end interval, most bigint
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    now_at constant timestamptz := pic_now();
    opened bigint;
BEGIN
    -- A key that is being replaced is waited for, and opens nothing then.
    SELECT id INTO opened FROM service
    WHERE number = of_number AND substr(key_hash::bytea, 1, 8) = substr(by_key, 1, 8) AND key_hash = by_key
    LIMIT 1 FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    DELETE FROM session
    WHERE service_id = opened AND (began_at <= now_at - absolute_end OR seen_at <= now_at - idle_end);
    DELETE FROM session WHERE token_hash IN (
        SELECT s.token_hash FROM session s WHERE s.service_id = opened
        ORDER BY s.began_at DESC, s.token_hash OFFSET most - 1);
    INSERT INTO session (token_hash, service_id, began_at, seen_at) VALUES (token, opened, now_at, now_at);
    RETURN true;
END $$;
COMMENT ON FUNCTION pic_open_session(text, bytea, bytea, interval, interval, bigint) IS
    'opens a session on the service with this number and this hash of its management key, and says whether there is one; ends what is over of its sessions, and the oldest beyond so many';

CREATE FUNCTION pic_replace_key(of_service bigint, new_hash bytea, keep bytea) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    -- Whoever signs in at this moment holds the row too: by the old key it is seen below, or refused.
    PERFORM FROM service WHERE id = of_service FOR NO KEY UPDATE;
    IF NOT EXISTS (SELECT FROM session WHERE token_hash = keep AND service_id = of_service) THEN
        RETURN false;
    END IF;
    UPDATE service SET key_hash = new_hash WHERE id = of_service;
    DELETE FROM session WHERE service_id = of_service AND token_hash <> keep;
    PERFORM pic_append_event(ARRAY(SELECT max(id) FROM pic_requests_of(of_service)),
                             pic_now(), 'administrator', 'key-replaced');
    RETURN true;
END $$;
COMMENT ON FUNCTION pic_replace_key(bigint, bytea, bytea) IS
    'replaces the management key of a service and ends every session on it but the one to keep, which asks for it; false: that one has ended, nothing was changed';
