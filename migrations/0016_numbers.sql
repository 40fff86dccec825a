-- An agreement number has a digit and at most four letters in a row, so that no name is stored as one. What
-- an earlier version stored is not checked here: the sweep puts 0 in its place and counts it.
ALTER TABLE service ADD CONSTRAINT service_number_no_name CHECK (number ~ '[0-9]' AND number !~ '[A-Z]{5}') NOT VALID;
CREATE INDEX service_number_to_mask ON service (id) WHERE number !~ '[0-9]' OR number ~ '[A-Z]{5}';
COMMENT ON COLUMN service.number IS 'normalised agreement number: identifies, never authorises; 0: words stood there and were removed by a sweep';
ALTER TABLE retention_removed DROP CONSTRAINT retention_removed_kind;
ALTER TABLE retention_removed ADD CONSTRAINT retention_removed_kind CHECK (
    kind IN ('contacts', 'numbers', 'sessions', 'staff-sessions', 'staff-audit', 'requests', 'services', 'runs'));
