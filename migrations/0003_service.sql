-- What an administrator who returns needs: signing in, and changing what is in force.

-- Number and key together, so that a number that exists and one that does not cost the same.
CREATE INDEX service_opened_by ON service (number, key_hash);

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
CREATE INDEX session_of_service ON session (service_id);

ALTER TABLE event ADD COLUMN subject dns_name;
COMMENT ON COLUMN event.subject IS 'the SIP domain it is about, where it is about one';
ALTER TABLE event DROP CONSTRAINT event_code;
ALTER TABLE event ADD CONSTRAINT event_code CHECK (
    code IN ('submitted', 'held', 'provisioned', 'rejected', 'withdrawn', 'domain-gained', 'domain-lost', 'key-replaced'));
ALTER TABLE event ADD CONSTRAINT event_subject CHECK (
    (code IN ('domain-gained', 'domain-lost')) = (subject IS NOT NULL));

CREATE FUNCTION pic_replace_key(of_service bigint, new_hash bytea, keep bytea) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    -- Whoever signs in at this moment holds the row too: by the old key it is seen below, or refused.
    PERFORM FROM service WHERE id = of_service FOR NO KEY UPDATE;
    IF NOT EXISTS (SELECT FROM session WHERE token_hash = keep AND service_id = of_service) THEN
        RETURN false;
    END IF;
    UPDATE service SET key_hash = new_hash WHERE id = of_service;
    DELETE FROM session WHERE service_id = of_service AND token_hash <> keep;
    PERFORM pic_append_event(ARRAY(SELECT max(id) FROM request WHERE service_id = of_service),
                             pic_now(), 'administrator', 'key-replaced');
    RETURN true;
END $$;
COMMENT ON FUNCTION pic_replace_key(bigint, bytea, bytea) IS
    'replaces the management key of a service and ends every session on it but the one to keep, which asks for it; false: that one has ended, nothing was changed';
