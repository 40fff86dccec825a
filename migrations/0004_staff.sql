-- The support desk: accounts, sessions, what was done, what agents do to requests.

CREATE TABLE staff (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT staff_pkey PRIMARY KEY,
    name text COLLATE "C" NOT NULL CONSTRAINT staff_name UNIQUE
        CONSTRAINT staff_name_form CHECK (name ~ '^[a-z0-9][a-z0-9._-]{1,31}$'),
    role text COLLATE "C" NOT NULL CONSTRAINT staff_role CHECK (role IN ('reader', 'agent')),
    password text COLLATE "C" CONSTRAINT staff_password CHECK (
        password ~ '^\$argon2id\$v=19\$m=[0-9]{1,8},t=[0-9]{1,3},p=[0-9]{1,3}\$[A-Za-z0-9+/]{11,64}\$[A-Za-z0-9+/]{43}$'),
    subject digest CONSTRAINT staff_subject UNIQUE,
    created_at timestamptz NOT NULL,
    password_at timestamptz CONSTRAINT staff_password_at CHECK (password_at >= created_at),
    disabled_at timestamptz CONSTRAINT staff_disabled_at CHECK (disabled_at >= created_at),
    CONSTRAINT staff_password_or_subject CHECK ((password IS NULL) <> (subject IS NULL)),
    CONSTRAINT staff_password_when CHECK ((password IS NULL) = (password_at IS NULL))
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

ALTER TABLE event ADD CONSTRAINT event_staff FOREIGN KEY (staff_id) REFERENCES staff;

CREATE TABLE staff_session (
    token_hash digest CONSTRAINT staff_session_pkey PRIMARY KEY,
    staff_id bigint NOT NULL CONSTRAINT staff_session_staff REFERENCES staff ON DELETE CASCADE,
    began_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL CONSTRAINT staff_session_seen CHECK (seen_at >= began_at),
    confirmed_until timestamptz NOT NULL DEFAULT 'infinity'
        CONSTRAINT staff_session_confirmed CHECK (confirmed_until > began_at),
    provider_session digest,
    proved_at timestamptz
) WITH (fillfactor = 70);
COMMENT ON TABLE staff_session IS 'browsers in which somebody is signed in to the support desk';
COMMENT ON COLUMN staff_session.token_hash IS 'SHA-256 of the token in the cookie';
COMMENT ON COLUMN staff_session.staff_id IS 'the account';
COMMENT ON COLUMN staff_session.began_at IS 'when it began; the absolute end counts from here';
COMMENT ON COLUMN staff_session.seen_at IS 'when it was last used, to the minute; the idle end counts from here';
COMMENT ON COLUMN staff_session.confirmed_until IS 'when the OpenID provider has to confirm it again; infinity: it was opened by password';
COMMENT ON COLUMN staff_session.provider_session IS 'HMAC-SHA-256 of issuer and session at the OpenID provider, which ends it; null: unknown';
COMMENT ON COLUMN staff_session.proved_at IS 'when the person last proved to the OpenID provider who they are, as strictly as is asked for; null: unknown';
-- The sessions of one account: when one is opened beyond the bound, and when all are ended.
CREATE INDEX staff_session_of_staff ON staff_session (staff_id);

CREATE TABLE staff_set_up (
    only_one boolean CONSTRAINT staff_set_up_pkey PRIMARY KEY DEFAULT true
        CONSTRAINT staff_set_up_only_one CHECK (only_one),
    token_hash digest NOT NULL,
    until timestamptz NOT NULL
);
COMMENT ON TABLE staff_set_up IS 'the link by which the first account is made; there is one at most, and none once there is an account';
COMMENT ON COLUMN staff_set_up.only_one IS 'always true: there is one row';
COMMENT ON COLUMN staff_set_up.token_hash IS 'SHA-256 of the token in the link';
COMMENT ON COLUMN staff_set_up.until IS 'when the link dies';

-- What staff note of a request is one of these and no free text, so that no contact information is noted.
CREATE DOMAIN staff_mark_name AS text COLLATE "C" CONSTRAINT staff_mark_name_listed CHECK (
    value IN ('taken', 'called', 'waits-for-licensing', 'escalated', 'test'));
COMMENT ON DOMAIN staff_mark_name IS 'what staff may note of a request: somebody deals with it, its administrator has called, it waits for licensing, it was escalated, it is a test';

CREATE TABLE staff_mark (
    request_id bigint NOT NULL CONSTRAINT staff_mark_request REFERENCES request ON DELETE CASCADE,
    mark staff_mark_name NOT NULL,
    staff_id bigint NOT NULL CONSTRAINT staff_mark_staff REFERENCES staff,
    at timestamptz NOT NULL,
    CONSTRAINT staff_mark_pkey PRIMARY KEY (request_id, mark)
);
COMMENT ON TABLE staff_mark IS 'what staff have noted of requests; it goes with the request, and each change is in the audit';
COMMENT ON COLUMN staff_mark.request_id IS 'the request';
COMMENT ON COLUMN staff_mark.mark IS 'what is noted; taken: by the account that deals with the request';
COMMENT ON COLUMN staff_mark.staff_id IS 'the account that noted it last';
COMMENT ON COLUMN staff_mark.at IS 'when it did';
-- The desk's list of the requests with one mark, and of those that an account has taken.
CREATE INDEX staff_mark_of ON staff_mark (mark, request_id);
CREATE INDEX staff_mark_mine ON staff_mark (staff_id, request_id) WHERE mark = 'taken';

CREATE TABLE staff_audit (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT staff_audit_pkey PRIMARY KEY,
    staff_id bigint NOT NULL CONSTRAINT staff_audit_staff REFERENCES staff,
    at timestamptz NOT NULL,
    action text COLLATE "C" NOT NULL CONSTRAINT staff_audit_action CHECK (action IN (
        'signed-in', 'signed-out-everywhere', 'password-changed', 'looked', 'exported',
        'checked-again', 'refused', 'withdrew', 'cancelled', 'marked', 'unmarked')),
    request_id bigint,
    service_id bigint,
    reason text COLLATE "C" CONSTRAINT staff_audit_reason CHECK (reason IN (
        'not-eligible', 'duplicate', 'wrong-information', 'policy', 'owner-asked')),
    mark staff_mark_name,
    CONSTRAINT staff_audit_about CHECK (CASE
        WHEN action IN ('checked-again', 'refused', 'withdrew', 'marked', 'unmarked') THEN request_id IS NOT NULL AND service_id IS NULL
        WHEN action = 'cancelled' THEN request_id IS NOT NULL AND service_id IS NOT NULL
        WHEN action = 'looked' THEN (request_id IS NULL) <> (service_id IS NULL)
        ELSE request_id IS NULL AND service_id IS NULL END),
    CONSTRAINT staff_audit_why CHECK ((action IN ('refused', 'cancelled')) = (reason IS NOT NULL)),
    CONSTRAINT staff_audit_marks CHECK ((action IN ('marked', 'unmarked')) = (mark IS NOT NULL)),
    CONSTRAINT staff_audit_refusal CHECK (action <> 'refused' OR reason <> 'owner-asked')
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
-- The audit by time, for the desk and the sweep.
CREATE INDEX staff_audit_when ON staff_audit (at);
-- What one account did.
CREATE INDEX staff_audit_of_staff ON staff_audit (staff_id);

CREATE TRIGGER staff_audit_append_only BEFORE UPDATE ON staff_audit
    EXECUTE FUNCTION pic_refuse('the audit is append-only');

-- ---------------------------------------------------------------------------------------------
-- Accounts and sessions

CREATE FUNCTION pic_first_staff(link bytea, named text, hashed text) RETURNS bigint LANGUAGE plpgsql AS $$
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
COMMENT ON FUNCTION pic_first_staff(bytea, text, text) IS
    'makes the first account, an agent, by the set-up link with this hash; null: the link is dead';

CREATE FUNCTION pic_set_up_open(link bytea) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM staff_set_up WHERE token_hash = link AND until > pic_now())
       AND NOT EXISTS (SELECT FROM staff)
$$;
COMMENT ON FUNCTION pic_set_up_open(bytea) IS 'whether the set-up link with this hash is alive: not over its time, and no account is there';

-- The live sessions of one account are bounded, as those of a service are.
CREATE FUNCTION pic_add_staff_session(
    of_staff bigint, token bytea, absolute_end interval, idle_end interval, most bigint,
    confirmed timestamptz, at_provider bytea, proved timestamptz
) RETURNS void LANGUAGE plpgsql AS $$
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
COMMENT ON FUNCTION pic_add_staff_session(bigint, bytea, interval, interval, bigint, timestamptz, bytea, timestamptz) IS
    'adds a session to an account whose row the caller has locked; ends what is over of its sessions, and the oldest beyond so many';

CREATE FUNCTION pic_open_staff_session(
    of_staff bigint, by_password text, token bytea, absolute_end interval, idle_end interval, most bigint
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM staff WHERE id = of_staff AND password = by_password AND disabled_at IS NULL FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM pic_add_staff_session(of_staff, token, absolute_end, idle_end, most, 'infinity', NULL, NULL);
    RETURN true;
END $$;
COMMENT ON FUNCTION pic_open_staff_session(bigint, text, bytea, interval, interval, bigint) IS
    'opens a session for the account whose password is this hash, and says whether it is, still';

-- ---------------------------------------------------------------------------------------------
-- Accounts and sessions of the OpenID provider

CREATE FUNCTION pic_provider_staff(of_subject bytea, as_role text, names text[]) RETURNS bigint LANGUAGE plpgsql AS $$
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
COMMENT ON FUNCTION pic_provider_staff(bytea, text, text[]) IS
    'the account of this subject with this role, made if there is none, by the first of these names that is free, and locked; null: it is disabled';

CREATE FUNCTION pic_open_provider_session(
    of_subject bytea, as_role text, names text[], token bytea, absolute_end interval, idle_end interval, most bigint,
    confirmed_for interval, at_provider bytea, proved_ago interval
) RETURNS boolean LANGUAGE plpgsql AS $$
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
COMMENT ON FUNCTION pic_open_provider_session(bytea, text, text[], bytea, interval, interval, bigint, interval, bytea, interval) IS
    'opens a session for the account of this subject, and says whether it may sign in';

CREATE FUNCTION pic_confirm_provider_session(
    of_subject bytea, as_role text, token bytea, absolute_end interval, idle_end interval, confirmed_for interval,
    at_provider bytea, proved_ago interval
) RETURNS boolean LANGUAGE plpgsql AS $$
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
COMMENT ON FUNCTION pic_confirm_provider_session(bytea, text, bytea, interval, interval, interval, bytea, interval) IS
    'lets a session of this subject go on, and says whether it does';

-- ---------------------------------------------------------------------------------------------
-- What agents do to requests

CREATE FUNCTION pic_staff_may(by_staff bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    -- Whoever is being disabled at this moment is waited for.
    PERFORM FROM staff WHERE id = by_staff AND role = 'agent' AND disabled_at IS NULL FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no agent' USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'staff_may';
    END IF;
END $$;
COMMENT ON FUNCTION pic_staff_may(bigint) IS 'refuses what is no agent''s to do, also at the last moment';

CREATE FUNCTION pic_staff_check(named text, by_staff bigint) RETURNS boolean LANGUAGE plpgsql AS $$
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
COMMENT ON FUNCTION pic_staff_check(text, bigint) IS
    'has a request looked at again at once, pending or in force; false: it is neither';

CREATE FUNCTION pic_mark(named text, by_staff bigint, noted text, is_set boolean) RETURNS boolean LANGUAGE plpgsql AS $$
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
COMMENT ON FUNCTION pic_mark(text, bigint, text, boolean) IS
    'sets or removes a mark of a request, with an entry in the audit if that changes anything; false: there is no such request';

-- ---------------------------------------------------------------------------------------------
-- Finding a request among millions

-- The internal numbers follow the order of submission but for what was stored in the same moment,
-- so no index over times is needed, which every submit would have to pay for.
CREATE FUNCTION pic_last_request_before(moment timestamptz) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
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
COMMENT ON FUNCTION pic_last_request_before(timestamptz) IS
    'a request number beyond which all were submitted after this moment; below it a few may have been too';
