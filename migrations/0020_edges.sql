-- What the checks find of an Access Edge, now that each of its addresses is looked at and every version of TLS is spoken: old TLS
-- (`tls-old`, a warning, and blocking where there is no TLS 1.2), addresses that show no certificate beside others that do, no way to
-- its addresses from here, a chain that cannot be followed here, a certificate that is for servers alone, and one that has other names first.
ALTER TABLE finding DROP CONSTRAINT finding_code;
ALTER TABLE finding ADD CONSTRAINT finding_code CHECK (code IN (
    'srv', 'srv-missing', 'srv-misspelt', 'srv-port', 'srv-target', 'srv-suffix', 'homed-online',
    'routed-to-consumer', 'dns-disagrees', 'domain-held', 'domain-unproven', 'domain-proven', 'edge-no-address',
    'edge-private-address', 'edge-unreachable', 'edge-partly-unreachable', 'edge-no-route', 'tls-old', 'certificate',
    'certificate-name', 'certificate-expired', 'certificate-not-yet-valid', 'certificate-untrusted',
    'certificate-unknown', 'certificate-expires-soon', 'certificate-cn-only', 'certificate-wildcard',
    'certificate-domain-san', 'certificate-client', 'certificate-first-name', 'resolver-unreachable'));
ALTER TABLE finding DROP CONSTRAINT finding_gravity;
ALTER TABLE finding ADD CONSTRAINT finding_gravity CHECK (CASE severity
    WHEN 'ok' THEN code IN ('srv', 'domain-proven', 'certificate')
    WHEN 'warning' THEN code IN ('srv-suffix', 'dns-disagrees', 'edge-partly-unreachable', 'tls-old',
                                 'certificate-expires-soon', 'certificate-cn-only', 'certificate-wildcard',
                                 'certificate-domain-san', 'certificate-client', 'certificate-first-name')
    WHEN 'unknown' THEN code IN ('resolver-unreachable', 'domain-unproven', 'edge-no-route', 'certificate-unknown')
    WHEN 'blocking' THEN code NOT IN ('srv', 'domain-proven', 'certificate', 'srv-suffix', 'dns-disagrees',
                                      'edge-partly-unreachable', 'edge-no-route', 'certificate-expires-soon',
                                      'certificate-cn-only', 'certificate-wildcard', 'certificate-domain-san',
                                      'certificate-unknown', 'certificate-client', 'certificate-first-name',
                                      'resolver-unreachable')
    ELSE true END);
