-- What the checks find of the record by which the owner of a domain's zone names a service, where every
-- domain has to be proven: it is there (`domain-proven`), it is not (`domain-unproven`), or no server could
-- be asked for it (`domain-unproven` too, as unknown).
ALTER TABLE finding DROP CONSTRAINT finding_code;
ALTER TABLE finding ADD CONSTRAINT finding_code CHECK (code IN (
    'srv', 'srv-missing', 'srv-misspelt', 'srv-port', 'srv-target', 'srv-suffix', 'homed-online',
    'routed-to-consumer', 'dns-disagrees', 'domain-held', 'domain-unproven', 'domain-proven', 'edge-no-address',
    'edge-private-address', 'edge-unreachable', 'certificate', 'certificate-name', 'certificate-expired',
    'certificate-not-yet-valid', 'certificate-untrusted', 'certificate-expires-soon', 'certificate-cn-only',
    'certificate-wildcard', 'certificate-domain-san', 'resolver-unreachable'));
ALTER TABLE finding DROP CONSTRAINT finding_gravity;
ALTER TABLE finding ADD CONSTRAINT finding_gravity CHECK (CASE severity
    WHEN 'ok' THEN code IN ('srv', 'domain-proven', 'certificate')
    WHEN 'warning' THEN code IN ('srv-suffix', 'dns-disagrees', 'certificate-expires-soon', 'certificate-cn-only',
                                 'certificate-wildcard', 'certificate-domain-san')
    WHEN 'unknown' THEN code IN ('resolver-unreachable', 'domain-unproven')
    WHEN 'blocking' THEN code NOT IN ('srv', 'domain-proven', 'certificate', 'srv-suffix', 'dns-disagrees',
                                      'certificate-expires-soon', 'certificate-cn-only', 'certificate-wildcard',
                                      'certificate-domain-san', 'resolver-unreachable')
    ELSE true END);
