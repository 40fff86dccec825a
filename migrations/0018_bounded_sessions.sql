-- The live sessions of one service, and of one account of the staff, are bounded: whoever signs in
-- beyond that ends the oldest. The rows of the owner are locked first, so that of those who sign in
-- at the same moment each sees the sessions of the one before.

CREATE FUNCTION pic_open_session(
    of_number text, by_key bytea, token bytea, absolute_end interval, idle_end interval, most bigint
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    now_at constant timestamptz := pic_now();
    opened bigint;
BEGIN
    -- A key that is being replaced is waited for, and opens nothing then.
    SELECT id INTO opened FROM service WHERE number = of_number AND key_hash = by_key LIMIT 1 FOR NO KEY UPDATE;
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

CREATE FUNCTION pic_open_staff_session(
    of_staff bigint, by_password text, token bytea, absolute_end interval, idle_end interval, most bigint
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    now_at constant timestamptz := pic_now();
BEGIN
    PERFORM FROM staff WHERE id = of_staff AND password = by_password AND disabled_at IS NULL FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    DELETE FROM staff_session
    WHERE staff_id = of_staff AND (began_at <= now_at - absolute_end OR seen_at <= now_at - idle_end);
    DELETE FROM staff_session WHERE token_hash IN (
        SELECT s.token_hash FROM staff_session s WHERE s.staff_id = of_staff
        ORDER BY s.began_at DESC, s.token_hash OFFSET most - 1);
    INSERT INTO staff_session (token_hash, staff_id, began_at, seen_at) VALUES (token, of_staff, now_at, now_at);
    INSERT INTO staff_audit (staff_id, at, action) VALUES (of_staff, now_at, 'signed-in');
    RETURN true;
END $$;
COMMENT ON FUNCTION pic_open_staff_session(bigint, text, bytea, interval, interval, bigint) IS
    'opens a session for the account whose password is this hash, and says whether it is, still; ends what is over of its sessions, and the oldest beyond so many';
