-- What is due, what checks find, and how requests are settled: pic_end is the one place where a request leaves
-- pending, pic_provision the one place where routes come into force and change.

-- Every row is deleted within moments, and every claim reads the index of due times from its
-- beginning: dead entries there are what slows it down. The table is small, so it is vacuumed at full speed.
--
-- A claim takes whole pages at once, and makes each of its rows longer by the lease: only where there
-- is room for two such versions of every row are claims and renewals HOT updates. At a fill factor of 70 two
-- thirds of the claims were none.
CREATE TABLE work (
    request_id bigint CONSTRAINT work_pkey PRIMARY KEY CONSTRAINT work_request REFERENCES request ON DELETE CASCADE,
    due_at timestamptz NOT NULL,
    attempts smallint NOT NULL DEFAULT 0 CONSTRAINT work_attempts CHECK (attempts >= 0),
    lease_token uuid,
    lease_until timestamptz,
    checked_at timestamptz,
    again boolean NOT NULL DEFAULT false,
    CONSTRAINT work_lease CHECK ((lease_token IS NULL) = (lease_until IS NULL))
) WITH (
    fillfactor = 30,
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 5000);
COMMENT ON TABLE work IS 'what the background task has to do: one row for each pending request; leases stand in no index, so that taking one is a HOT update';
COMMENT ON COLUMN work.request_id IS 'the pending request';
COMMENT ON COLUMN work.due_at IS 'when it is to be looked at next';
COMMENT ON COLUMN work.attempts IS 'how often it was looked at in vain; sets the back-off';
COMMENT ON COLUMN work.lease_token IS 'the claim that holds it; null when it is free';
COMMENT ON COLUMN work.lease_until IS 'when the claim runs out';
COMMENT ON COLUMN work.checked_at IS 'when its checks last ran; null before the first';
COMMENT ON COLUMN work.again IS 'somebody asked for another look since the claim: whatever the one at hand finds, look again at once';
-- What is due, oldest first.
CREATE INDEX work_due ON work (due_at);

-- Every row gets another due time once a day, so each leaves a dead entry in the index of these. What is due together
-- lies apart, so there is room on a page for the few of its rows that are claimed at one time.
CREATE TABLE watch (
    request_id bigint CONSTRAINT watch_pkey PRIMARY KEY CONSTRAINT watch_request REFERENCES request ON DELETE CASCADE,
    due_at timestamptz NOT NULL,
    checked_at timestamptz NOT NULL,
    lease_token uuid,
    lease_until timestamptz,
    again boolean NOT NULL DEFAULT false,
    CONSTRAINT watch_lease CHECK ((lease_token IS NULL) = (lease_until IS NULL))
) WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE watch IS 'what is in force and looked at again every day: the last provisioned request of each service; nothing in force is taken away by it';
COMMENT ON COLUMN watch.request_id IS 'the request whose routes are in force';
COMMENT ON COLUMN watch.due_at IS 'when it is to be looked at next';
COMMENT ON COLUMN watch.checked_at IS 'when its checks last ran';
COMMENT ON COLUMN watch.lease_token IS 'the claim that holds it; null when it is free';
COMMENT ON COLUMN watch.lease_until IS 'when the claim runs out';
COMMENT ON COLUMN watch.again IS 'as in work';
-- What is due, oldest first.
CREATE INDEX watch_due ON watch (due_at);

-- Findings come and go with every check.
CREATE TABLE finding (
    request_id bigint NOT NULL CONSTRAINT finding_request REFERENCES request ON DELETE CASCADE,
    at timestamptz NOT NULL,
    code text COLLATE "C" NOT NULL CONSTRAINT finding_code CHECK (code IN (
        'srv', 'srv-missing', 'srv-misspelt', 'srv-port', 'srv-target', 'srv-suffix', 'homed-online',
        'routed-to-consumer', 'dns-disagrees', 'domain-held', 'domain-unproven', 'domain-proven', 'edge-no-address',
        'edge-alias', 'edge-private-address', 'edge-unreachable', 'edge-partly-unreachable', 'edge-shared-address',
        'edge-no-route', 'tls-old', 'certificate', 'certificate-name', 'certificate-expired',
        'certificate-not-yet-valid', 'certificate-untrusted', 'certificate-unknown', 'certificate-expires-soon',
        'certificate-cn-only', 'certificate-wildcard', 'certificate-domain-san', 'certificate-client',
        'certificate-first-name', 'sip', 'sip-refuses-certificate', 'sip-silent', 'resolver-unreachable')),
    subject dns_name NOT NULL,
    severity text COLLATE "C" NOT NULL CONSTRAINT finding_severity CHECK (
        severity IN ('ok', 'warning', 'blocking', 'unknown', 'skipped')),
    expected evidence NOT NULL DEFAULT '',
    found evidence_lines NOT NULL DEFAULT '',
    CONSTRAINT finding_gravity CHECK (CASE severity
        WHEN 'ok' THEN code IN ('srv', 'domain-proven', 'certificate', 'sip')
        WHEN 'warning' THEN code IN ('srv-port', 'srv-target', 'srv-suffix', 'dns-disagrees', 'edge-alias',
                                     'edge-partly-unreachable', 'edge-shared-address', 'tls-old',
                                     'certificate-expires-soon', 'certificate-cn-only', 'certificate-wildcard',
                                     'certificate-domain-san', 'certificate-client', 'certificate-first-name',
                                     'sip-refuses-certificate')
        WHEN 'unknown' THEN code IN ('resolver-unreachable', 'domain-unproven', 'edge-no-route', 'certificate-unknown',
                                     'sip-silent')
        WHEN 'blocking' THEN code NOT IN ('srv', 'domain-proven', 'certificate', 'srv-suffix', 'dns-disagrees',
                                          'edge-partly-unreachable', 'edge-shared-address', 'edge-no-route',
                                          'certificate-expires-soon', 'certificate-cn-only', 'certificate-wildcard',
                                          'certificate-domain-san', 'certificate-unknown', 'certificate-client',
                                          'certificate-first-name', 'sip', 'sip-refuses-certificate', 'sip-silent',
                                          'resolver-unreachable')
        ELSE true END)
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE finding IS 'the results of the last check of a request';
COMMENT ON COLUMN finding.request_id IS 'the request';
COMMENT ON COLUMN finding.at IS 'since when it is like this';
COMMENT ON COLUMN finding.code IS 'what was found';
COMMENT ON COLUMN finding.subject IS 'the SIP domain or Access Edge FQDN it is about';
COMMENT ON COLUMN finding.severity IS 'whether it holds the request back';
COMMENT ON COLUMN finding.expected IS 'what should be there';
COMMENT ON COLUMN finding.found IS 'what is there, a line each, 8 at most and one that says how many more; 64 KiB for a request in all; of a skipped one the code that it depends on';
-- A request has a finding of a subject once. A hash of 64 bits in the place of both words: the index was two thirds as
-- large as the table. Each request has a hash of its own, so that nobody looks for two names with the same one before
-- the request has its number.
CREATE UNIQUE INDEX finding_once ON finding (request_id, hashtextextended(code || ' ' || subject, request_id));
-- Whom a domain that becomes free is to be told to.
CREATE INDEX finding_held ON finding (subject) WHERE code = 'domain-held';
-- The desk's list of the requests with one finding.
CREATE INDEX finding_by_code ON finding (code, request_id) WHERE severity NOT IN ('ok', 'skipped');
-- Which requests are held back, and which in force are at risk.
CREATE INDEX finding_blocking ON finding (request_id) WHERE severity = 'blocking';

-- The check of a request goes in turns, so that one of a thousand names keeps nothing from others. What its
-- turns found is kept here until all its names are checked.
CREATE DOMAIN found_in_turn AS text COLLATE "C"
    CONSTRAINT found_in_turn_form CHECK (value ~ '^[ -?A-~]*$');
COMMENT ON DOMAIN found_in_turn IS 'a finding as a JSON array: printable ASCII without "@", so that no address of a person fits';

-- A few rows that are updated all the time.
CREATE TABLE check_progress (
    request_id bigint CONSTRAINT check_progress_pkey PRIMARY KEY
        CONSTRAINT check_progress_request REFERENCES request ON DELETE CASCADE,
    began_at timestamptz NOT NULL,
    names_done integer NOT NULL CONSTRAINT check_progress_names_done CHECK (names_done >= 0),
    slow boolean NOT NULL,
    findings found_in_turn[] NOT NULL,
    proven dns_name[] NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE check_progress IS 'checks that have not come to their end, pending or in force; deleted when the request is settled';
COMMENT ON COLUMN check_progress.request_id IS 'the request that is being checked';
COMMENT ON COLUMN check_progress.began_at IS 'when the first turn of the check ended; after some hours the check begins anew';
COMMENT ON COLUMN check_progress.names_done IS 'how many of its edges and domains, in alphabetical order, edges first, are checked';
COMMENT ON COLUMN check_progress.slow IS 'at least half of the names of the last turn took long to answer, or did not answer';
COMMENT ON COLUMN check_progress.findings IS 'what was found of these, each an array of code, severity, subject, expected, and the lines found';
COMMENT ON COLUMN check_progress.proven IS 'those of its domains whose owner has spoken for the service of the request';

-- ---------------------------------------------------------------------------------------------
-- What settling is told

CREATE TYPE pic_waits AS (expiry interval, first_wait interval, longest_wait interval, watch_every interval);
COMMENT ON TYPE pic_waits IS
    'how long a request may take (expiry), how long one that is held back waits for its next look (first_wait, doubled each time, longest_wait at most), and after how long what is in force is looked at again (watch_every)';

CREATE TYPE pic_verdict AS (request_id bigint, blocked boolean, proven dns_name[], findings jsonb);
COMMENT ON TYPE pic_verdict IS
    'what the checks said of a request: whether they hold it back, which of its domains are proven to be its service''s, and what they found, each an array of code, severity, subject, expected and the lines found; findings null: they did not run';

CREATE TYPE pic_wanted AS (request_id bigint, sip_domain dns_name);
COMMENT ON TYPE pic_wanted IS 'a request and a domain that it wants';

CREATE FUNCTION pic_found(verdicts pic_verdict[], seen_at timestamptz) RETURNS finding[] LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN ARRAY(
        SELECT ROW(v.request_id, seen_at, f ->> 0, f ->> 2, f ->> 1, f ->> 3,
                   coalesce((SELECT string_agg(line, E'\n' ORDER BY place)
                             FROM jsonb_array_elements_text(f -> 4) WITH ORDINALITY AS l (line, place)), ''))::finding
        FROM unnest(verdicts) AS v, jsonb_array_elements(v.findings) AS f);
END $$;
COMMENT ON FUNCTION pic_found(pic_verdict[], timestamptz) IS 'all that the checks found, as rows of finding';

-- Replaces what was found of each of the given requests; what has not changed is not written again.
-- `domain-held` is not the checks' to say: it is decided where routes change.
CREATE FUNCTION pic_store_findings(ids bigint[], now_found finding[]) RETURNS void LANGUAGE plpgsql
SET enable_hashjoin = on
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
COMMENT ON FUNCTION pic_store_findings(bigint[], finding[]) IS
    'replaces the findings of the given requests, domain-held excepted, by those that are given';

-- How long until a request that is held back is looked at again: doubles each time, and up to a
-- tenth less, so that what was submitted together does not stay together.
CREATE FUNCTION pic_back_off(attempts integer, first_wait interval, longest_wait interval) RETURNS interval
    LANGUAGE sql VOLATILE
    RETURN least(first_wait * 2 ^ least(attempts, 20), longest_wait) * (1 - random() / 10);
COMMENT ON FUNCTION pic_back_off(integer, interval, interval) IS
    'the wait after so many looks in vain: between 0.9 and 1 times first_wait * 2 ^ attempts, longest_wait at most';

-- ---------------------------------------------------------------------------------------------
-- Ending and asking again

CREATE FUNCTION pic_end(
    ids bigint[], how text, why text, by_actor text, by_staff bigint DEFAULT NULL, at timestamptz DEFAULT pic_now()
) RETURNS bigint[] LANGUAGE plpgsql AS $$
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
COMMENT ON FUNCTION pic_end(bigint[], text, text, text, bigint, timestamptz) IS
    'ends those of the given requests that are pending, as provisioned, rejected (for a reason; their findings stay) or withdrawn, with an event by that actor, the provisioned with its place in the timeline; of the staff with an entry in the audit; tells which: the others had ended before';

-- In place: the request keeps its reference, its timeline and its place in the queue. A check that is under
-- way loses its lease, and what it found is dropped.
CREATE FUNCTION pic_correct(
    of_service bigint, of_reference text, to_number text, to_deployment text, edges text[], domain_edges smallint[], domains text[]
) RETURNS boolean LANGUAGE plpgsql AS $$
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
COMMENT ON FUNCTION pic_correct(bigint, text, text, text, text[], smallint[], text[]) IS
    'gives a pending request of the service, and where it is the first the service a number (null: it stays), other routes and has it checked from the beginning, and says whether it did: not when it has ended, nor a cancel';

CREATE FUNCTION pic_check_again(id bigint, not_within interval) RETURNS boolean LANGUAGE plpgsql AS $$
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
COMMENT ON FUNCTION pic_check_again(bigint, interval) IS
    'makes a request due now, pending or in force, and says whether it did: not when it was looked at within the interval, nor when it has ended';

-- ---------------------------------------------------------------------------------------------
-- Routes

-- Make before break: what is kept is updated in place and never missing. Domains in order, so that two who
-- change the same routes meet in one order.
CREATE FUNCTION pic_provision(ids bigint[], at timestamptz, all_new boolean, proofs pic_wanted[] DEFAULT '{}')
RETURNS dns_name[] LANGUAGE plpgsql AS $$
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
COMMENT ON FUNCTION pic_provision(bigint[], timestamptz, boolean, pic_wanted[]) IS
    'puts the routes of the given requests in force, in place of what their services had, and tells which domains are free now; `all_new`: their services had nothing (unique_violation: a domain is in force already); `proofs`: domains that may be taken from another service; serialization_failure: nothing was changed, call again';

-- ---------------------------------------------------------------------------------------------
-- Settling

-- Nothing stands against any of them, as nearly always: first requests of their services whose domains are in
-- force under nobody and wanted once.
CREATE FUNCTION pic_are_new(mine bigint[], not_before timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
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
COMMENT ON FUNCTION pic_are_new(bigint[], timestamptz) IS
    'whether each of the given requests makes its service and was submitted after `not_before`, and no domain is in force or wanted twice';

CREATE FUNCTION pic_judge(
    mine bigint[], not_before timestamptz, blocked bigint[], proofs pic_wanted[],
    OUT expired bigint[], OUT held pic_wanted[], OUT waiting bigint[], OUT rivals bigint[], OUT ready bigint[]
) LANGUAGE plpgsql AS $$
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
COMMENT ON FUNCTION pic_judge(bigint[], timestamptz, bigint[], pic_wanted[]) IS
    'locks the routes that the given requests want or replace, and tells which of them were not submitted after `not_before`, are held by a domain that is another service''s, wait for what their checks found, want a domain that an earlier one wants too, and are ready';

-- Says which domains hold requests back, and when these, and those that wait for their checks, are looked at
-- again. What was found of a domain's record is the checks' to say, where they looked.
CREATE FUNCTION pic_hold(held pic_wanted[], waiting bigint[], now_found finding[], waits pic_waits, token uuid, now_at timestamptz)
RETURNS void LANGUAGE plpgsql
SET enable_hashjoin = on
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
COMMENT ON FUNCTION pic_hold(pic_wanted[], bigint[], finding[], pic_waits, uuid, timestamptz) IS
    'keeps requests pending: those held by a domain, with an event where they were not before, and those that wait for what their checks found';

-- One transaction. Where requests are claimed before (ids and token), because what they want is looked up
-- outside of it, what the claim has lost is left alone. Where nothing is looked up (ids null), they are taken
-- here, and no lease is needed: a crash leaves everything as it was.
--
-- The plans are those for large tables, whatever the statistics say on the day that a connection
-- plans: every row is reached through an index, from a batch of known size.
CREATE FUNCTION pic_settle(
    ids bigint[], token uuid, most integer, since timestamptz, waits pic_waits, told jsonb,
    OUT provisioned integer, OUT held integer, OUT waiting integer, OUT expired integer,
    OUT full_batch boolean, OUT again boolean, OUT next_since timestamptz, OUT idle interval
) LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan
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
COMMENT ON FUNCTION pic_settle(bigint[], uuid, integer, timestamptz, pic_waits, jsonb) IS
    'settles, in the caller''s transaction, those of the given requests that the claim with this token still holds; ids null: up to `most` requests that are due since then (null: since ever) and free, oldest first. `told`: what the checks said, an array of pic_verdict. Tells how many were provisioned, are held by a domain, wait for their checks, and expired; where nothing was claimed, also whether it took as many as it was to, whether others are due by what it did (again), since when to look next (what was due before was dealt with, but for what others have), and for how long nothing else will be due (null: nothing is waiting). serialization_failure: nothing was changed, call again';

CREATE FUNCTION pic_watched(
    ids bigint[], token uuid, watch_every interval, told jsonb, OUT at_risk bigint[], OUT recovered bigint[]
) LANGUAGE plpgsql AS $$
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
COMMENT ON FUNCTION pic_watched(bigint[], uuid, interval, jsonb) IS
    'stores what was found of those requests in force that the claim with this token still holds; `told` as in pic_settle; tells which are newly at risk, and which no longer; nothing in force is changed';
