-- A turn to sweep begins when it is taken: the clock was read before, and a turn that ended meanwhile seemed
-- to overlap by a moment. And whether it is needed at all is asked by whoever has it, when nobody else can end
-- one any more: asked before, a sweep that ended in between was done again. The version before calls it with
-- three arguments.
DROP FUNCTION pic_begin_sweep(uuid, text, interval);
CREATE FUNCTION pic_begin_sweep(by_instance uuid, why text, lease interval, unless_clean_within interval DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql AS $$
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
COMMENT ON FUNCTION pic_begin_sweep(uuid, text, interval, interval) IS
    'takes the turn to sweep and tells its number; null: somebody else has it, or one that began within that time has ended clean';
