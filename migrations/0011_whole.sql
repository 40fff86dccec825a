-- Each submit is looked at as a whole when its statement ends. The planner does not know how few rows that
-- are, and a session that planned after an ANALYZE at the wrong moment joined both tables from end to end,
-- with temporary files, for every submit: eight times slower, and worse as the tables grow. Every row of
-- interest is reached through an index.
ALTER FUNCTION request_is_whole() SET enable_seqscan = off;
ALTER FUNCTION request_is_whole() SET enable_bitmapscan = off;
ALTER FUNCTION request_is_whole() SET enable_hashjoin = off;
ALTER FUNCTION request_is_whole() SET enable_mergejoin = off;
