-- A claim takes whole pages at once, and makes each of its rows longer by the lease: only where there
-- is room for two such versions of every row are claims and renewals HOT updates. At 70 two thirds of
-- the claims were none.
ALTER TABLE work SET (fillfactor = 30);
