-- What keeps the rule that no contact information is retained: where rows of an older system land,
-- and the records of the sweep that removes them and all that has had its time.

-- UNLOGGED: nothing of it reaches the write-ahead log, a replica or a base backup, and a crash
-- erases it. No index, no constraint, no default of a person's making: a row that is refused would
-- be shown in an error. EXTERNAL: what is too long for a page is not compressed, so that whoever
-- looks for bytes finds them. Statistics off: ANALYZE keeps no samples of these columns. Autovacuum
-- has nothing to do where TRUNCATE is the only way out.
CREATE UNLOGGED TABLE legacy_contact (
    email text COLLATE "C",
    name text COLLATE "C",
    phone text COLLATE "C",
    source text COLLATE "C",
    arrived_at timestamptz DEFAULT pic_now()
) WITH (autovacuum_enabled = false, toast.autovacuum_enabled = false);
ALTER TABLE legacy_contact
    ALTER COLUMN email SET STORAGE EXTERNAL,
    ALTER COLUMN name SET STORAGE EXTERNAL,
    ALTER COLUMN phone SET STORAGE EXTERNAL,
    ALTER COLUMN source SET STORAGE EXTERNAL,
    ALTER COLUMN email SET STATISTICS 0,
    ALTER COLUMN name SET STATISTICS 0,
    ALTER COLUMN phone SET STATISTICS 0,
    ALTER COLUMN source SET STATISTICS 0,
    ALTER COLUMN arrived_at SET STATISTICS 0;
COMMENT ON TABLE legacy_contact IS 'where contact rows of an older system land until the next sweep; emptied by TRUNCATE alone, never read';
COMMENT ON COLUMN legacy_contact.email IS 'an e-mail address';
COMMENT ON COLUMN legacy_contact.name IS 'a name';
COMMENT ON COLUMN legacy_contact.phone IS 'a telephone number';
COMMENT ON COLUMN legacy_contact.source IS 'where it came from';
COMMENT ON COLUMN legacy_contact.arrived_at IS 'when it landed here';

-- ---------------------------------------------------------------------------------------------

-- A sweep is many short transactions. Neither a session's lock (lost behind a pooler) nor a
-- transaction's (it would have to stay open throughout) spans them, so the turn is a row: the one
-- run that has not ended. Whoever has it renews its lease with every step, in the step's own
-- transaction; when the lease has run out, the next run takes the turn over.
CREATE TABLE retention_run (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT retention_run_pkey PRIMARY KEY,
    instance uuid NOT NULL,
    cause text COLLATE "C" NOT NULL CONSTRAINT retention_run_cause CHECK (
        cause IN ('start', 'schedule', 'retry', 'hand')),
    began_at timestamptz NOT NULL,
    lease_until timestamptz,
    ended_at timestamptz CONSTRAINT retention_run_order CHECK (ended_at >= began_at),
    outcome text COLLATE "C" CONSTRAINT retention_run_outcome CHECK (
        outcome IN ('clean', 'remains', 'unfinished', 'failed', 'abandoned')),
    fault text COLLATE "C" CONSTRAINT retention_run_fault CHECK (fault IN ('locked', 'database')),
    columns_proven integer NOT NULL DEFAULT 0 CONSTRAINT retention_run_columns_proven CHECK (columns_proven >= 0),
    columns_looked integer NOT NULL DEFAULT 0 CONSTRAINT retention_run_columns_looked CHECK (columns_looked >= 0),
    rows_looked bigint NOT NULL DEFAULT 0 CONSTRAINT retention_run_rows_looked CHECK (rows_looked >= 0),
    remaining bigint CONSTRAINT retention_run_remaining CHECK (remaining >= 0),
    suspects evidence[] NOT NULL DEFAULT '{}' CONSTRAINT retention_run_suspects CHECK (cardinality(suspects) <= 100),
    CONSTRAINT retention_run_ended CHECK (
        (ended_at IS NULL) = (outcome IS NULL) AND (ended_at IS NULL) = (lease_until IS NOT NULL)),
    CONSTRAINT retention_run_failed CHECK (coalesce(outcome = 'failed', false) = (fault IS NOT NULL)),
    CONSTRAINT retention_run_clean CHECK (outcome IS DISTINCT FROM 'clean' OR coalesce(remaining = 0, false)),
    CONSTRAINT retention_run_remains CHECK (outcome IS DISTINCT FROM 'remains' OR coalesce(remaining > 0, false))
) WITH (fillfactor = 70);
COMMENT ON TABLE retention_run IS 'each sweep: when, what was looked at, how many remain; the one that has not ended is under way';
COMMENT ON COLUMN retention_run.id IS 'internal number';
COMMENT ON COLUMN retention_run.instance IS 'the process that did it: a random number of its own, not the name of a host';
COMMENT ON COLUMN retention_run.cause IS 'start: of a process; schedule: PIC_SWEEP; retry: after one that failed; hand: pic-portal sweep';
COMMENT ON COLUMN retention_run.began_at IS 'when it began';
COMMENT ON COLUMN retention_run.lease_until IS 'when the turn is free again if nothing more is heard of it; null once it has ended';
COMMENT ON COLUMN retention_run.ended_at IS 'when it ended; null while it is under way';
COMMENT ON COLUMN retention_run.outcome IS 'clean: nothing remains; remains: contact-like values were found; unfinished: it was stopped, or not all was looked at in its time; failed: see fault; abandoned: its process died';
COMMENT ON COLUMN retention_run.fault IS 'why it failed. locked: somebody reads legacy_contact, such as pg_dump; database: it was away or refused';
COMMENT ON COLUMN retention_run.columns_proven IS 'columns whose constraints let no address in, so that nobody need look';
COMMENT ON COLUMN retention_run.columns_looked IS 'columns that were looked through, every value';
COMMENT ON COLUMN retention_run.rows_looked IS 'rows that were looked through';
COMMENT ON COLUMN retention_run.remaining IS 'contact-like values found, and rows of legacy_contact that could not be removed; null: it was not looked to the end';
COMMENT ON COLUMN retention_run.suspects IS 'columns that look like contact information by name or contents, with the number of values, never a value';
-- The rule that one sweep is under way at a time.
CREATE UNIQUE INDEX retention_run_under_way ON retention_run ((true)) WHERE ended_at IS NULL;
-- The sweeps by time, for the page, and to forget old ones.
CREATE INDEX retention_run_when ON retention_run (began_at);

CREATE TABLE retention_removed (
    run_id bigint NOT NULL CONSTRAINT retention_removed_run REFERENCES retention_run ON DELETE CASCADE,
    kind text COLLATE "C" NOT NULL CONSTRAINT retention_removed_kind CHECK (
        kind IN ('contacts', 'numbers', 'sessions', 'staff-sessions', 'staff-audit', 'requests', 'services', 'runs',
                 'publications')),
    rows bigint NOT NULL CONSTRAINT retention_removed_rows CHECK (rows > 0),
    CONSTRAINT retention_removed_pkey PRIMARY KEY (run_id, kind)
);
COMMENT ON TABLE retention_removed IS 'how many rows a sweep removed, by kind; written with each step, so that it is right also of one that was killed';
COMMENT ON COLUMN retention_removed.run_id IS 'the sweep';
COMMENT ON COLUMN retention_removed.kind IS 'what was removed';
COMMENT ON COLUMN retention_removed.rows IS 'how many';

-- A turn to sweep begins when it is taken: were the clock read before, a turn that ended meanwhile would seem
-- to overlap by a moment. And whether it is needed at all is asked by whoever has it, when nobody else can end
-- one any more: asked before, a sweep that ended in between was done again.
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

CREATE FUNCTION pic_note_sweep(run bigint, lease interval, what text, removed bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE retention_run SET lease_until = pic_now() + lease WHERE id = run AND ended_at IS NULL;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF removed > 0 THEN
        INSERT INTO retention_removed AS r (run_id, kind, rows) VALUES (run, what, removed)
        ON CONFLICT (run_id, kind) DO UPDATE SET rows = r.rows + EXCLUDED.rows;
    END IF;
    RETURN true;
END $$;
COMMENT ON FUNCTION pic_note_sweep(bigint, interval, text, bigint) IS
    'renews the turn and adds to what its sweep has removed, in the transaction that removes it; false: the turn is lost, undo';

-- ---------------------------------------------------------------------------------------------
-- Requests that have had their time

-- Planned for large tables too: between two ANALYZE an empty table may have become a large one, and each of
-- the plans kept in a session would read it from end to end, for every row that is deleted.
CREATE FUNCTION pic_forget_requests(
    kept_for interval, session_idle interval, session_end interval, most integer,
    OUT requests bigint, OUT services bigint
) LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
    now_at constant timestamptz := pic_now();
    mine bigint[];
BEGIN
    -- Nobody submits to these services meanwhile; one that somebody is busy with, or signed in to, has
    -- time until the next sweep.
    SELECT coalesce(array_agg(l.id), '{}') INTO mine FROM (
        SELECT s.id FROM service s
        WHERE s.id IN (
            SELECT r.service_id FROM request r
            WHERE r.state IN ('withdrawn', 'rejected') AND r.ended_at <= now_at - kept_for
              AND NOT EXISTS (
                  SELECT FROM session e
                  WHERE e.service_id = r.service_id AND e.seen_at > now_at - session_idle AND e.began_at > now_at - session_end)
            ORDER BY r.ended_at LIMIT most)
        ORDER BY s.id FOR UPDATE SKIP LOCKED
    ) l;
    -- Routes wanted, events and findings go with them. What is in force was brought there by others.
    DELETE FROM request r
    USING unnest(mine) AS m (id), pic_requests_of(m.id) o
    WHERE r.id = o.id AND r.state IN ('withdrawn', 'rejected') AND r.ended_at <= now_at - kept_for
      AND NOT EXISTS (SELECT FROM work w WHERE w.request_id = r.id);
    GET DIAGNOSTICS requests = ROW_COUNT;
    DELETE FROM service s
    WHERE s.id = ANY (mine) AND NOT EXISTS (SELECT FROM pic_requests_of(s.id));
    GET DIAGNOSTICS services = ROW_COUNT;
END $$;
COMMENT ON FUNCTION pic_forget_requests(interval, interval, interval, integer) IS
    'deletes withdrawn and rejected requests that ended longer ago than they are kept, of so many services at most, and the services that nothing is left of; tells how many of both';
