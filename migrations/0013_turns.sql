-- A turn to sweep begins when it is taken: the clock was read before, and a turn that ended meanwhile seemed
-- to overlap by a moment.
CREATE OR REPLACE FUNCTION pic_begin_sweep(by_instance uuid, why text, lease interval) RETURNS bigint LANGUAGE plpgsql AS $$
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
    UPDATE retention_run SET began_at = t.taken_at, lease_until = t.taken_at + lease
    FROM (SELECT pic_now() AS taken_at) t WHERE id = new_id;
    RETURN new_id;
END $$;
