-- What the portal keeps, and the rules it keeps it by: services, requests, routes, timeline.
--
-- There is no column for a name, an e-mail address, a telephone number or free text, and there
-- must never be one.

-- The time, for every lease, due time and stamp. Tests replace the offset; nothing else does.
CREATE FUNCTION pic_now() RETURNS timestamptz
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN clock_timestamp() + interval '0';
COMMENT ON FUNCTION pic_now() IS
    'the database''s clock plus an offset that is zero outside tests; declared STABLE so that an index can be searched with it';

CREATE DOMAIN dns_name AS text COLLATE "C"
    CONSTRAINT dns_name_length CHECK (octet_length(value) <= 253)
    CONSTRAINT dns_name_form CHECK (
        value ~ '^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$');
COMMENT ON DOMAIN dns_name IS
    'a name of two or more labels in lower case, A-labels for other scripts, no trailing dot';

CREATE DOMAIN digest AS bytea CONSTRAINT digest_length CHECK (octet_length(value) = 32);
COMMENT ON DOMAIN digest IS 'a SHA-256 digest, 32 bytes';

-- ---------------------------------------------------------------------------------------------

CREATE TABLE secret (
    only_one boolean CONSTRAINT secret_pkey PRIMARY KEY DEFAULT true
        CONSTRAINT secret_only_one CHECK (only_one),
    value bytea NOT NULL CONSTRAINT secret_length CHECK (octet_length(value) = 32)
);
COMMENT ON TABLE secret IS 'this database''s secret, made once: management keys are derived from it';
COMMENT ON COLUMN secret.only_one IS 'always true: there is one row';
COMMENT ON COLUMN secret.value IS '32 random bytes, key of the HMAC that makes a management key out of a submission id';
INSERT INTO secret (value) VALUES (sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())));

CREATE TABLE service (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT service_pkey PRIMARY KEY,
    created_at timestamptz NOT NULL,
    programme text COLLATE "C" NOT NULL CONSTRAINT service_programme CHECK (
        programme IN ('volume_licensing', 'partner_network', 'service_provider', 'high_volume')),
    number text COLLATE "C" NOT NULL CONSTRAINT service_number CHECK (number ~ '^[A-Z0-9]{1,32}$'),
    token text COLLATE "C" NOT NULL CONSTRAINT service_token CHECK (token ~ '^[0-9A-HJKMNP-TV-Z]{16}$'),
    key_hash digest NOT NULL
);
COMMENT ON TABLE service IS 'what an agreement holds; several services may bear one agreement number, each is opened by its own key';
COMMENT ON COLUMN service.id IS 'internal number';
COMMENT ON COLUMN service.created_at IS 'when its first request was submitted';
COMMENT ON COLUMN service.programme IS 'licensing programme';
COMMENT ON COLUMN service.number IS 'normalised agreement number: identifies, never authorises';
COMMENT ON COLUMN service.token IS 'public token that a TXT record names to give a domain to this service, 80 random bits in Crockford base32';
COMMENT ON COLUMN service.key_hash IS 'SHA-256 of the management key';

CREATE TABLE request (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT request_pkey PRIMARY KEY,
    service_id bigint NOT NULL CONSTRAINT request_service REFERENCES service,
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
    submission_hash digest NOT NULL CONSTRAINT request_submission UNIQUE,
    content_hash digest NOT NULL,
    CONSTRAINT request_cancel_deploys_nothing CHECK ((kind = 'cancel') = (deployment IS NULL)),
    CONSTRAINT request_ended CHECK ((state = 'pending') = (ended_at IS NULL)),
    CONSTRAINT request_rejected CHECK ((state = 'rejected') = (reason IS NOT NULL))
);
COMMENT ON TABLE request IS 'what an administrator asked of a service; carries the whole wanted set of routes';
COMMENT ON COLUMN request.id IS 'internal number, in order of submission';
COMMENT ON COLUMN request.service_id IS 'the service it is about';
COMMENT ON COLUMN request.submitted_at IS 'when it was stored; promise and limit count from here';
COMMENT ON COLUMN request.ended_at IS 'when it left pending; null while it is pending';
COMMENT ON COLUMN request.reference IS 'public, unguessable name: whoever holds it may see the request';
COMMENT ON COLUMN request.kind IS 'initiate, update or cancel';
COMMENT ON COLUMN request.deployment IS 'on_premises, or split: users of a domain both on-premises and online; null for a cancel';
COMMENT ON COLUMN request.state IS 'pending, and then provisioned, rejected or withdrawn for good';
COMMENT ON COLUMN request.reason IS 'why it was rejected; null otherwise';
COMMENT ON COLUMN request.submission_hash IS 'SHA-256 of the form''s submission id: the same submission is stored once';
COMMENT ON COLUMN request.content_hash IS 'SHA-256 of what was submitted, to tell a retry from another request under the same submission id';
CREATE UNIQUE INDEX request_one_pending ON request (service_id) WHERE state = 'pending';
CREATE INDEX request_of_service ON request (service_id, id);

CREATE TABLE request_edge (
    request_id bigint NOT NULL CONSTRAINT request_edge_request REFERENCES request ON DELETE CASCADE,
    ordinal smallint NOT NULL CONSTRAINT request_edge_ten_at_most CHECK (ordinal BETWEEN 1 AND 10),
    access_edge dns_name NOT NULL,
    CONSTRAINT request_edge_pkey PRIMARY KEY (request_id, ordinal),
    CONSTRAINT request_edge_once UNIQUE (request_id, access_edge)
);
COMMENT ON TABLE request_edge IS 'the Access Edge FQDNs of a request, ten at most';
COMMENT ON COLUMN request_edge.request_id IS 'the request';
COMMENT ON COLUMN request_edge.ordinal IS 'place in the request, from 1';
COMMENT ON COLUMN request_edge.access_edge IS 'Access Edge FQDN';

CREATE TABLE request_route (
    request_id bigint NOT NULL,
    edge smallint NOT NULL,
    sip_domain dns_name NOT NULL,
    CONSTRAINT request_route_pkey PRIMARY KEY (request_id, sip_domain),
    CONSTRAINT request_route_edge FOREIGN KEY (request_id, edge) REFERENCES request_edge ON DELETE CASCADE
);
COMMENT ON TABLE request_route IS 'the routes a request wants: a SIP domain once, at one Access Edge';
COMMENT ON COLUMN request_route.request_id IS 'the request';
COMMENT ON COLUMN request_route.edge IS 'ordinal of the Access Edge within the request';
COMMENT ON COLUMN request_route.sip_domain IS 'SIP domain';

CREATE TABLE route (
    sip_domain dns_name CONSTRAINT route_pkey PRIMARY KEY,
    access_edge dns_name NOT NULL CONSTRAINT route_not_to_itself CHECK (access_edge <> sip_domain),
    service_id bigint NOT NULL CONSTRAINT route_service REFERENCES service,
    request_id bigint NOT NULL CONSTRAINT route_request REFERENCES request,
    since timestamptz NOT NULL
);
COMMENT ON TABLE route IS 'the routes in force: a SIP domain is in force once';
COMMENT ON COLUMN route.sip_domain IS 'SIP domain';
COMMENT ON COLUMN route.access_edge IS 'Access Edge FQDN that serves it';
COMMENT ON COLUMN route.service_id IS 'the service that holds the domain';
COMMENT ON COLUMN route.request_id IS 'the request that brought this route into force';
COMMENT ON COLUMN route.since IS 'when this route came into force';
CREATE INDEX route_of_service ON route (service_id);

CREATE TABLE event (
    request_id bigint NOT NULL CONSTRAINT event_request REFERENCES request ON DELETE CASCADE,
    seq smallint NOT NULL CONSTRAINT event_seq CHECK (seq > 0),
    at timestamptz NOT NULL,
    actor text COLLATE "C" NOT NULL CONSTRAINT event_actor CHECK (actor IN ('administrator', 'staff', 'portal')),
    code text COLLATE "C" NOT NULL CONSTRAINT event_code CHECK (
        code IN ('submitted', 'held', 'provisioned', 'rejected', 'withdrawn')),
    CONSTRAINT event_pkey PRIMARY KEY (request_id, seq)
);
COMMENT ON TABLE event IS 'the timeline of a request; append-only';
COMMENT ON COLUMN event.request_id IS 'the request';
COMMENT ON COLUMN event.seq IS 'place in the request''s timeline, from 1';
COMMENT ON COLUMN event.at IS 'when it happened';
COMMENT ON COLUMN event.actor IS 'administrator, staff or portal; never a name';
COMMENT ON COLUMN event.code IS 'what happened';

CREATE TABLE finding (
    request_id bigint NOT NULL CONSTRAINT finding_request REFERENCES request ON DELETE CASCADE,
    code text COLLATE "C" NOT NULL CONSTRAINT finding_code CHECK (code IN ('domain-held')),
    subject dns_name NOT NULL,
    severity text COLLATE "C" NOT NULL CONSTRAINT finding_severity CHECK (
        severity IN ('ok', 'warning', 'blocking', 'unknown', 'skipped')),
    at timestamptz NOT NULL,
    CONSTRAINT finding_pkey PRIMARY KEY (request_id, code, subject)
);
COMMENT ON TABLE finding IS 'the results of the last check of a request';
COMMENT ON COLUMN finding.request_id IS 'the request';
COMMENT ON COLUMN finding.code IS 'what was found';
COMMENT ON COLUMN finding.subject IS 'the SIP domain or Access Edge FQDN it is about';
COMMENT ON COLUMN finding.severity IS 'whether it holds the request back';
COMMENT ON COLUMN finding.at IS 'when it was looked at';
CREATE INDEX finding_held ON finding (subject) WHERE code = 'domain-held';

CREATE TABLE work (
    request_id bigint CONSTRAINT work_pkey PRIMARY KEY CONSTRAINT work_request REFERENCES request ON DELETE CASCADE,
    due_at timestamptz NOT NULL,
    attempts smallint NOT NULL DEFAULT 0 CONSTRAINT work_attempts CHECK (attempts >= 0),
    lease_token uuid,
    lease_until timestamptz,
    CONSTRAINT work_lease CHECK ((lease_token IS NULL) = (lease_until IS NULL))
) WITH (fillfactor = 70);
COMMENT ON TABLE work IS 'what the background task has to do: one row for each pending request; leases stand in no index, so that taking one is a HOT update';
COMMENT ON COLUMN work.request_id IS 'the pending request';
COMMENT ON COLUMN work.due_at IS 'when it is to be looked at next';
COMMENT ON COLUMN work.attempts IS 'how often it was looked at in vain; sets the back-off';
COMMENT ON COLUMN work.lease_token IS 'the claim that holds it; null when it is free';
COMMENT ON COLUMN work.lease_until IS 'when the claim runs out';
CREATE INDEX work_due ON work (due_at);

-- ---------------------------------------------------------------------------------------------
-- Rules that span rows

CREATE FUNCTION event_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the timeline is append-only' USING ERRCODE = 'integrity_constraint_violation';
END $$;
COMMENT ON FUNCTION event_is_append_only() IS 'refuses to change an event';
CREATE TRIGGER event_append_only BEFORE UPDATE ON event
    FOR EACH STATEMENT EXECUTE FUNCTION event_is_append_only();

CREATE FUNCTION request_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'an ended request does not change' USING ERRCODE = 'integrity_constraint_violation';
END $$;
COMMENT ON FUNCTION request_is_final() IS 'refuses to move a request out of a final state';
CREATE TRIGGER request_final BEFORE UPDATE ON request
    FOR EACH ROW WHEN (OLD.state <> 'pending') EXECUTE FUNCTION request_is_final();

-- A request and its edges and routes are stored by one statement; at its end this looks at the whole.
CREATE FUNCTION request_is_whole() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM added r
        LEFT JOIN LATERAL (SELECT count(*) AS n FROM request_edge WHERE request_id = r.id) e ON true
        LEFT JOIN LATERAL (SELECT count(*) AS n, count(DISTINCT edge) AS edges FROM request_route WHERE request_id = r.id) d ON true
        WHERE CASE r.kind WHEN 'cancel' THEN e.n + d.n > 0
              ELSE e.n = 0 OR d.edges <> e.n OR d.n > 1000 END
    ) THEN
        RAISE EXCEPTION 'a request wants 1 to 10 edges with 1 to 1000 domains in all, each edge at least one; a cancel wants none'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'request_whole';
    END IF;
    IF EXISTS (
        SELECT FROM added r JOIN request_edge e ON e.request_id = r.id
        JOIN request_route d ON d.request_id = r.id AND d.sip_domain = e.access_edge
    ) THEN
        RAISE EXCEPTION 'a SIP domain is never an Access Edge of its own request'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'request_domain_is_no_host';
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION request_is_whole() IS 'facts.md, Edges and domains: what a request must carry, looked at when the statement that stores it ends';
CREATE TRIGGER request_whole AFTER INSERT ON request REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION request_is_whole();
