-- What the support desk's overview tells: how the portal itself is doing.

CREATE TABLE instance (
    id uuid CONSTRAINT instance_pkey PRIMARY KEY,
    started_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL CONSTRAINT instance_seen CHECK (seen_at >= started_at),
    worked_at timestamptz NOT NULL CONSTRAINT instance_worked CHECK (worked_at <= seen_at),
    version text COLLATE "C" NOT NULL CONSTRAINT instance_version CHECK (version ~ '^[0-9A-Za-z.+-]{1,40}$')
) WITH (fillfactor = 50);
COMMENT ON TABLE instance IS 'the processes that work on this database, as they tell once a minute; gone when they stop, or an hour after they were last seen';
COMMENT ON COLUMN instance.id IS 'a random number of the process''s own, not the name of a host';
COMMENT ON COLUMN instance.started_at IS 'when its background task began';
COMMENT ON COLUMN instance.seen_at IS 'when it last told of itself';
COMMENT ON COLUMN instance.worked_at IS 'when its background task last got through a turn, as of then';
COMMENT ON COLUMN instance.version IS 'version of the portal that it runs';

CREATE FUNCTION pic_show_instance(by_instance uuid, running text, since_started interval, since_worked interval)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    now_at constant timestamptz := pic_now();
BEGIN
    DELETE FROM instance WHERE id IN (
        SELECT id FROM instance WHERE seen_at < now_at - interval '1 hour' AND id <> by_instance FOR UPDATE SKIP LOCKED);
    INSERT INTO instance AS i (id, started_at, seen_at, worked_at, version)
    VALUES (by_instance, now_at - since_started, now_at, now_at - since_worked, running)
    ON CONFLICT (id) DO UPDATE SET seen_at = greatest(i.started_at, EXCLUDED.seen_at), worked_at = EXCLUDED.worked_at;
END $$;
COMMENT ON FUNCTION pic_show_instance(uuid, text, interval, interval) IS
    'notes that a process is there, and forgets those that have not been seen for an hour';
