-- The clock, the kinds of values that more than one table holds, and the database's secret.
--
-- The schema is written once, by theme: what requests and services are (0002), how requests are settled
-- (0003), the support desk (0004), what is kept and for how long (0005), how the portal itself is doing
-- (0006). All of it at once, as PostgreSQL has it: docs/schema.sql.

-- The time, for every lease, due time and stamp. Tests replace the offset; nothing else does.
CREATE FUNCTION pic_now() RETURNS timestamptz
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN clock_timestamp() + interval '0';
COMMENT ON FUNCTION pic_now() IS
    'the database''s clock plus an offset that is zero outside tests; declared STABLE so that an index can be searched with it';

-- In two patterns that repeat nothing a given number of times. PostgreSQL works such a count out anew for each
-- value: '([a-z0-9-]{0,61}[a-z0-9])?' for a label took ten times as long, a third of all the work of a submit.
CREATE DOMAIN dns_name AS text COLLATE "C"
    CONSTRAINT dns_name_length CHECK (octet_length(value) <= 253)
    CONSTRAINT dns_name_form CHECK (value ~ '^([a-z0-9-]+\.)+[a-z0-9-]+$')
    CONSTRAINT dns_name_labels CHECK (
        value !~ '(^|\.)-|-(\.|$)' AND (octet_length(value) < 66 OR value !~ '[^.]{64}'));
COMMENT ON DOMAIN dns_name IS
    'a name of two or more labels in lower case, A-labels for other scripts, no trailing dot';

CREATE DOMAIN digest AS bytea CONSTRAINT digest_length CHECK (octet_length(value) = 32);
COMMENT ON DOMAIN digest IS 'a SHA-256 digest, 32 bytes';

CREATE DOMAIN half_digest AS bytea CONSTRAINT half_digest_length CHECK (octet_length(value) = 16);
COMMENT ON DOMAIN half_digest IS 'the first 16 bytes of a SHA-256 digest, of what is no longer than that itself';

CREATE DOMAIN short_digest AS bytea CONSTRAINT short_digest_length CHECK (octet_length(value) = 8);
COMMENT ON DOMAIN short_digest IS 'the first 8 bytes of a SHA-256 digest, to compare what is no secret';

CREATE DOMAIN evidence AS text COLLATE "C"
    CONSTRAINT evidence_length CHECK (octet_length(value) <= 300)
    CONSTRAINT evidence_form CHECK (value ~ '^[ -?A-~]*$');
COMMENT ON DOMAIN evidence IS 'a line of what was found in DNS or in a certificate: printable ASCII without "@", so that no address of a person fits';

-- As text and not as an array, which takes 21 bytes when it is empty, and 4 a line.
CREATE DOMAIN evidence_lines AS text COLLATE "C"
    CONSTRAINT evidence_lines_form CHECK (value ~ E'^[\n -?A-~]*$')
    CONSTRAINT evidence_lines_length CHECK (octet_length(value) <= 300 OR value !~ E'([^\n]{100}){3}[^\n]')
    CONSTRAINT evidence_lines_count CHECK (octet_length(value) - octet_length(replace(value, E'\n', '')) < 40);
COMMENT ON DOMAIN evidence_lines IS 'up to 40 lines of evidence, with line feeds between them; empty: none';

CREATE TABLE secret (
    only_one boolean CONSTRAINT secret_pkey PRIMARY KEY DEFAULT true
        CONSTRAINT secret_only_one CHECK (only_one),
    value bytea NOT NULL CONSTRAINT secret_length CHECK (octet_length(value) = 32)
);
COMMENT ON TABLE secret IS 'this database''s secret, made once: management keys are derived from it';
COMMENT ON COLUMN secret.only_one IS 'always true: there is one row';
COMMENT ON COLUMN secret.value IS '32 random bytes, key of the HMAC that makes a management key out of a submission id';
INSERT INTO secret (value) VALUES (sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())));
