-- Strikes at the n-th time that a table is written to: before and after each statement, also before
-- and after each row where it is to be `fine`, and at the commit. The count is a sequence's, so that
-- it goes on where all else is undone.
CREATE SCHEMA fault;
CREATE TABLE fault.armed (at bigint NOT NULL, code text NOT NULL, fine boolean NOT NULL);
CREATE SEQUENCE fault.firings;
CREATE FUNCTION fault.strike() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    what fault.armed;
    counts boolean := true;
BEGIN
    SELECT * INTO what FROM fault.armed;
    IF TG_NAME = 'at_commit' THEN
        -- Once a transaction.
        counts := coalesce(current_setting('fault.committing', true), '') = '';
        PERFORM set_config('fault.committing', 'yes', true);
    ELSIF TG_LEVEL = 'ROW' THEN
        counts := what.fine;
    END IF;
    IF what.at IS NOT NULL AND counts AND nextval('fault.firings') = what.at THEN
        IF what.code = '57P01' THEN
            PERFORM pg_terminate_backend(pg_backend_pid());
            PERFORM pg_sleep(60); -- It does not get that far.
        END IF;
        RAISE EXCEPTION 'fault' USING ERRCODE = what.code;
    END IF;
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    RETURN NEW;
END $$;
DO $$
DECLARE
    tab regclass;
BEGIN
    FOR tab IN SELECT oid::regclass FROM pg_class
               WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> '_sqlx_migrations'
    LOOP
        -- By their names the first and the last of each kind.
        EXECUTE format('CREATE TRIGGER "0" BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION fault.strike()', tab);
        EXECUTE format('CREATE TRIGGER "1" BEFORE INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION fault.strike()', tab);
        EXECUTE format('CREATE TRIGGER zzz8 AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION fault.strike()', tab);
        EXECUTE format('CREATE TRIGGER zzz9 AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION fault.strike()', tab);
        EXECUTE format('CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT OR UPDATE OR DELETE ON %s DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fault.strike()', tab);
    END LOOP;
END $$
