-- Makes the role of gateways that read the routes by SQL: run it once on the portal's database, as a superuser.
-- Then one role for each: CREATE ROLE gw1 LOGIN PASSWORD '...' IN ROLE pic_gateway, named as in "pic-portal gateway add gw1".
DO $$ BEGIN
    CREATE ROLE pic_gateway NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;
GRANT USAGE ON SCHEMA gateway TO pic_gateway;
GRANT SELECT ON gateway.route TO pic_gateway;
GRANT EXECUTE ON FUNCTION gateway.whole(), gateway.loaded(bigint) TO pic_gateway;
