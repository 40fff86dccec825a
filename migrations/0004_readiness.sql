-- What the readiness checks find, and when they look again at what is in force.

CREATE DOMAIN evidence AS text COLLATE "C"
    CONSTRAINT evidence_length CHECK (octet_length(value) <= 300)
    CONSTRAINT evidence_form CHECK (value ~ '^[ -?A-~]*$');
COMMENT ON DOMAIN evidence IS 'a line of what was found in DNS or in a certificate: printable ASCII without "@", so that no address of a person fits';

ALTER TABLE finding ADD COLUMN expected evidence NOT NULL DEFAULT '';
COMMENT ON COLUMN finding.expected IS 'what should be there';
ALTER TABLE finding ADD COLUMN found evidence[] NOT NULL DEFAULT '{}'
    CONSTRAINT finding_found CHECK (cardinality(found) <= 40);
COMMENT ON COLUMN finding.found IS 'what is there, a line each; of a skipped one the code that it depends on';
COMMENT ON COLUMN finding.at IS 'since when it is like this';
ALTER TABLE finding DROP CONSTRAINT finding_code;
ALTER TABLE finding ADD CONSTRAINT finding_code CHECK (code IN (
    'srv', 'srv-missing', 'srv-misspelt', 'srv-port', 'srv-target', 'srv-suffix', 'homed-online',
    'routed-to-consumer', 'dns-disagrees', 'domain-held', 'edge-no-address', 'edge-private-address',
    'edge-unreachable', 'certificate', 'certificate-name', 'certificate-expired', 'certificate-not-yet-valid',
    'certificate-untrusted', 'certificate-expires-soon', 'certificate-cn-only', 'certificate-wildcard',
    'certificate-domain-san', 'resolver-unreachable'));
ALTER TABLE finding ADD CONSTRAINT finding_gravity CHECK (CASE severity
    WHEN 'ok' THEN code IN ('srv', 'certificate')
    WHEN 'warning' THEN code IN ('srv-suffix', 'dns-disagrees', 'certificate-expires-soon', 'certificate-cn-only',
                                 'certificate-wildcard', 'certificate-domain-san')
    WHEN 'unknown' THEN code = 'resolver-unreachable'
    WHEN 'blocking' THEN code NOT IN ('srv', 'certificate', 'srv-suffix', 'dns-disagrees', 'certificate-expires-soon',
                                      'certificate-cn-only', 'certificate-wildcard', 'certificate-domain-san',
                                      'resolver-unreachable')
    ELSE true END);

ALTER TABLE work ADD COLUMN checked_at timestamptz;
COMMENT ON COLUMN work.checked_at IS 'when its checks last ran; null before the first';

CREATE TABLE watch (
    request_id bigint CONSTRAINT watch_pkey PRIMARY KEY CONSTRAINT watch_request REFERENCES request ON DELETE CASCADE,
    due_at timestamptz NOT NULL,
    checked_at timestamptz NOT NULL,
    lease_token uuid,
    lease_until timestamptz,
    CONSTRAINT watch_lease CHECK ((lease_token IS NULL) = (lease_until IS NULL))
) WITH (fillfactor = 70);
COMMENT ON TABLE watch IS 'what is in force and looked at again every day: the last provisioned request of each service; nothing in force is taken away by it';
COMMENT ON COLUMN watch.request_id IS 'the request whose routes are in force';
COMMENT ON COLUMN watch.due_at IS 'when it is to be looked at next';
COMMENT ON COLUMN watch.checked_at IS 'when its checks last ran';
COMMENT ON COLUMN watch.lease_token IS 'the claim that holds it; null when it is free';
COMMENT ON COLUMN watch.lease_until IS 'when the claim runs out';
CREATE INDEX watch_due ON watch (due_at);
