-- Every column of the portal's schema that is stored, table by table, with what its type is made of
-- (domains and arrays taken apart, outermost first) and the valid checks that every value passed.
WITH RECURSIVE stored AS (
    SELECT c.oid AS relation, c.relname, n.nspname, a.attnum, a.attname, a.atttypid
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = current_schema()
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relkind IN ('r', 'm') AND c.oid <> 'legacy_contact'::regclass
),
made_of AS (
    SELECT relation, attnum, 1 AS depth, atttypid AS type FROM stored
    UNION ALL
    SELECT m.relation, m.attnum, m.depth + 1, CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.typelem END
    FROM made_of m JOIN pg_type t ON t.oid = m.type
    WHERE t.typtype = 'd' OR (t.typcategory = 'A' AND t.typelem <> 0)
),
base AS (
    SELECT DISTINCT ON (m.relation, m.attnum) m.relation, m.attnum, t.typname, t.typtype, t.typcategory
    FROM made_of m JOIN pg_type t ON t.oid = m.type
    ORDER BY m.relation, m.attnum, m.depth DESC
)
SELECT s.relname::text AS "table_name!", format('%I.%I', s.nspname, s.relname) AS "sql_table!",
       s.attname::text AS "column_name!", quote_ident(s.attname) AS "sql_column!",
       has_column_privilege(s.relation, s.attnum, 'SELECT') AS "readable!",
       ceil(pg_relation_size(s.relation::regclass)::numeric / current_setting('block_size')::numeric)::bigint AS "blocks!",
       b.typtype NOT IN ('e', 'r', 'm') AND b.typname NOT IN (
           'bool', 'int2', 'int4', 'int8', 'float4', 'float8', 'numeric', 'money', 'oid', 'uuid',
           'timestamp', 'timestamptz', 'date', 'time', 'timetz', 'interval') AS "text_like!",
       b.typname = 'bool' OR b.typcategory IN ('D', 'T') AS "holds_time!",
       ARRAY(SELECT t.typname::text FROM made_of m JOIN pg_type t ON t.oid = m.type
             WHERE m.relation = s.relation AND m.attnum = s.attnum ORDER BY m.depth) AS "types!",
       ARRAY(SELECT pg_get_constraintdef(k.oid) FROM pg_constraint k
             WHERE k.contype = 'c' AND k.convalidated AND (
                 (k.conrelid = s.relation AND k.conkey = ARRAY[s.attnum])
                 OR k.contypid IN (SELECT m.type FROM made_of m
                                   WHERE m.relation = s.relation AND m.attnum = s.attnum))) AS "checks!"
FROM stored s
JOIN base b ON b.relation = s.relation AND b.attnum = s.attnum
ORDER BY s.nspname, s.relname, s.attnum
