-- The whole schema as PostgreSQL has it after all migrations: written by .ci/sqlx, never by hand.

CREATE SCHEMA gateway;

COMMENT ON SCHEMA gateway IS 'what gateways read by SQL';

CREATE DOMAIN digest AS bytea
	CONSTRAINT digest_length CHECK ((octet_length(VALUE) = 32));

COMMENT ON DOMAIN digest IS 'a SHA-256 digest, 32 bytes';

CREATE DOMAIN dns_name AS text COLLATE pg_catalog."C"
	CONSTRAINT dns_name_form CHECK ((VALUE ~ '^([a-z0-9-]+\.)+[a-z0-9-]+$'::text))
	CONSTRAINT dns_name_labels CHECK (((VALUE !~ '(^|\.)-|-(\.|$)'::text) AND ((octet_length(VALUE) < 66) OR (VALUE !~ '[^.]{64}'::text))))
	CONSTRAINT dns_name_length CHECK ((octet_length(VALUE) <= 253));

COMMENT ON DOMAIN dns_name IS 'a name of two or more labels in lower case, A-labels for other scripts, no trailing dot';

CREATE DOMAIN evidence AS text COLLATE pg_catalog."C"
	CONSTRAINT evidence_form CHECK ((VALUE ~ '^[ -?A-~]*$'::text))
	CONSTRAINT evidence_length CHECK ((octet_length(VALUE) <= 300));

COMMENT ON DOMAIN evidence IS 'a line of what was found in DNS or in a certificate: printable ASCII without "@", so that no address of a person fits';

CREATE DOMAIN evidence_lines AS text COLLATE pg_catalog."C"
	CONSTRAINT evidence_lines_count CHECK (((octet_length(VALUE) - octet_length(replace(VALUE, '
'::text, ''::text))) < 40))
	CONSTRAINT evidence_lines_form CHECK ((VALUE ~ '^[
 -?A-~]*$'::text))
	CONSTRAINT evidence_lines_length CHECK (((octet_length(VALUE) <= 300) OR (VALUE !~ '([^
]{100}){3}[^
]'::text)));

COMMENT ON DOMAIN evidence_lines IS 'up to 40 lines of evidence, with line feeds between them; empty: none';

CREATE DOMAIN found_in_turn AS text COLLATE pg_catalog."C"
	CONSTRAINT found_in_turn_form CHECK ((VALUE ~ '^[ -?A-~]*$'::text));

COMMENT ON DOMAIN found_in_turn IS 'a finding as a JSON array: printable ASCII without "@", so that no address of a person fits';

CREATE DOMAIN half_digest AS bytea
	CONSTRAINT half_digest_length CHECK ((octet_length(VALUE) = 16));

COMMENT ON DOMAIN half_digest IS 'the first 16 bytes of a SHA-256 digest, of what is no longer than that itself';

CREATE TYPE pic_verdict AS (
	request_id bigint,
	blocked boolean,
	proven dns_name[],
	findings jsonb
);

COMMENT ON TYPE pic_verdict IS 'what the checks said of a request: whether they hold it back, which of its domains are proven to be its service''s, and what they found, each an array of code, severity, subject, expected and the lines found; findings null: they did not run';

CREATE TYPE pic_waits AS (
	expiry interval,
	first_wait interval,
	longest_wait interval,
	watch_every interval
);

COMMENT ON TYPE pic_waits IS 'how long a request may take (expiry), how long one that is held back waits for its next look (first_wait, doubled each time, longest_wait at most), and after how long what is in force is looked at again (watch_every)';

CREATE TYPE pic_wanted AS (
	request_id bigint,
	sip_domain dns_name
);

COMMENT ON TYPE pic_wanted IS 'a request and a domain that it wants';

CREATE DOMAIN short_digest AS bytea
	CONSTRAINT short_digest_length CHECK ((octet_length(VALUE) = 8));

COMMENT ON DOMAIN short_digest IS 'the first 8 bytes of a SHA-256 digest, to compare what is no secret';

CREATE DOMAIN staff_mark_name AS text COLLATE pg_catalog."C"
	CONSTRAINT staff_mark_name_listed CHECK ((VALUE = ANY (ARRAY['taken'::text, 'called'::text, 'waits-for-licensing'::text, 'escalated'::text, 'test'::text])));

COMMENT ON DOMAIN staff_mark_name IS 'what staff may note of a request: somebody deals with it, its administrator has called, it waits for licensing, it was escalated, it is a test';

CREATE FUNCTION gateway.loaded(has_serial bigint) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
BEGIN
    PERFORM pic_hear_gateways(ARRAY[(SELECT g.token_hash FROM gateway g WHERE g.name = session_user::text)], ARRAY[NULL], ARRAY[has_serial]);
    RETURN (SELECT max(p.serial) FROM publication p);
END $$;

COMMENT ON FUNCTION gateway.loaded(has_serial bigint) IS 'notes that the gateway named like the session''s user has loaded that publication (null: none), and tells the newest';

CREATE FUNCTION gateway.whole() RETURNS TABLE(sip_domain text, access_edge text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
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

CREATE FUNCTION event_is_append_only() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF NEW.seq > OLD.seq AND NEW.times = OLD.times + 1 AND NEW.last_at >= coalesce(OLD.last_at, OLD.at)
       AND ROW(NEW.request_id, NEW.at, NEW.actor, NEW.code, NEW.subject, NEW.staff_id)
           IS NOT DISTINCT FROM ROW(OLD.request_id, OLD.at, OLD.actor, OLD.code, OLD.subject, OLD.staff_id) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the timeline is append-only' USING ERRCODE = 'integrity_constraint_violation';
END $$;

COMMENT ON FUNCTION event_is_append_only() IS 'refuses to change an event, but for one change: it happened once more, and moves to the end of its timeline';

CREATE FUNCTION note_routes() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF EXISTS (SELECT FROM gateway) THEN
        INSERT INTO to_publish (sip_domains, added)
        SELECT array_agg(c.sip_domain), CASE TG_OP WHEN 'INSERT' THEN count(*) WHEN 'DELETE' THEN -count(*) ELSE 0 END
        FROM changed c HAVING count(*) > 0;
    END IF;
    RETURN NULL;
END $$;

COMMENT ON FUNCTION note_routes() IS 'notes which routes have changed, if there is a gateway to tell';

CREATE FUNCTION pic_add_gateway(new_name text, new_token bytea) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
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

COMMENT ON FUNCTION pic_add_gateway(new_name text, new_token bytea) IS 'registers a gateway, and with the first one publishes all that is in force; false: the name is in use';

CREATE FUNCTION pic_add_staff_session(of_staff bigint, token bytea, absolute_end interval, idle_end interval, most bigint, confirmed timestamp with time zone, at_provider bytea, proved timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    now_at constant timestamptz := pic_now();
BEGIN
    DELETE FROM staff_session
    WHERE staff_id = of_staff AND (began_at <= now_at - absolute_end OR seen_at <= now_at - idle_end);
    DELETE FROM staff_session WHERE token_hash IN (
        SELECT s.token_hash FROM staff_session s WHERE s.staff_id = of_staff
        ORDER BY s.began_at DESC, s.token_hash OFFSET most - 1);
    INSERT INTO staff_session (token_hash, staff_id, began_at, seen_at, confirmed_until, provider_session, proved_at)
    VALUES (token, of_staff, now_at, now_at, confirmed, at_provider, proved);
    INSERT INTO staff_audit (staff_id, at, action) VALUES (of_staff, now_at, 'signed-in');
END $$;

COMMENT ON FUNCTION pic_add_staff_session(of_staff bigint, token bytea, absolute_end interval, idle_end interval, most bigint, confirmed timestamp with time zone, at_provider bytea, proved timestamp with time zone) IS 'adds a session to an account whose row the caller has locked; ends what is over of its sessions, and the oldest beyond so many';

CREATE FUNCTION pic_append_event(ids bigint[], happened_at timestamp with time zone, by_actor text, what text, about text DEFAULT NULL::text, by_staff bigint DEFAULT NULL::bigint) RETURNS void
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
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

COMMENT ON FUNCTION pic_append_event(ids bigint[], happened_at timestamp with time zone, by_actor text, what text, about text, by_staff bigint) IS 'appends one event to the timeline of each request, or counts it in the entry that tells the same';

CREATE FUNCTION pic_are_new(mine bigint[], not_before timestamp with time zone) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
BEGIN
    RETURN (
        SELECT bool_and(r.kind = 'initiate' AND r.state = 'pending' AND r.submitted_at > not_before
                        AND d.sip_domain IS NOT NULL AND x.sip_domain IS NULL)
               AND count(DISTINCT d.sip_domain) = count(*)
        FROM unnest(mine) AS m (id)
        JOIN request r ON r.id = m.id
        LEFT JOIN request_route d ON d.request_id = r.id
        LEFT JOIN domain_in_force x ON x.sip_domain = d.sip_domain);
END $$;

COMMENT ON FUNCTION pic_are_new(mine bigint[], not_before timestamp with time zone) IS 'whether each of the given requests makes its service and was submitted after `not_before`, and no domain is in force or wanted twice';

CREATE FUNCTION pic_back_off(attempts integer, first_wait interval, longest_wait interval) RETURNS interval
    LANGUAGE sql
    RETURN (LEAST((first_wait * ((2)::double precision ^ (LEAST(attempts, 20))::double precision)), longest_wait) * ((1)::double precision - (random() / (10)::double precision)));

COMMENT ON FUNCTION pic_back_off(attempts integer, first_wait interval, longest_wait interval) IS 'the wait after so many looks in vain: between 0.9 and 1 times first_wait * 2 ^ attempts, longest_wait at most';

CREATE FUNCTION pic_begin_sweep(by_instance uuid, why text, lease interval, unless_clean_within interval DEFAULT NULL::interval) RETURNS bigint
    LANGUAGE plpgsql
    AS $$
DECLARE
    now_at constant timestamptz := pic_now();
    new_id bigint;
BEGIN
    -- Whoever renews it at this moment is not waited for: it lives.
    UPDATE retention_run SET ended_at = greatest(now_at, began_at), outcome = 'abandoned', lease_until = NULL
    WHERE id IN (SELECT id FROM retention_run WHERE ended_at IS NULL AND lease_until <= now_at FOR UPDATE SKIP LOCKED);
    INSERT INTO retention_run (instance, cause, began_at, lease_until)
    VALUES (by_instance, why, now_at, now_at + lease)
    ON CONFLICT DO NOTHING
    RETURNING id INTO new_id;
    IF EXISTS (SELECT FROM retention_run WHERE outcome = 'clean' AND began_at > pic_now() - unless_clean_within) THEN
        DELETE FROM retention_run WHERE id = new_id;
        RETURN NULL;
    END IF;
    UPDATE retention_run SET began_at = t.taken_at, lease_until = t.taken_at + lease
    FROM (SELECT pic_now() AS taken_at) t WHERE id = new_id;
    RETURN new_id;
END $$;

COMMENT ON FUNCTION pic_begin_sweep(by_instance uuid, why text, lease interval, unless_clean_within interval) IS 'takes the turn to sweep and tells its number; null: somebody else has it, or one that began within that time has ended clean';

CREATE FUNCTION pic_check_again(id bigint, not_within interval) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
BEGIN
    UPDATE work SET due_at = pic_now(), attempts = 0, again = lease_token IS NOT NULL
    WHERE request_id = pic_check_again.id AND (checked_at IS NULL OR checked_at <= pic_now() - not_within);
    IF FOUND THEN
        RETURN true;
    END IF;
    UPDATE watch SET due_at = pic_now(), again = lease_token IS NOT NULL
    WHERE request_id = pic_check_again.id AND checked_at <= pic_now() - not_within;
    RETURN FOUND;
END $$;

COMMENT ON FUNCTION pic_check_again(id bigint, not_within interval) IS 'makes a request due now, pending or in force, and says whether it did: not when it was looked at within the interval, nor when it has ended';

CREATE FUNCTION pic_confirm_provider_session(of_subject bytea, as_role text, token bytea, absolute_end interval, idle_end interval, confirmed_for interval, at_provider bytea, proved_ago interval) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
DECLARE
    now_at constant timestamptz := pic_now();
    of_staff bigint := pic_provider_staff(of_subject, as_role, '{}');
BEGIN
    UPDATE staff_session
    SET confirmed_until = least(now_at + confirmed_for, began_at + absolute_end), seen_at = now_at,
        provider_session = at_provider, proved_at = coalesce(now_at - proved_ago, proved_at)
    WHERE token_hash = token AND staff_id = of_staff AND confirmed_until < 'infinity'
      AND began_at > now_at - absolute_end AND seen_at > now_at - idle_end;
    RETURN FOUND;
END $$;

COMMENT ON FUNCTION pic_confirm_provider_session(of_subject bytea, as_role text, token bytea, absolute_end interval, idle_end interval, confirmed_for interval, at_provider bytea, proved_ago interval) IS 'lets a session of this subject go on, and says whether it does';

CREATE FUNCTION pic_correct(of_service bigint, of_reference text, to_number text, to_deployment text, edges text[], domain_edges smallint[], domains text[]) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
DECLARE
    now_at constant timestamptz := pic_now();
    corrected bigint;
BEGIN
    UPDATE work w SET due_at = now_at, attempts = 0, checked_at = NULL, again = false, lease_token = NULL, lease_until = NULL
    FROM request r
    WHERE r.reference = of_reference AND r.service_id = of_service AND r.kind <> 'cancel' AND w.request_id = r.id
    RETURNING r.id INTO corrected;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE request SET deployment = to_deployment WHERE id = corrected;
    UPDATE service SET number = to_number
    WHERE id = of_service AND number <> to_number AND EXISTS (SELECT FROM request WHERE id = corrected AND kind = 'initiate');
    DELETE FROM finding WHERE request_id = corrected;
    DELETE FROM check_progress WHERE request_id = corrected;
    DELETE FROM request_route WHERE request_id = corrected;
    INSERT INTO request_route (request_id, edge, place, access_edge, sip_domain)
    SELECT corrected, d.edge, d.place, CASE d.place WHEN 1 THEN edges[d.edge] END, d.name
    FROM (SELECT n.edge, n.name, row_number() OVER (PARTITION BY n.edge ORDER BY n.n) AS place
          FROM unnest(domain_edges, domains) WITH ORDINALITY AS n (edge, name, n)) d;
    IF cardinality(edges) <> (SELECT count(*) FROM request_edge WHERE request_id = corrected) OR cardinality(edges) = 0 THEN
        RAISE EXCEPTION 'a request wants routes, each edge at least one'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'request_whole';
    END IF;
    PERFORM pic_append_event(ARRAY[corrected], now_at, 'administrator', 'corrected');
    RETURN true;
END $$;

COMMENT ON FUNCTION pic_correct(of_service bigint, of_reference text, to_number text, to_deployment text, edges text[], domain_edges smallint[], domains text[]) IS 'gives a pending request of the service, and where it is the first the service a number (null: it stays), other routes and has it checked from the beginning, and says whether it did: not when it has ended, nor a cancel';

CREATE FUNCTION pic_now() RETURNS timestamp with time zone
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN (clock_timestamp() + '00:00:00'::interval);

COMMENT ON FUNCTION pic_now() IS 'the database''s clock plus an offset that is zero outside tests; declared STABLE so that an index can be searched with it';

CREATE FUNCTION pic_end(ids bigint[], how text, why text, by_actor text, by_staff bigint DEFAULT NULL::bigint, at timestamp with time zone DEFAULT pic_now()) RETURNS bigint[]
    LANGUAGE plpgsql
    AS $$
DECLARE
    ended bigint[];
BEGIN
    IF by_actor = 'staff' THEN
        PERFORM pic_staff_may(by_staff);
    END IF;
    -- Whoever settles one of them at this moment goes first or not at all. Each statement from here on sees
    -- what that one has left behind.
    WITH gone AS (DELETE FROM work WHERE request_id = ANY (ids) RETURNING request_id)
    SELECT coalesce(array_agg(request_id), '{}') INTO ended FROM gone;
    IF cardinality(ended) = 0 THEN
        RETURN ended;
    END IF;
    IF how = 'provisioned' THEN
        -- As in pic_append_event: whoever appends to one of the timelines goes first.
        PERFORM FROM request WHERE id = ANY (ended) ORDER BY id FOR NO KEY UPDATE;
        UPDATE request r SET state = how, ended_at = pic_end.at, provisioned_seq =
            1 + greatest((SELECT max(e.seq) FROM event e WHERE e.request_id = r.id), 1)
        WHERE r.id = ANY (ended);
        -- The next publication is the first with all of their routes.
        IF EXISTS (SELECT FROM gateway) THEN
            INSERT INTO to_publish (requests) VALUES (ended);
        END IF;
        RETURN ended;
    END IF;
    PERFORM pic_append_event(ended, pic_end.at, by_actor, how, NULL, by_staff);
    UPDATE request SET state = how, reason = why, ended_at = pic_end.at WHERE id = ANY (ended);
    IF how = 'withdrawn' THEN
        DELETE FROM finding WHERE request_id = ANY (ended);
    END IF;
    IF by_actor = 'staff' THEN
        INSERT INTO staff_audit (staff_id, at, action, request_id, reason)
        SELECT by_staff, pic_end.at, CASE how WHEN 'rejected' THEN 'refused' ELSE 'withdrew' END, i, why
        FROM unnest(ended) AS i;
    END IF;
    RETURN ended;
END $$;

COMMENT ON FUNCTION pic_end(ids bigint[], how text, why text, by_actor text, by_staff bigint, at timestamp with time zone) IS 'ends those of the given requests that are pending, as provisioned, rejected (for a reason; their findings stay) or withdrawn, with an event by that actor, the provisioned with its place in the timeline; of the staff with an entry in the audit; tells which: the others had ended before';

CREATE FUNCTION pic_epoch() RETURNS text
    LANGUAGE sql
    RETURN "left"(encode(sha256(uuid_send(gen_random_uuid())), 'hex'::text), 16);

COMMENT ON FUNCTION pic_epoch() IS '64 random bits, as 16 hexadecimal digits';

CREATE FUNCTION pic_first_staff(link bytea, named text, hashed text) RETURNS bigint
    LANGUAGE plpgsql
    AS $$
DECLARE
    new_id bigint;
BEGIN
    -- Nobody makes another account at this moment: there is one first.
    LOCK TABLE staff IN SHARE ROW EXCLUSIVE MODE;
    IF NOT pic_set_up_open(link) THEN
        RETURN NULL;
    END IF;
    INSERT INTO staff (name, role, password, created_at, password_at)
    SELECT named, 'agent', hashed, now_at, now_at FROM (SELECT pic_now() AS now_at) n RETURNING id INTO new_id;
    DELETE FROM staff_set_up;
    RETURN new_id;
END $$;

COMMENT ON FUNCTION pic_first_staff(link bytea, named text, hashed text) IS 'makes the first account, an agent, by the set-up link with this hash; null: the link is dead';

CREATE FUNCTION pic_forget_requests(kept_for interval, session_idle interval, session_end interval, most integer, OUT requests bigint, OUT services bigint) RETURNS record
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
DECLARE
    now_at constant timestamptz := pic_now();
    mine bigint[];
BEGIN
    -- Nobody submits to these services meanwhile; one that somebody is busy with, or signed in to, has
    -- time until the next sweep.
    SELECT coalesce(array_agg(l.id), '{}') INTO mine FROM (
        SELECT s.id FROM service s
        WHERE s.id IN (
            SELECT r.service_id FROM request r
            WHERE r.state IN ('withdrawn', 'rejected') AND r.ended_at <= now_at - kept_for
              AND NOT EXISTS (
                  SELECT FROM session e
                  WHERE e.service_id = r.service_id AND e.seen_at > now_at - session_idle AND e.began_at > now_at - session_end)
            ORDER BY r.ended_at LIMIT most)
        ORDER BY s.id FOR UPDATE SKIP LOCKED
    ) l;
    -- Routes wanted, events and findings go with them. What is in force was brought there by others.
    DELETE FROM request r
    USING unnest(mine) AS m (id), pic_requests_of(m.id) o
    WHERE r.id = o.id AND r.state IN ('withdrawn', 'rejected') AND r.ended_at <= now_at - kept_for
      AND NOT EXISTS (SELECT FROM work w WHERE w.request_id = r.id);
    GET DIAGNOSTICS requests = ROW_COUNT;
    DELETE FROM service s
    WHERE s.id = ANY (mine) AND NOT EXISTS (SELECT FROM pic_requests_of(s.id));
    GET DIAGNOSTICS services = ROW_COUNT;
END $$;

COMMENT ON FUNCTION pic_forget_requests(kept_for interval, session_idle interval, session_end interval, most integer, OUT requests bigint, OUT services bigint) IS 'deletes withdrawn and rejected requests that ended longer ago than they are kept, of so many services at most, and the services that nothing is left of; tells how many of both';

CREATE TABLE finding (
    request_id bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    code text NOT NULL COLLATE pg_catalog."C",
    subject dns_name NOT NULL,
    severity text NOT NULL COLLATE pg_catalog."C",
    expected evidence DEFAULT ''::text NOT NULL,
    found evidence_lines DEFAULT ''::text NOT NULL,
    CONSTRAINT finding_code CHECK ((code = ANY (ARRAY['srv'::text, 'srv-missing'::text, 'srv-misspelt'::text, 'srv-port'::text, 'srv-target'::text, 'srv-suffix'::text, 'homed-online'::text, 'routed-to-consumer'::text, 'dns-disagrees'::text, 'domain-held'::text, 'domain-unproven'::text, 'domain-proven'::text, 'edge-no-address'::text, 'edge-alias'::text, 'edge-private-address'::text, 'edge-unreachable'::text, 'edge-partly-unreachable'::text, 'edge-shared-address'::text, 'edge-no-route'::text, 'tls-old'::text, 'certificate'::text, 'certificate-name'::text, 'certificate-expired'::text, 'certificate-not-yet-valid'::text, 'certificate-untrusted'::text, 'certificate-unknown'::text, 'certificate-expires-soon'::text, 'certificate-cn-only'::text, 'certificate-wildcard'::text, 'certificate-domain-san'::text, 'certificate-client'::text, 'certificate-first-name'::text, 'sip'::text, 'sip-refuses-certificate'::text, 'sip-silent'::text, 'resolver-unreachable'::text]))),
    CONSTRAINT finding_gravity CHECK (
CASE severity
    WHEN 'ok'::text THEN (code = ANY (ARRAY['srv'::text, 'domain-proven'::text, 'certificate'::text, 'sip'::text]))
    WHEN 'warning'::text THEN (code = ANY (ARRAY['srv-port'::text, 'srv-target'::text, 'srv-suffix'::text, 'dns-disagrees'::text, 'edge-alias'::text, 'edge-partly-unreachable'::text, 'edge-shared-address'::text, 'tls-old'::text, 'certificate-expires-soon'::text, 'certificate-cn-only'::text, 'certificate-wildcard'::text, 'certificate-domain-san'::text, 'certificate-client'::text, 'certificate-first-name'::text, 'sip-refuses-certificate'::text]))
    WHEN 'unknown'::text THEN (code = ANY (ARRAY['resolver-unreachable'::text, 'domain-unproven'::text, 'edge-no-route'::text, 'certificate-unknown'::text, 'sip-silent'::text]))
    WHEN 'blocking'::text THEN (code <> ALL (ARRAY['srv'::text, 'domain-proven'::text, 'certificate'::text, 'srv-suffix'::text, 'dns-disagrees'::text, 'edge-partly-unreachable'::text, 'edge-shared-address'::text, 'edge-no-route'::text, 'certificate-expires-soon'::text, 'certificate-cn-only'::text, 'certificate-wildcard'::text, 'certificate-domain-san'::text, 'certificate-unknown'::text, 'certificate-client'::text, 'certificate-first-name'::text, 'sip'::text, 'sip-refuses-certificate'::text, 'sip-silent'::text, 'resolver-unreachable'::text]))
    ELSE true
END),
    CONSTRAINT finding_severity CHECK ((severity = ANY (ARRAY['ok'::text, 'warning'::text, 'blocking'::text, 'unknown'::text, 'skipped'::text])))
)
WITH (autovacuum_vacuum_scale_factor='0.05', autovacuum_vacuum_threshold='1000');

COMMENT ON TABLE finding IS 'the results of the last check of a request';

COMMENT ON COLUMN finding.request_id IS 'the request';

COMMENT ON COLUMN finding.at IS 'since when it is like this';

COMMENT ON COLUMN finding.code IS 'what was found';

COMMENT ON COLUMN finding.subject IS 'the SIP domain or Access Edge FQDN it is about';

COMMENT ON COLUMN finding.severity IS 'whether it holds the request back';

COMMENT ON COLUMN finding.expected IS 'what should be there';

COMMENT ON COLUMN finding.found IS 'what is there, a line each, 8 at most and one that says how many more; 64 KiB for a request in all; of a skipped one the code that it depends on';

CREATE FUNCTION pic_found(verdicts pic_verdict[], seen_at timestamp with time zone) RETURNS finding[]
    LANGUAGE plpgsql STABLE
    AS $$
BEGIN
    RETURN ARRAY(
        SELECT ROW(v.request_id, seen_at, f ->> 0, f ->> 2, f ->> 1, f ->> 3,
                   coalesce((SELECT string_agg(line, E'\n' ORDER BY place)
                             FROM jsonb_array_elements_text(f -> 4) WITH ORDINALITY AS l (line, place)), ''))::finding
        FROM unnest(verdicts) AS v, jsonb_array_elements(v.findings) AS f);
END $$;

COMMENT ON FUNCTION pic_found(verdicts pic_verdict[], seen_at timestamp with time zone) IS 'all that the checks found, as rows of finding';

CREATE FUNCTION pic_hear_gateways(tokens bytea[], epochs text[], serials bigint[]) RETURNS TABLE(place bigint, news boolean)
    LANGUAGE sql
    AS $$
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

COMMENT ON FUNCTION pic_hear_gateways(tokens bytea[], epochs text[], serials bigint[]) IS 'notes that the gateways with these tokens ask from these publications (epoch null: whatever it is), which is what they have loaded (none, where it is no publication of this database); tells of each gateway that there is, by its place, whether that is news';

CREATE FUNCTION pic_hold(held pic_wanted[], waiting bigint[], now_found finding[], waits pic_waits, token uuid, now_at timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    SET enable_hashjoin TO 'on'
    AS $$
DECLARE
    held_ids constant bigint[] := ARRAY(SELECT DISTINCT h.request_id FROM unnest(held) AS h);
    newly_held bigint[];
BEGIN
    DELETE FROM finding f
    WHERE f.request_id = ANY (held_ids || waiting) AND f.code = 'domain-held' AND NOT EXISTS (
        SELECT FROM unnest(held) AS h WHERE h.request_id = f.request_id AND h.sip_domain = f.subject);
    newly_held := ARRAY(
        SELECT i FROM unnest(held_ids) AS i
        WHERE NOT EXISTS (SELECT FROM finding WHERE request_id = i AND code = 'domain-held'));
    INSERT INTO finding AS f (request_id, code, subject, severity, at, expected, found)
    SELECT h.request_id, 'domain-held', h.sip_domain, 'blocking', now_at, coalesce(n.expected, ''), coalesce(n.found, '')
    FROM unnest(held) AS h
    LEFT JOIN unnest(now_found) AS n
        ON n.request_id = h.request_id AND n.code = 'domain-held' AND n.subject = h.sip_domain
    ON CONFLICT (request_id, hashtextextended(code || ' ' || subject, request_id)) DO UPDATE SET expected = EXCLUDED.expected, found = EXCLUDED.found
        WHERE (f.expected, f.found) IS DISTINCT FROM (EXCLUDED.expected, EXCLUDED.found);
    PERFORM pic_append_event(newly_held, now_at, 'portal', 'held');
    -- The wish for another look counts where it came after the claim.
    UPDATE work w SET
        due_at = CASE WHEN w.again AND w.lease_token = token THEN now_at
                 ELSE least(now_at + pic_back_off(w.attempts, waits.first_wait, waits.longest_wait),
                            r.submitted_at + waits.expiry) END,
        attempts = CASE WHEN w.again AND w.lease_token = token THEN 0 ELSE least(w.attempts + 1, 32000) END,
        checked_at = now_at, again = false, lease_token = NULL, lease_until = NULL
    FROM request r WHERE r.id = w.request_id AND w.request_id = ANY (held_ids || waiting);
END $$;

COMMENT ON FUNCTION pic_hold(held pic_wanted[], waiting bigint[], now_found finding[], waits pic_waits, token uuid, now_at timestamp with time zone) IS 'keeps requests pending: those held by a domain, with an event where they were not before, and those that wait for what their checks found';

CREATE FUNCTION pic_judge(mine bigint[], not_before timestamp with time zone, blocked bigint[], proofs pic_wanted[], OUT expired bigint[], OUT held pic_wanted[], OUT waiting bigint[], OUT rivals bigint[], OUT ready bigint[]) RETURNS record
    LANGUAGE plpgsql
    AS $$
DECLARE
    stopped bigint[];
BEGIN
    -- Every route that matters here, in order of domains, before anything is looked at: those who
    -- share one go one after the other. Else what is released while we look at it is missed.
    PERFORM FROM domain_in_force x WHERE x.sip_domain IN (
        SELECT d.sip_domain FROM request_route d WHERE d.request_id = ANY (mine)
        UNION ALL
        SELECT o.sip_domain FROM request r JOIN domain_in_force o ON o.service_id = r.service_id WHERE r.id = ANY (mine))
    ORDER BY x.sip_domain FOR UPDATE;

    expired := ARRAY(SELECT r.id FROM request r WHERE r.id = ANY (mine) AND r.submitted_at <= not_before);
    -- A domain in force under another service holds the request back, in every mode, unless its
    -- zone's owner has spoken for the requesting service.
    held := ARRAY(
        SELECT ROW(d.request_id, d.sip_domain)::pic_wanted
        FROM request_route d
        JOIN request r ON r.id = d.request_id
        JOIN domain_in_force x ON x.sip_domain = d.sip_domain AND x.service_id <> r.service_id
        WHERE d.request_id = ANY (mine) AND d.request_id <> ALL (expired)
          AND NOT coalesce(ROW(d.request_id, d.sip_domain)::pic_wanted = ANY (proofs), false));
    stopped := expired || ARRAY(SELECT DISTINCT h.request_id FROM unnest(held) AS h);
    waiting := ARRAY(SELECT i FROM unnest(mine) AS i WHERE i = ANY (blocked) AND i <> ALL (stopped));
    stopped := stopped || waiting;
    -- Two that want one domain: the earlier goes first, the later is looked at again at once, when the
    -- domain is in force.
    rivals := ARRAY(
        SELECT DISTINCT d.request_id
        FROM (
            SELECT request_id, min(request_id) OVER (PARTITION BY sip_domain) AS earliest
            FROM request_route WHERE request_id = ANY (mine) AND request_id <> ALL (stopped)
        ) d
        WHERE d.request_id > d.earliest);
    stopped := stopped || rivals;
    ready := ARRAY(SELECT i FROM unnest(mine) AS i WHERE i <> ALL (stopped));
END $$;

COMMENT ON FUNCTION pic_judge(mine bigint[], not_before timestamp with time zone, blocked bigint[], proofs pic_wanted[], OUT expired bigint[], OUT held pic_wanted[], OUT waiting bigint[], OUT rivals bigint[], OUT ready bigint[]) IS 'locks the routes that the given requests want or replace, and tells which of them were not submitted after `not_before`, are held by a domain that is another service''s, wait for what their checks found, want a domain that an earlier one wants too, and are ready';

CREATE FUNCTION pic_last_request_before(moment timestamp with time zone) RETURNS bigint
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE
    low bigint := 0;
    high bigint := coalesce((SELECT max(id) FROM request), 0);
    middle bigint;
    stored_at timestamptz;
BEGIN
    WHILE low < high LOOP
        middle := (low + high + 1) / 2;
        SELECT submitted_at INTO stored_at FROM request WHERE id >= middle ORDER BY id LIMIT 1;
        IF stored_at > moment + interval '1 minute' THEN
            high := middle - 1;
        ELSE
            low := middle;
        END IF;
    END LOOP;
    RETURN low;
END $$;

COMMENT ON FUNCTION pic_last_request_before(moment timestamp with time zone) IS 'a request number beyond which all were submitted after this moment; below it a few may have been too';

CREATE FUNCTION pic_live_from(of_request bigint) RETURNS bigint
    LANGUAGE sql STABLE
    AS $$
    SELECT coalesce(
        (SELECT max(e.serial) FROM event e WHERE e.request_id = of_request AND e.code = 'live'),
        (SELECT min(p.serial) FROM publication p WHERE p.waiting IS NOT NULL AND of_request = ANY (p.waiting)),
        (SELECT 9223372036854775807 FROM to_publish t WHERE of_request = ANY (t.requests) LIMIT 1),
        0)
$$;

COMMENT ON FUNCTION pic_live_from(of_request bigint) IS 'which publication is the first with all routes of a provisioned request: beyond all while it is to be published, 0 where it was provisioned before there was a gateway';

CREATE FUNCTION pic_mark(named text, by_staff bigint, noted text, is_set boolean) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
DECLARE
    now_at constant timestamptz := pic_now();
    of_request bigint;
BEGIN
    PERFORM pic_staff_may(by_staff);
    SELECT id INTO of_request FROM request WHERE reference = named FOR KEY SHARE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF is_set THEN
        -- Whoever takes what another has taken takes it over; any other mark stays as it was set first.
        INSERT INTO staff_mark AS m (request_id, mark, staff_id, at) VALUES (of_request, noted, by_staff, now_at)
        ON CONFLICT (request_id, mark) DO UPDATE SET staff_id = EXCLUDED.staff_id, at = EXCLUDED.at
            WHERE m.mark = 'taken' AND m.staff_id <> EXCLUDED.staff_id;
    ELSE
        DELETE FROM staff_mark WHERE request_id = of_request AND mark = noted;
    END IF;
    IF FOUND THEN
        INSERT INTO staff_audit (staff_id, at, action, request_id, mark)
        VALUES (by_staff, now_at, CASE WHEN is_set THEN 'marked' ELSE 'unmarked' END, of_request, noted);
    END IF;
    RETURN true;
END $$;

COMMENT ON FUNCTION pic_mark(named text, by_staff bigint, noted text, is_set boolean) IS 'sets or removes a mark of a request, with an entry in the audit if that changes anything; false: there is no such request';

CREATE FUNCTION pic_note_sweep(run bigint, lease interval, what text, removed bigint) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
BEGIN
    UPDATE retention_run SET lease_until = pic_now() + lease WHERE id = run AND ended_at IS NULL;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF removed > 0 THEN
        INSERT INTO retention_removed AS r (run_id, kind, rows) VALUES (run, what, removed)
        ON CONFLICT (run_id, kind) DO UPDATE SET rows = r.rows + EXCLUDED.rows;
    END IF;
    RETURN true;
END $$;

COMMENT ON FUNCTION pic_note_sweep(run bigint, lease interval, what text, removed bigint) IS 'renews the turn and adds to what its sweep has removed, in the transaction that removes it; false: the turn is lost, undo';

CREATE FUNCTION pic_open_provider_session(of_subject bytea, as_role text, names text[], token bytea, absolute_end interval, idle_end interval, most bigint, confirmed_for interval, at_provider bytea, proved_ago interval) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
DECLARE
    now_at constant timestamptz := pic_now();
    of_staff bigint := pic_provider_staff(of_subject, as_role, names);
BEGIN
    IF of_staff IS NULL THEN
        RETURN false;
    END IF;
    PERFORM pic_add_staff_session(
        of_staff, token, absolute_end, idle_end, most, now_at + confirmed_for, at_provider, now_at - proved_ago);
    RETURN true;
END $$;

COMMENT ON FUNCTION pic_open_provider_session(of_subject bytea, as_role text, names text[], token bytea, absolute_end interval, idle_end interval, most bigint, confirmed_for interval, at_provider bytea, proved_ago interval) IS 'opens a session for the account of this subject, and says whether it may sign in';

CREATE FUNCTION pic_open_session(of_number text, by_key bytea, token bytea, absolute_end interval, idle_end interval, most bigint) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
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

COMMENT ON FUNCTION pic_open_session(of_number text, by_key bytea, token bytea, absolute_end interval, idle_end interval, most bigint) IS 'opens a session on the service with this number and this hash of its management key, and says whether there is one; ends what is over of its sessions, and the oldest beyond so many';

CREATE FUNCTION pic_open_staff_session(of_staff bigint, by_password text, token bytea, absolute_end interval, idle_end interval, most bigint) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM FROM staff WHERE id = of_staff AND password = by_password AND disabled_at IS NULL FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM pic_add_staff_session(of_staff, token, absolute_end, idle_end, most, 'infinity', NULL, NULL);
    RETURN true;
END $$;

COMMENT ON FUNCTION pic_open_staff_session(of_staff bigint, by_password text, token bytea, absolute_end interval, idle_end interval, most bigint) IS 'opens a session for the account whose password is this hash, and says whether it is, still';

CREATE FUNCTION pic_provider_staff(of_subject bytea, as_role text, names text[]) RETURNS bigint
    LANGUAGE plpgsql
    AS $$
DECLARE
    found_id bigint;
    named text;
BEGIN
    -- A name that another account has is passed over, and so is a second browser in the same moment.
    FOREACH named IN ARRAY names LOOP
        EXIT WHEN EXISTS (SELECT FROM staff WHERE subject = of_subject);
        INSERT INTO staff (name, role, subject, created_at)
        VALUES (named, as_role, of_subject, pic_now()) ON CONFLICT DO NOTHING;
    END LOOP;
    UPDATE staff SET role = as_role WHERE subject = of_subject AND disabled_at IS NULL RETURNING id INTO found_id;
    RETURN found_id;
END $$;

COMMENT ON FUNCTION pic_provider_staff(of_subject bytea, as_role text, names text[]) IS 'the account of this subject with this role, made if there is none, by the first of these names that is free, and locked; null: it is disabled';

CREATE FUNCTION pic_provision(ids bigint[], at timestamp with time zone, all_new boolean, proofs pic_wanted[] DEFAULT '{}'::pic_wanted[]) RETURNS dns_name[]
    LANGUAGE plpgsql
    AS $$
DECLARE
    freed dns_name[];
    moved record;
BEGIN
    -- Else each row that refers to a request would lock it anew.
    PERFORM FROM request WHERE id = ANY (ids) ORDER BY id FOR NO KEY UPDATE;
    IF all_new THEN
        INSERT INTO domain_in_force (service_id, request_id, edge, sip_domain)
        SELECT r.service_id, r.id, d.edge, d.sip_domain
        FROM request r
        JOIN request_route d ON d.request_id = r.id
        WHERE r.id = ANY (ids)
        ORDER BY d.sip_domain;
        RETURN '{}';
    END IF;

    -- Domains that change hands, because their owner has spoken: in place, with an event on both sides, in
    -- order of the requests that lose, because others may append to their timelines too. The loss is told on
    -- the last request that its service had provisioned, whichever brought the domain.
    FOR moved IN
        SELECT l.id AS lost_by, x.sip_domain, d.edge, r.service_id, r.id AS gained_by
        FROM request r
        JOIN request_route d ON d.request_id = r.id
        JOIN domain_in_force x ON x.sip_domain = d.sip_domain AND x.service_id <> r.service_id
        CROSS JOIN LATERAL (
            SELECT max(o.id) AS id FROM pic_requests_of(x.service_id) o WHERE o.state = 'provisioned') l
        WHERE r.id = ANY (ids) AND ROW(r.id, d.sip_domain)::pic_wanted = ANY (proofs)
        ORDER BY l.id, x.sip_domain
    LOOP
        UPDATE domain_in_force x
        SET service_id = moved.service_id, request_id = moved.gained_by, edge = moved.edge
        WHERE x.sip_domain = moved.sip_domain;
        -- Nothing that the timeline of who loses it holds, which is in that one's hands, stops the move: then
        -- the entry is missing.
        BEGIN
            PERFORM pic_append_event(ARRAY[moved.lost_by], pic_provision.at, 'portal', 'domain-lost', moved.sip_domain);
        EXCEPTION WHEN data_exception OR integrity_constraint_violation OR raise_exception THEN
            NULL;
        END;
        PERFORM pic_append_event(ARRAY[moved.gained_by], pic_provision.at, 'portal', 'domain-gained', moved.sip_domain);
        -- Of a service that has nothing left nothing is watched.
        DELETE FROM watch a WHERE a.request_id = moved.lost_by AND NOT EXISTS (
            SELECT FROM domain_in_force x JOIN request l ON l.service_id = x.service_id WHERE l.id = moved.lost_by);
    END LOOP;

    INSERT INTO domain_in_force AS x (service_id, request_id, edge, sip_domain)
    SELECT r.service_id, r.id, d.edge, d.sip_domain
    FROM request r
    JOIN request_route d ON d.request_id = r.id
    WHERE r.id = ANY (ids)
    ORDER BY d.sip_domain
    ON CONFLICT (sip_domain) DO UPDATE
        SET request_id = EXCLUDED.request_id, edge = EXCLUDED.edge
        WHERE x.service_id = EXCLUDED.service_id
          AND (SELECT e.access_edge FROM request_edge e WHERE e.request_id = x.request_id AND e.ordinal = x.edge)
              <> (SELECT e.access_edge FROM request_edge e WHERE e.request_id = EXCLUDED.request_id AND e.ordinal = EXCLUDED.edge);
    IF EXISTS (
        SELECT FROM request r
        JOIN request_route d ON d.request_id = r.id
        LEFT JOIN domain_in_force x ON x.sip_domain = d.sip_domain AND x.service_id = r.service_id
        WHERE r.id = ANY (ids) AND x.sip_domain IS NULL
    ) THEN
        -- Somebody else put one of the domains in force since we looked: undo all, look again.
        RAISE EXCEPTION 'a domain was taken meanwhile' USING ERRCODE = 'serialization_failure';
    END IF;
    WITH gone AS (
        DELETE FROM domain_in_force x USING request r
        WHERE r.id = ANY (ids) AND x.service_id = r.service_id
          AND x.sip_domain <> ALL (ARRAY(SELECT d.sip_domain FROM request_route d WHERE d.request_id = r.id))
        RETURNING x.sip_domain
    ) SELECT coalesce(array_agg(sip_domain), '{}') INTO freed FROM gone;
    -- What it replaces is told so, and watched no more.
    PERFORM pic_append_event(ARRAY(
        SELECT max(o.id) FROM request r, pic_requests_of(r.service_id) o
        WHERE r.id = ANY (ids) AND r.kind <> 'initiate' AND o.state = 'provisioned'
        GROUP BY r.id), pic_provision.at, 'portal', 'superseded');
    DELETE FROM watch a USING request r, pic_requests_of(r.service_id) o
    WHERE r.id = ANY (ids) AND r.kind <> 'initiate' AND o.id <> r.id AND a.request_id = o.id;
    RETURN freed;
END $$;

COMMENT ON FUNCTION pic_provision(ids bigint[], at timestamp with time zone, all_new boolean, proofs pic_wanted[]) IS 'puts the routes of the given requests in force, in place of what their services had, and tells which domains are free now; `all_new`: their services had nothing (unique_violation: a domain is in force already); `proofs`: domains that may be taken from another service; serialization_failure: nothing was changed, call again';

CREATE TABLE publication (
    serial bigint NOT NULL,
    epoch text NOT NULL COLLATE pg_catalog."C",
    at timestamp with time zone NOT NULL,
    routes integer NOT NULL,
    changes integer NOT NULL,
    sip_domains dns_name[],
    access_edges dns_name[],
    waiting bigint[],
    CONSTRAINT publication_changes CHECK ((changes >= 0)),
    CONSTRAINT publication_epoch CHECK ((epoch ~ '^[0-9a-f]{16}$'::text)),
    CONSTRAINT publication_routes CHECK ((routes >= 0)),
    CONSTRAINT publication_serial CHECK ((serial >= 0)),
    CONSTRAINT publication_told CHECK ((NOT (cardinality(sip_domains) IS DISTINCT FROM cardinality(access_edges))))
);
ALTER TABLE ONLY publication ALTER COLUMN sip_domains SET STORAGE EXTERNAL;
ALTER TABLE ONLY publication ALTER COLUMN access_edges SET STORAGE EXTERNAL;
ALTER TABLE ONLY publication ALTER COLUMN waiting SET STORAGE EXTERNAL;

COMMENT ON TABLE publication IS 'every publication of the last 30 days, and always the newest, which is the set that gateways are to have';

COMMENT ON COLUMN publication.serial IS 'one more than that of the publication before';

COMMENT ON COLUMN publication.epoch IS '64 random bits of this publication: a database that is restored from a backup publishes other ones, so no gateway takes its serials for those it knows';

COMMENT ON COLUMN publication.at IS 'when it was made; after a day another one is made in any case, and at every start of the portal';

COMMENT ON COLUMN publication.routes IS 'how many routes there are';

COMMENT ON COLUMN publication.changes IS 'how many domains have changed since the publication before';

COMMENT ON COLUMN publication.sip_domains IS 'these domains; null: too many to be told one by one';

COMMENT ON COLUMN publication.access_edges IS 'the Access Edge FQDN of each; null: it has no route any more';

COMMENT ON COLUMN publication.waiting IS 'the requests of which it is the first publication with all routes, until their timelines say that they are live; null: none';

CREATE FUNCTION pic_publish(silent_after interval, fresh boolean, whole boolean, OUT head publication, OUT sip_domains text[], OUT access_edges text[], OUT news boolean, OUT again boolean) RETURNS record
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
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

COMMENT ON FUNCTION pic_publish(silent_after interval, fresh boolean, whole boolean, OUT head publication, OUT sip_domains text[], OUT access_edges text[], OUT news boolean, OUT again boolean) IS 'publishes what has changed, if anything has, a day has passed or it is to be `fresh`, notes which gateways are silent, and tells the timelines of requests that are live now; says which publication is the newest (null: there is no gateway), all of its routes where the whole is asked for, whether there is anything new to show, and whether there is more to tell';

CREATE FUNCTION pic_refuse() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation';
END $$;

COMMENT ON FUNCTION pic_refuse() IS 'refuses what is not to be done, in the words that the trigger gives';

CREATE FUNCTION pic_replace_key(of_service bigint, new_hash bytea, keep bytea) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
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

COMMENT ON FUNCTION pic_replace_key(of_service bigint, new_hash bytea, keep bytea) IS 'replaces the management key of a service and ends every session on it but the one to keep, which asks for it; false: that one has ended, nothing was changed';

CREATE TABLE request (
    id bigint NOT NULL,
    service_id bigint NOT NULL,
    submitted_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    reference text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    deployment text COLLATE pg_catalog."C",
    state text DEFAULT 'pending'::text NOT NULL COLLATE pg_catalog."C",
    reason text COLLATE pg_catalog."C",
    content_hash short_digest NOT NULL,
    provisioned_seq integer,
    CONSTRAINT request_cancel_deploys_nothing CHECK (((kind = 'cancel'::text) = (deployment IS NULL))),
    CONSTRAINT request_deployment CHECK ((deployment = ANY (ARRAY['on_premises'::text, 'split'::text]))),
    CONSTRAINT request_ended CHECK (((state = 'pending'::text) = (ended_at IS NULL))),
    CONSTRAINT request_kind CHECK ((kind = ANY (ARRAY['initiate'::text, 'update'::text, 'cancel'::text]))),
    CONSTRAINT request_makes_service CHECK (((kind = 'initiate'::text) = (id = service_id))),
    CONSTRAINT request_provisioned CHECK (((state = 'provisioned'::text) = (provisioned_seq IS NOT NULL))),
    CONSTRAINT request_provisioned_seq CHECK ((provisioned_seq > 1)),
    CONSTRAINT request_reason CHECK ((reason = ANY (ARRAY['expired'::text, 'not-eligible'::text, 'duplicate'::text, 'wrong-information'::text, 'policy'::text]))),
    CONSTRAINT request_reference_form CHECK ((reference ~ '^PIC(-[0-9A-HJKMNP-TV-Z]{4}){4}$'::text)),
    CONSTRAINT request_rejected CHECK (((state = 'rejected'::text) = (reason IS NOT NULL))),
    CONSTRAINT request_state CHECK ((state = ANY (ARRAY['pending'::text, 'provisioned'::text, 'rejected'::text, 'withdrawn'::text])))
)
WITH (autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='1000', autovacuum_vacuum_insert_scale_factor='0.02', autovacuum_analyze_scale_factor='0.02', autovacuum_analyze_threshold='1000');

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

CREATE FUNCTION pic_requests_of(service bigint) RETURNS SETOF request
    LANGUAGE sql STABLE
    AS $$
    SELECT * FROM request WHERE id = service AND kind = 'initiate'
    UNION ALL
    SELECT * FROM request WHERE service_id = service AND kind <> 'initiate'
$$;

COMMENT ON FUNCTION pic_requests_of(service bigint) IS 'the requests of a service: the one that made it, by its number, and the others, by an index';

CREATE FUNCTION pic_set_up_open(link bytea) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$
    SELECT EXISTS (SELECT FROM staff_set_up WHERE token_hash = link AND until > pic_now())
       AND NOT EXISTS (SELECT FROM staff)
$$;

COMMENT ON FUNCTION pic_set_up_open(link bytea) IS 'whether the set-up link with this hash is alive: not over its time, and no account is there';

CREATE FUNCTION pic_settle(ids bigint[], token uuid, most integer, since timestamp with time zone, waits pic_waits, told jsonb, OUT provisioned integer, OUT held integer, OUT waiting integer, OUT expired integer, OUT full_batch boolean, OUT again boolean, OUT next_since timestamp with time zone, OUT idle interval) RETURNS record
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
DECLARE
    now_at constant timestamptz := pic_now();
    -- A clock that was put back has made what is due look older than what was done.
    from_at constant timestamptz := CASE WHEN since <= now_at THEN since ELSE '-infinity' END;
    verdicts constant pic_verdict[] := ARRAY(SELECT v FROM jsonb_populate_recordset(NULL::pic_verdict, told) AS v);
    now_found constant finding[] := pic_found(verdicts, now_at);
    blocked constant bigint[] := ARRAY(SELECT v.request_id FROM unnest(verdicts) AS v WHERE v.blocked);
    proofs constant pic_wanted[] := ARRAY(
        SELECT ROW(v.request_id, d)::pic_wanted FROM unnest(verdicts) AS v, unnest(v.proven) AS d);
    mine bigint[];      -- what is settled here: locked, in its row of work
    fresh boolean;      -- whether none of it was looked at before
    seen bigint[];      -- of those, whose checks ran
    were_blocked bigint[];
    judged record;
    freed dns_name[] := '{}';
BEGIN
    provisioned := 0; held := 0; waiting := 0; expired := 0; again := false;
    IF ids IS NULL THEN
        SELECT coalesce(array_agg(w.request_id), '{}'), bool_and(w.checked_at IS NULL), max(w.due_at)
        INTO mine, fresh, next_since
        FROM (
            SELECT request_id, checked_at, due_at FROM work
            WHERE due_at >= from_at AND due_at <= now_at AND (lease_until IS NULL OR lease_until <= now_at)
            ORDER BY due_at LIMIT most FOR UPDATE SKIP LOCKED
        ) w;
        full_batch := cardinality(mine) >= most;
    ELSE
        SELECT coalesce(array_agg(w.request_id), '{}'), bool_and(w.checked_at IS NULL) INTO mine, fresh
        FROM (
            SELECT request_id, checked_at FROM work WHERE request_id = ANY (ids) AND lease_token = token
            ORDER BY request_id FOR UPDATE
        ) w;
    END IF;
    IF cardinality(mine) > 0 THEN
        -- Everything is looked at after the rows of work are locked: whoever ends a request, or has it looked at
        -- again, begins with its row of work too.
        seen := ARRAY(SELECT v.request_id FROM unnest(verdicts) AS v WHERE v.findings IS NOT NULL AND v.request_id = ANY (mine));
        IF fresh AND NOT blocked && mine AND pic_are_new(mine, now_at - waits.expiry) THEN
            BEGIN
                PERFORM pic_provision(mine, now_at, true);
                SELECT '{}'::bigint[] AS expired, '{}'::pic_wanted[] AS held, '{}'::bigint[] AS waiting,
                       '{}'::bigint[] AS rivals, mine AS ready INTO judged;
            EXCEPTION WHEN unique_violation THEN
                -- Somebody put one of the domains in force since we looked, and has committed by now.
                judged := NULL;
            END;
        END IF;
        IF judged IS NULL THEN
            judged := pic_judge(mine, now_at - waits.expiry, blocked, proofs);
            freed := pic_provision(judged.ready, now_at, false, proofs);
        END IF;
        -- What the checks found, whatever becomes of the request.
        IF cardinality(seen) > 0 THEN
            were_blocked := ARRAY(
                SELECT DISTINCT f.request_id FROM finding f
                WHERE f.request_id = ANY (seen) AND f.severity = 'blocking' AND f.code <> 'domain-held');
            PERFORM pic_store_findings(seen, now_found);
            PERFORM pic_append_event(ARRAY(
                SELECT DISTINCT f.request_id FROM finding f
                WHERE f.request_id = ANY (seen) AND f.severity = 'blocking' AND f.code <> 'domain-held'
                  AND f.request_id <> ALL (were_blocked || judged.expired || judged.ready)), now_at, 'portal', 'blocked');
            -- In force: looked at again every day, each at a time of its own.
            INSERT INTO watch (request_id, due_at, checked_at)
            SELECT r.id, now_at + waits.watch_every * (1 - random() / 4), now_at
            FROM request r WHERE r.id = ANY (judged.ready) AND r.id = ANY (seen) AND r.kind <> 'cancel';
        END IF;
        DELETE FROM finding WHERE request_id = ANY (judged.ready) AND code = 'domain-held';
        PERFORM pic_end(judged.ready, 'provisioned', NULL, 'portal', NULL, now_at);
        PERFORM pic_end(judged.expired, 'rejected', 'expired', 'portal', NULL, now_at);
        PERFORM pic_hold(judged.held, judged.waiting, now_found, waits, token, now_at);
        -- What waited for another one, and what waited for a domain that is free now: at once.
        UPDATE work SET lease_token = NULL, lease_until = NULL
        WHERE request_id = ANY (judged.rivals) AND lease_token IS NOT NULL;
        -- Whoever has locked one of the latter is about to look at the domain: it is not waited for.
        IF cardinality(freed) > 0 THEN
            UPDATE work SET due_at = now_at WHERE request_id IN (
                SELECT w.request_id FROM work w
                JOIN finding f ON f.request_id = w.request_id AND f.code = 'domain-held' AND f.subject = ANY (freed)
                WHERE w.due_at > now_at FOR UPDATE OF w SKIP LOCKED);
        END IF;
        provisioned := cardinality(judged.ready);
        held := (SELECT count(DISTINCT h.request_id) FROM unnest(judged.held) AS h);
        waiting := cardinality(judged.waiting);
        expired := cardinality(judged.expired);
        again := cardinality(judged.rivals) > 0 OR cardinality(freed) > 0;
    END IF;
    IF NOT full_batch THEN
        -- What was submitted in these seconds may not have been committed yet.
        next_since := now_at - interval '2 s';
        -- What is due and locked is about to be settled by whoever locked it.
        idle := least((SELECT min(lease_until) FROM work WHERE due_at >= from_at AND due_at <= now_at AND lease_until > now_at),
                      (SELECT due_at FROM work WHERE due_at > now_at ORDER BY due_at LIMIT 1)) - now_at;
    END IF;
END $$;

COMMENT ON FUNCTION pic_settle(ids bigint[], token uuid, most integer, since timestamp with time zone, waits pic_waits, told jsonb, OUT provisioned integer, OUT held integer, OUT waiting integer, OUT expired integer, OUT full_batch boolean, OUT again boolean, OUT next_since timestamp with time zone, OUT idle interval) IS 'settles, in the caller''s transaction, those of the given requests that the claim with this token still holds; ids null: up to `most` requests that are due since then (null: since ever) and free, oldest first. `told`: what the checks said, an array of pic_verdict. Tells how many were provisioned, are held by a domain, wait for their checks, and expired; where nothing was claimed, also whether it took as many as it was to, whether others are due by what it did (again), since when to look next (what was due before was dealt with, but for what others have), and for how long nothing else will be due (null: nothing is waiting). serialization_failure: nothing was changed, call again';

CREATE FUNCTION pic_show_instance(by_instance uuid, running text, since_started interval, since_worked interval) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    now_at constant timestamptz := pic_now();
BEGIN
    DELETE FROM instance WHERE id IN (
        SELECT id FROM instance WHERE seen_at < now_at - interval '1 hour' AND id <> by_instance FOR UPDATE SKIP LOCKED);
    INSERT INTO instance AS i (id, started_at, seen_at, worked_at, version)
    VALUES (by_instance, now_at - since_started, now_at, now_at - since_worked, running)
    ON CONFLICT (id) DO UPDATE SET seen_at = greatest(i.started_at, EXCLUDED.seen_at), worked_at = EXCLUDED.worked_at;
END $$;

COMMENT ON FUNCTION pic_show_instance(by_instance uuid, running text, since_started interval, since_worked interval) IS 'notes that a process is there, and forgets those that have not been seen for an hour';

CREATE FUNCTION pic_staff_check(named text, by_staff bigint) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
DECLARE
    now_at constant timestamptz := pic_now();
    of_request bigint;
BEGIN
    PERFORM pic_staff_may(by_staff);
    SELECT id INTO of_request FROM request WHERE reference = named;
    IF NOT pic_check_again(of_request, interval '0') THEN
        RETURN false;
    END IF;
    PERFORM pic_append_event(ARRAY[of_request], now_at, 'staff', 'check-asked', NULL, by_staff);
    INSERT INTO staff_audit (staff_id, at, action, request_id) VALUES (by_staff, now_at, 'checked-again', of_request);
    RETURN true;
END $$;

COMMENT ON FUNCTION pic_staff_check(named text, by_staff bigint) IS 'has a request looked at again at once, pending or in force; false: it is neither';

CREATE FUNCTION pic_staff_may(by_staff bigint) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    -- Whoever is being disabled at this moment is waited for.
    PERFORM FROM staff WHERE id = by_staff AND role = 'agent' AND disabled_at IS NULL FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no agent' USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'staff_may';
    END IF;
END $$;

COMMENT ON FUNCTION pic_staff_may(by_staff bigint) IS 'refuses what is no agent''s to do, also at the last moment';

CREATE FUNCTION pic_store_findings(ids bigint[], now_found finding[]) RETURNS void
    LANGUAGE plpgsql
    SET enable_hashjoin TO 'on'
    AS $$
BEGIN
    DELETE FROM finding f
    WHERE f.request_id = ANY (ids) AND f.code <> 'domain-held' AND NOT EXISTS (
        SELECT FROM unnest(now_found) AS n
        WHERE n.request_id = f.request_id AND n.code = f.code AND n.subject = f.subject);
    INSERT INTO finding AS f
    SELECT n.* FROM unnest(now_found) AS n WHERE n.request_id = ANY (ids) AND n.code <> 'domain-held'
    ON CONFLICT (request_id, hashtextextended(code || ' ' || subject, request_id)) DO UPDATE SET
        severity = EXCLUDED.severity, expected = EXCLUDED.expected, found = EXCLUDED.found,
        at = CASE WHEN f.severity = EXCLUDED.severity THEN f.at ELSE EXCLUDED.at END
        WHERE (f.severity, f.expected, f.found) IS DISTINCT FROM (EXCLUDED.severity, EXCLUDED.expected, EXCLUDED.found);
END $$;

COMMENT ON FUNCTION pic_store_findings(ids bigint[], now_found finding[]) IS 'replaces the findings of the given requests, domain-held excepted, by those that are given';

CREATE FUNCTION pic_watched(ids bigint[], token uuid, watch_every interval, told jsonb, OUT at_risk bigint[], OUT recovered bigint[]) RETURNS record
    LANGUAGE plpgsql
    AS $$
DECLARE
    now_at constant timestamptz := pic_now();
    verdicts constant pic_verdict[] := ARRAY(SELECT v FROM jsonb_populate_recordset(NULL::pic_verdict, told) AS v);
    mine bigint[];
    before bigint[];
    after bigint[];
BEGIN
    SELECT coalesce(array_agg(w.request_id), '{}') INTO mine
    FROM (
        SELECT request_id FROM watch WHERE request_id = ANY (ids) AND lease_token = token
        ORDER BY request_id FOR UPDATE
    ) w;
    before := ARRAY(SELECT DISTINCT request_id FROM finding WHERE request_id = ANY (mine) AND severity = 'blocking');
    PERFORM pic_store_findings(mine, pic_found(verdicts, now_at));
    after := ARRAY(SELECT DISTINCT request_id FROM finding WHERE request_id = ANY (mine) AND severity = 'blocking');
    at_risk := ARRAY(SELECT i FROM unnest(after) AS i WHERE i <> ALL (before));
    recovered := ARRAY(SELECT i FROM unnest(before) AS i WHERE i <> ALL (after));
    PERFORM pic_append_event(at_risk, now_at, 'portal', 'at-risk');
    PERFORM pic_append_event(recovered, now_at, 'portal', 'recovered');
    UPDATE watch SET due_at = CASE WHEN again THEN now_at ELSE now_at + watch_every * (1 - random() / 10) END,
                     checked_at = now_at, again = false, lease_token = NULL, lease_until = NULL
    WHERE request_id = ANY (mine);
END $$;

COMMENT ON FUNCTION pic_watched(ids bigint[], token uuid, watch_every interval, told jsonb, OUT at_risk bigint[], OUT recovered bigint[]) IS 'stores what was found of those requests in force that the claim with this token still holds; `told` as in pic_settle; tells which are newly at risk, and which no longer; nothing in force is changed';

CREATE FUNCTION request_is_unused() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF EXISTS (SELECT FROM domain_in_force x WHERE x.service_id = OLD.service_id AND x.request_id = OLD.id) THEN
        RAISE EXCEPTION 'a request has brought routes into force'
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'route_request';
    END IF;
    RETURN NULL;
END $$;

COMMENT ON FUNCTION request_is_unused() IS 'refuses to delete a request that a route names, as a foreign key would';

CREATE FUNCTION request_is_whole() RETURNS trigger
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
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

COMMENT ON FUNCTION request_is_whole() IS 'that a request has a service and is the only pending one of it, and wants routes or cancels; checked when the statement that stores it ends';

CREATE FUNCTION request_route_is_kept() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

COMMENT ON FUNCTION request_route_is_kept() IS 'refuses to delete what a provisioned request wants, unless the request itself is deleted';

CREATE FUNCTION request_route_is_whole() RETURNS trigger
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
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

COMMENT ON FUNCTION request_route_is_whole() IS 'docs/field.md#edges-and-domains: what the routes of a request must be, checked when the statement that stores them ends';

CREATE FUNCTION route_has_request() RETURNS trigger
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
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

CREATE FUNCTION service_is_unused() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF EXISTS (SELECT FROM pic_requests_of(OLD.id)) THEN
        RAISE EXCEPTION 'a service has requests'
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'request_service';
    END IF;
    RETURN NULL;
END $$;

COMMENT ON FUNCTION service_is_unused() IS 'refuses to delete a service that has requests, as a foreign key would';

CREATE VIEW gateway.route AS
 SELECT whole.sip_domain,
    whole.access_edge
   FROM gateway.whole() whole(sip_domain, access_edge);

COMMENT ON VIEW gateway.route IS 'all routes in force; fails when any is missing, since a gateway that loads a part would drop the rest';

CREATE TABLE check_progress (
    request_id bigint NOT NULL,
    began_at timestamp with time zone NOT NULL,
    names_done integer NOT NULL,
    slow boolean NOT NULL,
    findings found_in_turn[] NOT NULL,
    proven dns_name[] NOT NULL,
    CONSTRAINT check_progress_names_done CHECK ((names_done >= 0))
)
WITH (autovacuum_vacuum_scale_factor='0.05', autovacuum_vacuum_threshold='1000');

COMMENT ON TABLE check_progress IS 'checks that have not come to their end, pending or in force; deleted when the request is settled';

COMMENT ON COLUMN check_progress.request_id IS 'the request that is being checked';

COMMENT ON COLUMN check_progress.began_at IS 'when the first turn of the check ended; after some hours the check begins anew';

COMMENT ON COLUMN check_progress.names_done IS 'how many of its edges and domains, in alphabetical order, edges first, are checked';

COMMENT ON COLUMN check_progress.slow IS 'at least half of the names of the last turn took long to answer, or did not answer';

COMMENT ON COLUMN check_progress.findings IS 'what was found of these, each an array of code, severity, subject, expected, and the lines found';

COMMENT ON COLUMN check_progress.proven IS 'those of its domains whose owner has spoken for the service of the request';

CREATE TABLE domain_in_force (
    service_id bigint NOT NULL,
    request_id bigint NOT NULL,
    edge smallint NOT NULL,
    sip_domain dns_name NOT NULL
);

COMMENT ON TABLE domain_in_force IS 'the routes in force: a SIP domain is in force once';

COMMENT ON COLUMN domain_in_force.service_id IS 'the service that holds the domain';

COMMENT ON COLUMN domain_in_force.request_id IS 'the request that brought this route into force';

COMMENT ON COLUMN domain_in_force.edge IS 'the Access Edge that serves it, by its place within that request';

COMMENT ON COLUMN domain_in_force.sip_domain IS 'SIP domain';

CREATE TABLE event (
    request_id bigint NOT NULL,
    seq integer NOT NULL,
    at timestamp with time zone NOT NULL,
    actor text NOT NULL COLLATE pg_catalog."C",
    code text NOT NULL COLLATE pg_catalog."C",
    subject dns_name,
    staff_id bigint,
    times integer DEFAULT 1 NOT NULL,
    last_at timestamp with time zone,
    serial bigint,
    CONSTRAINT event_actor CHECK ((actor = ANY (ARRAY['administrator'::text, 'staff'::text, 'portal'::text]))),
    CONSTRAINT event_again CHECK (((times > 1) = (last_at IS NOT NULL))),
    CONSTRAINT event_by_staff CHECK (((staff_id IS NULL) OR (actor = 'staff'::text))),
    CONSTRAINT event_code CHECK ((code = ANY (ARRAY['submitted'::text, 'held'::text, 'blocked'::text, 'rejected'::text, 'withdrawn'::text, 'domain-gained'::text, 'domain-lost'::text, 'key-replaced'::text, 'at-risk'::text, 'recovered'::text, 'check-asked'::text, 'superseded'::text, 'corrected'::text, 'live'::text]))),
    CONSTRAINT event_first CHECK (((seq = 1) = (code = 'submitted'::text))),
    CONSTRAINT event_in_order CHECK ((last_at >= at)),
    CONSTRAINT event_seq CHECK ((seq > 0)),
    CONSTRAINT event_serial CHECK (((serial IS NULL) OR (code = 'live'::text))),
    CONSTRAINT event_subject CHECK (((code = ANY (ARRAY['domain-gained'::text, 'domain-lost'::text])) = (subject IS NOT NULL))),
    CONSTRAINT event_times CHECK ((times > 0))
)
WITH (autovacuum_vacuum_insert_scale_factor='0.05');

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

CREATE TABLE gateway (
    name text NOT NULL COLLATE pg_catalog."C",
    token_hash digest NOT NULL,
    created_at timestamp with time zone NOT NULL,
    heard_at timestamp with time zone,
    silent boolean DEFAULT true NOT NULL,
    serial bigint,
    loaded_at timestamp with time zone,
    CONSTRAINT gateway_heard CHECK ((silent OR (heard_at IS NOT NULL))),
    CONSTRAINT gateway_loaded CHECK (((serial IS NULL) = (loaded_at IS NULL))),
    CONSTRAINT gateway_name CHECK ((name ~ '^[a-z0-9][a-z0-9._-]{0,39}$'::text))
)
WITH (fillfactor='50');

COMMENT ON TABLE gateway IS 'the servers that take the routes: each is registered by its name, and has a token of its own';

COMMENT ON COLUMN gateway.name IS 'name of a server, never of a person; of the role too, where it reads by SQL';

COMMENT ON COLUMN gateway.token_hash IS 'SHA-256 of its token, which reads the routes and nothing else';

COMMENT ON COLUMN gateway.created_at IS 'when it was registered';

COMMENT ON COLUMN gateway.heard_at IS 'when it last asked, within seconds; null: never';

COMMENT ON COLUMN gateway.silent IS 'it has not asked for PIC_GATEWAY_SILENT, or not yet at all';

COMMENT ON COLUMN gateway.serial IS 'the publication that it has loaded: the one from which it asked last; null: none that is known here';

COMMENT ON COLUMN gateway.loaded_at IS 'since when that is known';

CREATE TABLE instance (
    id uuid NOT NULL,
    started_at timestamp with time zone NOT NULL,
    seen_at timestamp with time zone NOT NULL,
    worked_at timestamp with time zone NOT NULL,
    version text NOT NULL COLLATE pg_catalog."C",
    CONSTRAINT instance_seen CHECK ((seen_at >= started_at)),
    CONSTRAINT instance_version CHECK ((version ~ '^[0-9A-Za-z.+-]{1,40}$'::text)),
    CONSTRAINT instance_worked CHECK ((worked_at <= seen_at))
)
WITH (fillfactor='50');

COMMENT ON TABLE instance IS 'the processes that work on this database, as they tell once a minute; gone when they stop, or an hour after they were last seen';

COMMENT ON COLUMN instance.id IS 'a random number of the process''s own, not the name of a host';

COMMENT ON COLUMN instance.started_at IS 'when its background task began';

COMMENT ON COLUMN instance.seen_at IS 'when it last told of itself';

COMMENT ON COLUMN instance.worked_at IS 'when its background task last got through a turn, as of then';

COMMENT ON COLUMN instance.version IS 'version of the portal that it runs';

CREATE UNLOGGED TABLE legacy_contact (
    email text COLLATE pg_catalog."C",
    name text COLLATE pg_catalog."C",
    phone text COLLATE pg_catalog."C",
    source text COLLATE pg_catalog."C",
    arrived_at timestamp with time zone DEFAULT pic_now()
)
WITH (autovacuum_enabled='false', toast.autovacuum_enabled='false');
ALTER TABLE ONLY legacy_contact ALTER COLUMN email SET STATISTICS 0;
ALTER TABLE ONLY legacy_contact ALTER COLUMN email SET STORAGE EXTERNAL;
ALTER TABLE ONLY legacy_contact ALTER COLUMN name SET STATISTICS 0;
ALTER TABLE ONLY legacy_contact ALTER COLUMN name SET STORAGE EXTERNAL;
ALTER TABLE ONLY legacy_contact ALTER COLUMN phone SET STATISTICS 0;
ALTER TABLE ONLY legacy_contact ALTER COLUMN phone SET STORAGE EXTERNAL;
ALTER TABLE ONLY legacy_contact ALTER COLUMN source SET STATISTICS 0;
ALTER TABLE ONLY legacy_contact ALTER COLUMN source SET STORAGE EXTERNAL;
ALTER TABLE ONLY legacy_contact ALTER COLUMN arrived_at SET STATISTICS 0;

COMMENT ON TABLE legacy_contact IS 'where contact rows of an older system land until the next sweep; emptied by TRUNCATE alone, never read';

COMMENT ON COLUMN legacy_contact.email IS 'an e-mail address';

COMMENT ON COLUMN legacy_contact.name IS 'a name';

COMMENT ON COLUMN legacy_contact.phone IS 'a telephone number';

COMMENT ON COLUMN legacy_contact.source IS 'where it came from';

COMMENT ON COLUMN legacy_contact.arrived_at IS 'when it landed here';

CREATE TABLE request_route (
    request_id bigint NOT NULL,
    edge smallint NOT NULL,
    place smallint NOT NULL,
    access_edge dns_name,
    sip_domain dns_name NOT NULL,
    CONSTRAINT request_route_edge_once CHECK (((place = 1) = (access_edge IS NOT NULL))),
    CONSTRAINT request_route_place CHECK (((place >= 1) AND (place <= 1000))),
    CONSTRAINT request_route_ten_edges CHECK (((edge >= 1) AND (edge <= 10)))
)
WITH (autovacuum_vacuum_insert_scale_factor='0.05');

COMMENT ON TABLE request_route IS 'the routes a request wants: a SIP domain once, at one Access Edge';

COMMENT ON COLUMN request_route.request_id IS 'the request';

COMMENT ON COLUMN request_route.edge IS 'place of the Access Edge within the request, from 1';

COMMENT ON COLUMN request_route.place IS 'place of the domain among those of its Access Edge, from 1';

COMMENT ON COLUMN request_route.access_edge IS 'Access Edge FQDN, in the first row of each edge alone';

COMMENT ON COLUMN request_route.sip_domain IS 'SIP domain';

CREATE VIEW request_edge AS
 SELECT request_route.request_id,
    request_route.edge AS ordinal,
    request_route.access_edge
   FROM request_route
  WHERE (request_route.place = 1);

COMMENT ON VIEW request_edge IS 'the Access Edge FQDNs of a request, ten at most';

COMMENT ON COLUMN request_edge.request_id IS 'the request';

COMMENT ON COLUMN request_edge.ordinal IS 'place in the request, from 1';

COMMENT ON COLUMN request_edge.access_edge IS 'Access Edge FQDN';

ALTER TABLE request ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME request_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE watch (
    request_id bigint NOT NULL,
    due_at timestamp with time zone NOT NULL,
    checked_at timestamp with time zone NOT NULL,
    lease_token uuid,
    lease_until timestamp with time zone,
    again boolean DEFAULT false NOT NULL,
    CONSTRAINT watch_lease CHECK (((lease_token IS NULL) = (lease_until IS NULL)))
)
WITH (fillfactor='90', autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='1000');

COMMENT ON TABLE watch IS 'what is in force and looked at again every day: the last provisioned request of each service; nothing in force is taken away by it';

COMMENT ON COLUMN watch.request_id IS 'the request whose routes are in force';

COMMENT ON COLUMN watch.due_at IS 'when it is to be looked at next';

COMMENT ON COLUMN watch.checked_at IS 'when its checks last ran';

COMMENT ON COLUMN watch.lease_token IS 'the claim that holds it; null when it is free';

COMMENT ON COLUMN watch.lease_until IS 'when the claim runs out';

COMMENT ON COLUMN watch.again IS 'as in work';

CREATE TABLE work (
    request_id bigint NOT NULL,
    due_at timestamp with time zone NOT NULL,
    attempts smallint DEFAULT 0 NOT NULL,
    lease_token uuid,
    lease_until timestamp with time zone,
    checked_at timestamp with time zone,
    again boolean DEFAULT false NOT NULL,
    CONSTRAINT work_attempts CHECK ((attempts >= 0)),
    CONSTRAINT work_lease CHECK (((lease_token IS NULL) = (lease_until IS NULL)))
)
WITH (fillfactor='30', autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='1000', autovacuum_vacuum_cost_delay='0', autovacuum_analyze_scale_factor='0', autovacuum_analyze_threshold='5000');

COMMENT ON TABLE work IS 'what the background task has to do: one row for each pending request; leases stand in no index, so that taking one is a HOT update';

COMMENT ON COLUMN work.request_id IS 'the pending request';

COMMENT ON COLUMN work.due_at IS 'when it is to be looked at next';

COMMENT ON COLUMN work.attempts IS 'how often it was looked at in vain; sets the back-off';

COMMENT ON COLUMN work.lease_token IS 'the claim that holds it; null when it is free';

COMMENT ON COLUMN work.lease_until IS 'when the claim runs out';

COMMENT ON COLUMN work.checked_at IS 'when its checks last ran; null before the first';

COMMENT ON COLUMN work.again IS 'somebody asked for another look since the claim: whatever the one at hand finds, look again at once';

CREATE VIEW request_summary AS
 SELECT r.id,
    r.service_id,
    r.reference,
    r.kind,
    r.deployment,
    r.state,
    r.reason,
    r.submitted_at,
    r.ended_at,
    (EXISTS ( SELECT
           FROM finding f
          WHERE ((f.request_id = r.id) AND (f.severity = 'blocking'::text)))) AS blocked,
        CASE
            WHEN (r.state <> 'pending'::text) THEN r.submitted_at
            ELSE COALESCE(( SELECT min(f.at) AS min
               FROM finding f
              WHERE ((f.request_id = r.id) AND (f.severity = 'blocking'::text))), ( SELECT GREATEST(max(COALESCE(e.last_at, e.at)), ( SELECT max(f.at) AS max
                       FROM finding f
                      WHERE (f.request_id = r.id))) AS "greatest"
               FROM event e
              WHERE ((e.request_id = r.id) AND (e.code = ANY (ARRAY['blocked'::text, 'held'::text, 'corrected'::text])))
             HAVING (count(*) > 0)), r.submitted_at)
        END AS turn_at,
    (EXISTS ( SELECT
           FROM request l
          WHERE ((l.service_id = r.service_id) AND (l.kind <> 'initiate'::text) AND (l.id > r.id) AND (l.state = 'provisioned'::text)))) AS superseded,
    (EXISTS ( SELECT
           FROM event e
          WHERE ((e.request_id = r.id) AND (e.code = 'domain-lost'::text)))) AS lost,
    (( SELECT true
           FROM domain_in_force x
          WHERE (x.service_id = r.service_id)
         LIMIT 1) IS NOT NULL) AS holds,
    GREATEST(( SELECT max(e.seq) AS max
           FROM event e
          WHERE (e.request_id = r.id)), r.provisioned_seq, 1) AS seq,
    ARRAY( SELECT f.severity
           FROM finding f
          WHERE (f.request_id = r.id)) AS severities,
    COALESCE(w.due_at, h.due_at) AS due_at,
    COALESCE(w.checked_at, h.checked_at) AS checked_at,
    ( SELECT (count(*))::integer AS count
           FROM gateway g) AS gateways,
        CASE
            WHEN ((r.state = 'provisioned'::text) AND (EXISTS ( SELECT
               FROM gateway))) THEN ( SELECT (count(*))::integer AS count
               FROM gateway g,
                ( SELECT pic_live_from(r.id) AS serial
                     OFFSET 0) l
              WHERE ((NOT g.silent) AND (g.serial >= l.serial)))
            ELSE 0
        END AS live_on,
    ( SELECT max(e.at) AS max
           FROM event e
          WHERE ((e.request_id = r.id) AND (e.code = 'live'::text))) AS live_at
   FROM ((request r
     LEFT JOIN work w ON ((w.request_id = r.id)))
     LEFT JOIN watch h ON ((h.request_id = r.id)));

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

CREATE TABLE retention_removed (
    run_id bigint NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    rows bigint NOT NULL,
    CONSTRAINT retention_removed_kind CHECK ((kind = ANY (ARRAY['contacts'::text, 'numbers'::text, 'sessions'::text, 'staff-sessions'::text, 'staff-audit'::text, 'requests'::text, 'services'::text, 'runs'::text, 'publications'::text]))),
    CONSTRAINT retention_removed_rows CHECK ((rows > 0))
);

COMMENT ON TABLE retention_removed IS 'how many rows a sweep removed, by kind; written with each step, so that it is right also of one that was killed';

COMMENT ON COLUMN retention_removed.run_id IS 'the sweep';

COMMENT ON COLUMN retention_removed.kind IS 'what was removed';

COMMENT ON COLUMN retention_removed.rows IS 'how many';

CREATE TABLE retention_run (
    id bigint NOT NULL,
    instance uuid NOT NULL,
    cause text NOT NULL COLLATE pg_catalog."C",
    began_at timestamp with time zone NOT NULL,
    lease_until timestamp with time zone,
    ended_at timestamp with time zone,
    outcome text COLLATE pg_catalog."C",
    fault text COLLATE pg_catalog."C",
    columns_proven integer DEFAULT 0 NOT NULL,
    columns_looked integer DEFAULT 0 NOT NULL,
    rows_looked bigint DEFAULT 0 NOT NULL,
    remaining bigint,
    suspects evidence[] DEFAULT '{}'::evidence[] NOT NULL,
    CONSTRAINT retention_run_cause CHECK ((cause = ANY (ARRAY['start'::text, 'schedule'::text, 'retry'::text, 'hand'::text]))),
    CONSTRAINT retention_run_clean CHECK (((outcome IS DISTINCT FROM 'clean'::text) OR COALESCE((remaining = 0), false))),
    CONSTRAINT retention_run_columns_looked CHECK ((columns_looked >= 0)),
    CONSTRAINT retention_run_columns_proven CHECK ((columns_proven >= 0)),
    CONSTRAINT retention_run_ended CHECK ((((ended_at IS NULL) = (outcome IS NULL)) AND ((ended_at IS NULL) = (lease_until IS NOT NULL)))),
    CONSTRAINT retention_run_failed CHECK ((COALESCE((outcome = 'failed'::text), false) = (fault IS NOT NULL))),
    CONSTRAINT retention_run_fault CHECK ((fault = ANY (ARRAY['locked'::text, 'database'::text]))),
    CONSTRAINT retention_run_order CHECK ((ended_at >= began_at)),
    CONSTRAINT retention_run_outcome CHECK ((outcome = ANY (ARRAY['clean'::text, 'remains'::text, 'unfinished'::text, 'failed'::text, 'abandoned'::text]))),
    CONSTRAINT retention_run_remaining CHECK ((remaining >= 0)),
    CONSTRAINT retention_run_remains CHECK (((outcome IS DISTINCT FROM 'remains'::text) OR COALESCE((remaining > 0), false))),
    CONSTRAINT retention_run_rows_looked CHECK ((rows_looked >= 0)),
    CONSTRAINT retention_run_suspects CHECK ((cardinality(suspects) <= 100))
)
WITH (fillfactor='70');

COMMENT ON TABLE retention_run IS 'each sweep: when, what was looked at, how many remain; the one that has not ended is under way';

COMMENT ON COLUMN retention_run.id IS 'internal number';

COMMENT ON COLUMN retention_run.instance IS 'the process that did it: a random number of its own, not the name of a host';

COMMENT ON COLUMN retention_run.cause IS 'start: of a process; schedule: PIC_SWEEP; retry: after one that failed; hand: pic-portal sweep';

COMMENT ON COLUMN retention_run.began_at IS 'when it began';

COMMENT ON COLUMN retention_run.lease_until IS 'when the turn is free again if nothing more is heard of it; null once it has ended';

COMMENT ON COLUMN retention_run.ended_at IS 'when it ended; null while it is under way';

COMMENT ON COLUMN retention_run.outcome IS 'clean: nothing remains; remains: contact-like values were found; unfinished: it was stopped, or not all was looked at in its time; failed: see fault; abandoned: its process died';

COMMENT ON COLUMN retention_run.fault IS 'why it failed. locked: somebody reads legacy_contact, such as pg_dump; database: it was away or refused';

COMMENT ON COLUMN retention_run.columns_proven IS 'columns whose constraints let no address in, so that nobody need look';

COMMENT ON COLUMN retention_run.columns_looked IS 'columns that were looked through, every value';

COMMENT ON COLUMN retention_run.rows_looked IS 'rows that were looked through';

COMMENT ON COLUMN retention_run.remaining IS 'contact-like values found, and rows of legacy_contact that could not be removed; null: it was not looked to the end';

COMMENT ON COLUMN retention_run.suspects IS 'columns that look like contact information by name or contents, with the number of values, never a value';

ALTER TABLE retention_run ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME retention_run_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE VIEW route AS
 SELECT x.sip_domain,
    e.access_edge,
    x.service_id,
    x.request_id,
    r.ended_at AS since
   FROM ((domain_in_force x
     LEFT JOIN request_edge e ON (((e.request_id = x.request_id) AND (e.ordinal = x.edge))))
     LEFT JOIN request r ON ((r.id = x.request_id)));

COMMENT ON VIEW route IS 'the routes in force, with the name of the Access Edge of each';

COMMENT ON COLUMN route.sip_domain IS 'as in domain_in_force';

COMMENT ON COLUMN route.access_edge IS 'Access Edge FQDN that serves it';

COMMENT ON COLUMN route.service_id IS 'as in domain_in_force';

COMMENT ON COLUMN route.request_id IS 'as in domain_in_force';

COMMENT ON COLUMN route.since IS 'when this route came into force';

CREATE TABLE secret (
    only_one boolean DEFAULT true NOT NULL,
    value bytea NOT NULL,
    CONSTRAINT secret_length CHECK ((octet_length(value) = 32)),
    CONSTRAINT secret_only_one CHECK (only_one)
);

COMMENT ON TABLE secret IS 'this database''s secret, made once: management keys are derived from it';

COMMENT ON COLUMN secret.only_one IS 'always true: there is one row';

COMMENT ON COLUMN secret.value IS '32 random bytes, key of the HMAC that makes a management key out of a submission id';

CREATE TABLE service (
    id bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    programme text NOT NULL COLLATE pg_catalog."C",
    number text NOT NULL COLLATE pg_catalog."C",
    token text NOT NULL COLLATE pg_catalog."C",
    key_hash half_digest NOT NULL,
    watch_hash digest,
    CONSTRAINT service_number CHECK ((number ~ '^[A-Z0-9]+$'::text)),
    CONSTRAINT service_number_length CHECK ((octet_length(number) <= 32)),
    CONSTRAINT service_number_no_name CHECK (((number ~ '[0-9]'::text) AND (number !~ '[A-Z]{5}'::text))),
    CONSTRAINT service_programme CHECK ((programme = ANY (ARRAY['volume_licensing'::text, 'partner_network'::text, 'service_provider'::text, 'high_volume'::text]))),
    CONSTRAINT service_token CHECK ((token ~ '^[0-9A-HJKMNP-TV-Z]+$'::text)),
    CONSTRAINT service_token_length CHECK ((octet_length(token) = 16))
)
WITH (autovacuum_analyze_threshold='1000', autovacuum_vacuum_threshold='1000');

COMMENT ON TABLE service IS 'what an agreement holds; several services may bear one agreement number, each is opened by its own key';

COMMENT ON COLUMN service.id IS 'internal number, that of the request that made it';

COMMENT ON COLUMN service.created_at IS 'when its first request was submitted';

COMMENT ON COLUMN service.programme IS 'licensing programme';

COMMENT ON COLUMN service.number IS 'normalised agreement number: identifies, never authorises; 0: words stood there and were removed by a sweep';

COMMENT ON COLUMN service.token IS 'public token that a TXT record names to give a domain to this service, 80 random bits in Crockford base32';

COMMENT ON COLUMN service.key_hash IS 'the first half of the SHA-256 of the management key, which has 128 bits itself';

COMMENT ON COLUMN service.watch_hash IS 'SHA-256 of the secret in the address of its feed and calendar; null: there is none';

CREATE TABLE session (
    token_hash digest NOT NULL,
    service_id bigint NOT NULL,
    began_at timestamp with time zone NOT NULL,
    seen_at timestamp with time zone NOT NULL,
    CONSTRAINT session_seen CHECK ((seen_at >= began_at))
)
WITH (fillfactor='70');

COMMENT ON TABLE session IS 'who is signed in: a browser that has shown a service''s management key';

COMMENT ON COLUMN session.token_hash IS 'SHA-256 of the token in the cookie';

COMMENT ON COLUMN session.service_id IS 'the service that it opens';

COMMENT ON COLUMN session.began_at IS 'when it began; the absolute end counts from here';

COMMENT ON COLUMN session.seen_at IS 'when it was last used, to the minute; the idle end counts from here';

CREATE TABLE staff (
    id bigint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    role text NOT NULL COLLATE pg_catalog."C",
    password text COLLATE pg_catalog."C",
    subject digest,
    created_at timestamp with time zone NOT NULL,
    password_at timestamp with time zone,
    disabled_at timestamp with time zone,
    CONSTRAINT staff_disabled_at CHECK ((disabled_at >= created_at)),
    CONSTRAINT staff_name_form CHECK ((name ~ '^[a-z0-9][a-z0-9._-]{1,31}$'::text)),
    CONSTRAINT staff_password CHECK ((password ~ '^\$argon2id\$v=19\$m=[0-9]{1,8},t=[0-9]{1,3},p=[0-9]{1,3}\$[A-Za-z0-9+/]{11,64}\$[A-Za-z0-9+/]{43}$'::text)),
    CONSTRAINT staff_password_at CHECK ((password_at >= created_at)),
    CONSTRAINT staff_password_or_subject CHECK (((password IS NULL) <> (subject IS NULL))),
    CONSTRAINT staff_password_when CHECK (((password IS NULL) = (password_at IS NULL))),
    CONSTRAINT staff_role CHECK ((role = ANY (ARRAY['reader'::text, 'agent'::text])))
);

COMMENT ON TABLE staff IS 'accounts of the support desk; staff are not customers, and no account is known by an address';

COMMENT ON COLUMN staff.id IS 'internal number; events and the audit name it';

COMMENT ON COLUMN staff.name IS 'what is typed to sign in, or what the desk shows; no "@" fits, so it is never an e-mail address';

COMMENT ON COLUMN staff.role IS 'reader: may look; agent: may act too; of an account of the OpenID provider as its groups said last';

COMMENT ON COLUMN staff.password IS 'argon2id in PHC form; null: the account signs in at the OpenID provider';

COMMENT ON COLUMN staff.subject IS 'HMAC-SHA-256 of issuer and subject at the OpenID provider; null: the account signs in by password';

COMMENT ON COLUMN staff.created_at IS 'when the account was made';

COMMENT ON COLUMN staff.password_at IS 'when the password was last set; null: there is none';

COMMENT ON COLUMN staff.disabled_at IS 'since when nobody can sign in with it; null: somebody can';

CREATE TABLE staff_audit (
    id bigint NOT NULL,
    staff_id bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    action text NOT NULL COLLATE pg_catalog."C",
    request_id bigint,
    service_id bigint,
    reason text COLLATE pg_catalog."C",
    mark staff_mark_name,
    CONSTRAINT staff_audit_about CHECK (
CASE
    WHEN (action = ANY (ARRAY['checked-again'::text, 'refused'::text, 'withdrew'::text, 'marked'::text, 'unmarked'::text])) THEN ((request_id IS NOT NULL) AND (service_id IS NULL))
    WHEN (action = 'cancelled'::text) THEN ((request_id IS NOT NULL) AND (service_id IS NOT NULL))
    WHEN (action = 'looked'::text) THEN ((request_id IS NULL) <> (service_id IS NULL))
    ELSE ((request_id IS NULL) AND (service_id IS NULL))
END),
    CONSTRAINT staff_audit_action CHECK ((action = ANY (ARRAY['signed-in'::text, 'signed-out-everywhere'::text, 'password-changed'::text, 'looked'::text, 'exported'::text, 'checked-again'::text, 'refused'::text, 'withdrew'::text, 'cancelled'::text, 'marked'::text, 'unmarked'::text]))),
    CONSTRAINT staff_audit_marks CHECK (((action = ANY (ARRAY['marked'::text, 'unmarked'::text])) = (mark IS NOT NULL))),
    CONSTRAINT staff_audit_reason CHECK ((reason = ANY (ARRAY['not-eligible'::text, 'duplicate'::text, 'wrong-information'::text, 'policy'::text, 'owner-asked'::text]))),
    CONSTRAINT staff_audit_refusal CHECK (((action <> 'refused'::text) OR (reason <> 'owner-asked'::text))),
    CONSTRAINT staff_audit_why CHECK (((action = ANY (ARRAY['refused'::text, 'cancelled'::text])) = (reason IS NOT NULL)))
);

COMMENT ON TABLE staff_audit IS 'what the support desk looked at and did; append-only, kept for a year';

COMMENT ON COLUMN staff_audit.id IS 'internal number, in order of time';

COMMENT ON COLUMN staff_audit.staff_id IS 'who';

COMMENT ON COLUMN staff_audit.at IS 'when';

COMMENT ON COLUMN staff_audit.action IS 'what';

COMMENT ON COLUMN staff_audit.request_id IS 'the request it was about, of a cancellation the one that cancels; no reference, because the audit outlives requests';

COMMENT ON COLUMN staff_audit.service_id IS 'the service it was about; no reference either';

COMMENT ON COLUMN staff_audit.reason IS 'why, of a refusal or a cancellation';

COMMENT ON COLUMN staff_audit.mark IS 'which mark was set or removed';

ALTER TABLE staff_audit ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME staff_audit_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

ALTER TABLE staff ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME staff_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE staff_mark (
    request_id bigint NOT NULL,
    mark staff_mark_name NOT NULL,
    staff_id bigint NOT NULL,
    at timestamp with time zone NOT NULL
);

COMMENT ON TABLE staff_mark IS 'what staff have noted of requests; it goes with the request, and each change is in the audit';

COMMENT ON COLUMN staff_mark.request_id IS 'the request';

COMMENT ON COLUMN staff_mark.mark IS 'what is noted; taken: by the account that deals with the request';

COMMENT ON COLUMN staff_mark.staff_id IS 'the account that noted it last';

COMMENT ON COLUMN staff_mark.at IS 'when it did';

CREATE TABLE staff_session (
    token_hash digest NOT NULL,
    staff_id bigint NOT NULL,
    began_at timestamp with time zone NOT NULL,
    seen_at timestamp with time zone NOT NULL,
    confirmed_until timestamp with time zone DEFAULT 'infinity'::timestamp with time zone NOT NULL,
    provider_session digest,
    proved_at timestamp with time zone,
    CONSTRAINT staff_session_confirmed CHECK ((confirmed_until > began_at)),
    CONSTRAINT staff_session_seen CHECK ((seen_at >= began_at))
)
WITH (fillfactor='70');

COMMENT ON TABLE staff_session IS 'browsers in which somebody is signed in to the support desk';

COMMENT ON COLUMN staff_session.token_hash IS 'SHA-256 of the token in the cookie';

COMMENT ON COLUMN staff_session.staff_id IS 'the account';

COMMENT ON COLUMN staff_session.began_at IS 'when it began; the absolute end counts from here';

COMMENT ON COLUMN staff_session.seen_at IS 'when it was last used, to the minute; the idle end counts from here';

COMMENT ON COLUMN staff_session.confirmed_until IS 'when the OpenID provider has to confirm it again; infinity: it was opened by password';

COMMENT ON COLUMN staff_session.provider_session IS 'HMAC-SHA-256 of issuer and session at the OpenID provider, which ends it; null: unknown';

COMMENT ON COLUMN staff_session.proved_at IS 'when the person last proved to the OpenID provider who they are, as strictly as is asked for; null: unknown';

CREATE TABLE staff_set_up (
    only_one boolean DEFAULT true NOT NULL,
    token_hash digest NOT NULL,
    until timestamp with time zone NOT NULL,
    CONSTRAINT staff_set_up_only_one CHECK (only_one)
);

COMMENT ON TABLE staff_set_up IS 'the link by which the first account is made; there is one at most, and none once there is an account';

COMMENT ON COLUMN staff_set_up.only_one IS 'always true: there is one row';

COMMENT ON COLUMN staff_set_up.token_hash IS 'SHA-256 of the token in the link';

COMMENT ON COLUMN staff_set_up.until IS 'when the link dies';

CREATE VIEW timeline AS
 SELECT event.request_id,
    event.seq,
    event.at,
    event.actor,
    event.code,
    event.subject,
    event.staff_id,
    event.times,
    event.last_at
   FROM event
UNION ALL
 SELECT r.id AS request_id,
    1 AS seq,
    r.submitted_at AS at,
    ('administrator' COLLATE "C") AS actor,
    ('submitted' COLLATE "C") AS code,
    (NULL::text)::dns_name AS subject,
    NULL::bigint AS staff_id,
    1 AS times,
    NULL::timestamp with time zone AS last_at
   FROM request r
  WHERE (NOT (EXISTS ( SELECT
           FROM event e
          WHERE ((e.request_id = r.id) AND (e.seq = 1)))))
UNION ALL
 SELECT r.id AS request_id,
    r.provisioned_seq AS seq,
    r.ended_at AS at,
    ('portal' COLLATE "C") AS actor,
    ('provisioned' COLLATE "C") AS code,
    (NULL::text)::dns_name AS subject,
    NULL::bigint AS staff_id,
    1 AS times,
    NULL::timestamp with time zone AS last_at
   FROM request r
  WHERE (r.state = 'provisioned'::text);

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

CREATE TABLE to_publish (
    sip_domains dns_name[],
    added integer DEFAULT 0 NOT NULL,
    requests bigint[],
    CONSTRAINT to_publish_one CHECK ((num_nonnulls(sip_domains, requests) = 1))
)
WITH (autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='1000', autovacuum_vacuum_cost_delay='0');

COMMENT ON TABLE to_publish IS 'what has changed since the last publication';

COMMENT ON COLUMN to_publish.sip_domains IS 'domains whose routes have changed';

COMMENT ON COLUMN to_publish.added IS 'how many routes there are more by that';

COMMENT ON COLUMN to_publish.requests IS 'requests that have been provisioned';

ALTER TABLE ONLY check_progress
    ADD CONSTRAINT check_progress_pkey PRIMARY KEY (request_id);

ALTER TABLE ONLY domain_in_force
    ADD CONSTRAINT domain_in_force_pkey PRIMARY KEY (sip_domain);

ALTER TABLE ONLY event
    ADD CONSTRAINT event_pkey PRIMARY KEY (request_id, seq);

ALTER TABLE ONLY gateway
    ADD CONSTRAINT gateway_pkey PRIMARY KEY (name);

ALTER TABLE ONLY gateway
    ADD CONSTRAINT gateway_token UNIQUE (token_hash);

ALTER TABLE ONLY instance
    ADD CONSTRAINT instance_pkey PRIMARY KEY (id);

ALTER TABLE ONLY publication
    ADD CONSTRAINT publication_pkey PRIMARY KEY (serial);

ALTER TABLE ONLY request
    ADD CONSTRAINT request_pkey PRIMARY KEY (id);

ALTER TABLE ONLY request
    ADD CONSTRAINT request_reference UNIQUE (reference);

ALTER TABLE ONLY request_route
    ADD CONSTRAINT request_route_pkey PRIMARY KEY (request_id, edge, place);

ALTER TABLE ONLY retention_removed
    ADD CONSTRAINT retention_removed_pkey PRIMARY KEY (run_id, kind);

ALTER TABLE ONLY retention_run
    ADD CONSTRAINT retention_run_pkey PRIMARY KEY (id);

ALTER TABLE ONLY secret
    ADD CONSTRAINT secret_pkey PRIMARY KEY (only_one);

ALTER TABLE ONLY service
    ADD CONSTRAINT service_pkey PRIMARY KEY (id);

ALTER TABLE ONLY session
    ADD CONSTRAINT session_pkey PRIMARY KEY (token_hash);

ALTER TABLE ONLY staff_audit
    ADD CONSTRAINT staff_audit_pkey PRIMARY KEY (id);

ALTER TABLE ONLY staff_mark
    ADD CONSTRAINT staff_mark_pkey PRIMARY KEY (request_id, mark);

ALTER TABLE ONLY staff
    ADD CONSTRAINT staff_name UNIQUE (name);

ALTER TABLE ONLY staff
    ADD CONSTRAINT staff_pkey PRIMARY KEY (id);

ALTER TABLE ONLY staff_session
    ADD CONSTRAINT staff_session_pkey PRIMARY KEY (token_hash);

ALTER TABLE ONLY staff_set_up
    ADD CONSTRAINT staff_set_up_pkey PRIMARY KEY (only_one);

ALTER TABLE ONLY staff
    ADD CONSTRAINT staff_subject UNIQUE (subject);

ALTER TABLE ONLY watch
    ADD CONSTRAINT watch_pkey PRIMARY KEY (request_id);

ALTER TABLE ONLY work
    ADD CONSTRAINT work_pkey PRIMARY KEY (request_id);

CREATE INDEX domain_in_force_of_service ON domain_in_force USING btree (service_id);

CREATE INDEX event_lost ON event USING btree (request_id, subject) WHERE (code = 'domain-lost'::text);

CREATE INDEX finding_blocking ON finding USING btree (request_id) WHERE (severity = 'blocking'::text);

CREATE INDEX finding_by_code ON finding USING btree (code, request_id) WHERE (severity <> ALL (ARRAY['ok'::text, 'skipped'::text]));

CREATE INDEX finding_held ON finding USING btree (subject) WHERE (code = 'domain-held'::text);

CREATE UNIQUE INDEX finding_once ON finding USING btree (request_id, hashtextextended(((code || ' '::text) || (subject)::text), request_id));

CREATE INDEX publication_waiting ON publication USING btree (serial) WHERE (waiting IS NOT NULL);

CREATE INDEX request_of_service ON request USING btree (service_id, id) WHERE (kind <> 'initiate'::text);

CREATE UNIQUE INDEX request_one_pending ON request USING btree (service_id) WHERE ((state = 'pending'::text) AND (kind <> 'initiate'::text));

CREATE INDEX request_provisioned ON request USING btree (id) WHERE (state = 'provisioned'::text);

CREATE INDEX request_provisioned_when ON request USING btree (ended_at) INCLUDE (submitted_at) WHERE (state = 'provisioned'::text);

CREATE INDEX request_rejected ON request USING btree (id) WHERE (state = 'rejected'::text);

CREATE INDEX request_route_backwards ON request_route USING btree (reverse((sip_domain)::text));

CREATE INDEX request_route_edge_backwards ON request_route USING btree (reverse((access_edge)::text)) WHERE (place = 1);

CREATE INDEX request_to_forget ON request USING btree (ended_at) WHERE (state = ANY (ARRAY['withdrawn'::text, 'rejected'::text]));

CREATE INDEX request_withdrawn ON request USING btree (id) WHERE (state = 'withdrawn'::text);

CREATE UNIQUE INDEX retention_run_under_way ON retention_run USING btree ((true)) WHERE (ended_at IS NULL);

CREATE INDEX retention_run_when ON retention_run USING btree (began_at);

CREATE INDEX service_number_to_mask ON service USING btree (id) WHERE ((number !~ '[0-9]'::text) OR (number ~ '[A-Z]{5}'::text));

CREATE INDEX service_opened_by ON service USING btree (number, substr((key_hash)::bytea, 1, 8));

CREATE UNIQUE INDEX service_watched_by ON service USING btree (watch_hash) WHERE (watch_hash IS NOT NULL);

CREATE INDEX session_of_service ON session USING btree (service_id);

CREATE INDEX staff_audit_of_staff ON staff_audit USING btree (staff_id);

CREATE INDEX staff_audit_when ON staff_audit USING btree (at);

CREATE INDEX staff_mark_mine ON staff_mark USING btree (staff_id, request_id) WHERE ((mark)::text = 'taken'::text);

CREATE INDEX staff_mark_of ON staff_mark USING btree (mark, request_id);

CREATE INDEX staff_session_of_staff ON staff_session USING btree (staff_id);

CREATE INDEX watch_due ON watch USING btree (due_at);

CREATE INDEX work_due ON work USING btree (due_at);

CREATE TRIGGER event_append_only BEFORE UPDATE ON event FOR EACH ROW EXECUTE FUNCTION event_is_append_only();

CREATE TRIGGER request_final BEFORE UPDATE ON request FOR EACH ROW WHEN ((old.state <> 'pending'::text)) EXECUTE FUNCTION pic_refuse('an ended request does not change');

CREATE TRIGGER request_of_one_service BEFORE UPDATE OF id, service_id ON request FOR EACH STATEMENT EXECUTE FUNCTION pic_refuse('a request stays with its service');

CREATE TRIGGER request_route_for_good BEFORE UPDATE ON request_route FOR EACH STATEMENT EXECUTE FUNCTION pic_refuse('what a request wants does not change');

CREATE TRIGGER request_route_kept AFTER DELETE ON request_route REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION request_route_is_kept();

CREATE TRIGGER request_route_whole AFTER INSERT ON request_route REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION request_route_is_whole();

CREATE TRIGGER request_unused AFTER DELETE ON request FOR EACH ROW WHEN ((old.state = 'provisioned'::text)) EXECUTE FUNCTION request_is_unused();

CREATE TRIGGER request_whole AFTER INSERT ON request REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION request_is_whole();

CREATE TRIGGER route_changed AFTER UPDATE ON domain_in_force REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION route_has_request();

CREATE TRIGGER route_changed_from AFTER UPDATE ON domain_in_force REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION note_routes();

CREATE TRIGGER route_changed_to AFTER UPDATE ON domain_in_force REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION note_routes();

CREATE TRIGGER route_gone AFTER DELETE ON domain_in_force REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION note_routes();

CREATE TRIGGER route_new AFTER INSERT ON domain_in_force REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION route_has_request();

CREATE TRIGGER route_put AFTER INSERT ON domain_in_force REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION note_routes();

CREATE TRIGGER service_number_for_good BEFORE UPDATE OF id ON service FOR EACH STATEMENT EXECUTE FUNCTION pic_refuse('a service keeps its internal number');

CREATE TRIGGER service_unused AFTER DELETE ON service FOR EACH ROW EXECUTE FUNCTION service_is_unused();

CREATE TRIGGER staff_audit_append_only BEFORE UPDATE ON staff_audit FOR EACH STATEMENT EXECUTE FUNCTION pic_refuse('the audit is append-only');

ALTER TABLE ONLY check_progress
    ADD CONSTRAINT check_progress_request FOREIGN KEY (request_id) REFERENCES request(id) ON DELETE CASCADE;

ALTER TABLE ONLY event
    ADD CONSTRAINT event_request FOREIGN KEY (request_id) REFERENCES request(id) ON DELETE CASCADE;

ALTER TABLE ONLY event
    ADD CONSTRAINT event_staff FOREIGN KEY (staff_id) REFERENCES staff(id);

ALTER TABLE ONLY finding
    ADD CONSTRAINT finding_request FOREIGN KEY (request_id) REFERENCES request(id) ON DELETE CASCADE;

ALTER TABLE ONLY request_route
    ADD CONSTRAINT request_route_request FOREIGN KEY (request_id) REFERENCES request(id) ON DELETE CASCADE;

ALTER TABLE ONLY retention_removed
    ADD CONSTRAINT retention_removed_run FOREIGN KEY (run_id) REFERENCES retention_run(id) ON DELETE CASCADE;

ALTER TABLE ONLY session
    ADD CONSTRAINT session_service FOREIGN KEY (service_id) REFERENCES service(id) ON DELETE CASCADE;

ALTER TABLE ONLY staff_audit
    ADD CONSTRAINT staff_audit_staff FOREIGN KEY (staff_id) REFERENCES staff(id);

ALTER TABLE ONLY staff_mark
    ADD CONSTRAINT staff_mark_request FOREIGN KEY (request_id) REFERENCES request(id) ON DELETE CASCADE;

ALTER TABLE ONLY staff_mark
    ADD CONSTRAINT staff_mark_staff FOREIGN KEY (staff_id) REFERENCES staff(id);

ALTER TABLE ONLY staff_session
    ADD CONSTRAINT staff_session_staff FOREIGN KEY (staff_id) REFERENCES staff(id) ON DELETE CASCADE;

ALTER TABLE ONLY watch
    ADD CONSTRAINT watch_request FOREIGN KEY (request_id) REFERENCES request(id) ON DELETE CASCADE;

ALTER TABLE ONLY work
    ADD CONSTRAINT work_request FOREIGN KEY (request_id) REFERENCES request(id) ON DELETE CASCADE;

