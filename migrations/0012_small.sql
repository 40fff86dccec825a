-- A session keeps the plans by which foreign keys are checked. One that it makes when the table has a page
-- or two, and is known to, reads the table from end to end for every row that refers to it, until the next
-- ANALYZE: six thousand requests later a submit read five times as many pages. So nobody counts the rows
-- before there are a thousand; VACUUM counts them too.
ALTER TABLE service SET (autovacuum_analyze_threshold = 1000, autovacuum_vacuum_threshold = 1000);
ALTER TABLE request SET (autovacuum_analyze_threshold = 1000);
ALTER TABLE request_edge SET (autovacuum_analyze_threshold = 1000, autovacuum_vacuum_threshold = 1000);
