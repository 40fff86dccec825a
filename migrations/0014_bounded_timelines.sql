-- Timelines and evidence that do not grow without a bound, whatever is done to them from outside.

-- ---------------------------------------------------------------------------------------------
-- Timelines

-- A smallint was used up by 32,767 events, and a timeline that takes no more events made a request
-- that nothing could end. Rewrites the table.
ALTER TABLE event
    ALTER COLUMN seq TYPE integer,
    ADD COLUMN times integer NOT NULL DEFAULT 1 CONSTRAINT event_times CHECK (times > 0),
    ADD COLUMN last_at timestamptz,
    ADD CONSTRAINT event_again CHECK ((times > 1) = (last_at IS NOT NULL)),
    ADD CONSTRAINT event_in_order CHECK (last_at >= at);
COMMENT ON TABLE event IS 'the timeline of a request; append-only, but for counting what happens again';
COMMENT ON COLUMN event.seq IS 'place in the request''s timeline, from 1, in order of when it happened last; the largest is how often anything has happened, the sum of `times`';
COMMENT ON COLUMN event.at IS 'when it happened, the first time where it happened several times';
COMMENT ON COLUMN event.times IS 'how often it happened within a day';
COMMENT ON COLUMN event.last_at IS 'when it happened last; null where it happened once';

-- Which domains a request has lost is asked by its page, whatever else its timeline holds.
CREATE INDEX event_lost ON event (request_id, subject) WHERE code = 'domain-lost';

CREATE OR REPLACE FUNCTION event_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.seq > OLD.seq AND NEW.times = OLD.times + 1 AND NEW.last_at >= coalesce(OLD.last_at, OLD.at)
       AND ROW(NEW.request_id, NEW.at, NEW.actor, NEW.code, NEW.subject, NEW.staff_id)
           IS NOT DISTINCT FROM ROW(OLD.request_id, OLD.at, OLD.actor, OLD.code, OLD.subject, OLD.staff_id) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the timeline is append-only' USING ERRCODE = 'integrity_constraint_violation';
END $$;
COMMENT ON FUNCTION event_is_append_only() IS
    'refuses to change an event, but for one change: it happened once more, and moves to the end of its timeline';
DROP TRIGGER event_append_only ON event;
CREATE TRIGGER event_append_only BEFORE UPDATE ON event
    FOR EACH ROW EXECUTE FUNCTION event_is_append_only();

-- What may happen again and again (a zone that comes and goes, a key that is replaced every second)
-- is counted in the entry that is there, if that began within a day, and moves it to the end. So a
-- timeline grows by a few rows a day at most, the entry that stands last is what happened last, and
-- two that take turns, at risk and recovered, are two rows. The other events happen to a request once.
--
-- The last 100 entries are looked through: so many are shown.
CREATE FUNCTION pic_tell(
    ids bigint[], happened_at timestamptz, by_actor text, what text, about text, by_staff bigint
) RETURNS void LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
    counted bigint[] := '{}';
BEGIN
    -- Two that append to one timeline go one after the other.
    PERFORM FROM request WHERE id = ANY (ids) ORDER BY id FOR NO KEY UPDATE;
    IF what NOT IN ('submitted', 'provisioned', 'rejected', 'withdrawn') THEN
        WITH before AS MATERIALIZED (
            SELECT i.id, l.seq, (SELECT max(e.seq) FROM event e WHERE e.request_id = i.id) AS last
            FROM unnest(ids) AS i (id)
            CROSS JOIN LATERAL (
                SELECT n.seq
                FROM (SELECT e.* FROM event e WHERE e.request_id = i.id ORDER BY e.seq DESC LIMIT 100) n
                WHERE n.code = what AND n.actor = by_actor AND n.at > happened_at - interval '24 hours'
                  AND n.subject IS NOT DISTINCT FROM about AND n.staff_id IS NOT DISTINCT FROM by_staff
                ORDER BY n.seq DESC LIMIT 1
            ) l
        ),
        moved AS (
            UPDATE event e SET seq = b.last + 1, times = e.times + 1, last_at = greatest(happened_at, e.at, e.last_at)
            FROM before b WHERE e.request_id = b.id AND e.seq = b.seq
            RETURNING e.request_id
        )
        SELECT coalesce(array_agg(request_id), '{}') INTO counted FROM moved;
    END IF;
    INSERT INTO event (request_id, seq, at, actor, code, subject, staff_id)
    SELECT i, 1 + coalesce((SELECT max(e.seq) FROM event e WHERE e.request_id = i), 0),
           happened_at, by_actor, what, about, by_staff
    FROM unnest(ids) AS i WHERE i <> ALL (counted) ORDER BY i;
END $$;
COMMENT ON FUNCTION pic_tell(bigint[], timestamptz, text, text, text, bigint) IS
    'appends one event to the timeline of each request, or counts it in the entry that tells the same';

CREATE OR REPLACE FUNCTION pic_append_event(
    ids bigint[], happened_at timestamptz, by_actor text, what text, about text DEFAULT NULL
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF cardinality(ids) = 0 THEN
        RETURN;
    END IF;
    IF what <> 'domain-lost' THEN
        PERFORM pic_tell(ids, happened_at, by_actor, what, about, NULL);
        RETURN;
    END IF;
    -- A domain moves because its zone's owner has spoken. Nothing that the timeline of who loses it holds,
    -- which is in that one's hands, stops the move: then the entry is missing.
    BEGIN
        PERFORM pic_tell(ids, happened_at, by_actor, what, about, NULL);
    EXCEPTION WHEN data_exception OR integrity_constraint_violation OR raise_exception THEN
        NULL;
    END;
END $$;

CREATE OR REPLACE FUNCTION pic_append_staff_event(to_request bigint, happened_at timestamptz, what text, by_staff bigint)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pic_tell(ARRAY[to_request], happened_at, 'staff', what, NULL, by_staff);
END $$;

-- ---------------------------------------------------------------------------------------------
-- Evidence

-- What was stored before evidence was bounded: 8 lines of a finding and how many more there were, and
-- 64 KiB for a request, what is gravest first.
WITH line AS (
    SELECT request_id, code, subject, severity,
           CASE WHEN cardinality(found) > 9
                THEN found[1:8] || ('and ' || cardinality(found) - 8 || ' more')::evidence ELSE found END AS found
    FROM finding
),
sum AS (
    SELECT *, sum(octet_length(array_to_string(found, ''))) OVER (
               PARTITION BY request_id
               ORDER BY array_position(ARRAY['blocking', 'unknown', 'warning', 'skipped', 'ok'], severity::text), subject, code
           ) AS bytes
    FROM line
)
UPDATE finding f SET found = CASE WHEN s.bytes <= 65536 THEN s.found ELSE ARRAY['not kept: too much']::evidence[] END
FROM sum s
WHERE s.request_id = f.request_id AND s.code = f.code AND s.subject = f.subject
  AND (cardinality(f.found) > 9 OR s.bytes > 65536 AND f.severity <> 'skipped'
       AND octet_length(array_to_string(f.found, '')) > 18);
COMMENT ON COLUMN finding.found IS 'what is there, a line each, 8 at most and one that says how many more; 64 KiB for a request in all; of a skipped one the code that it depends on';
