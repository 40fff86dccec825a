-- The check of a request goes in turns, so that one of a thousand names keeps nothing from others. What its
-- turns found is kept here until all its names are checked.
CREATE DOMAIN found_in_turn AS text COLLATE "C"
    CONSTRAINT found_in_turn_form CHECK (value ~ '^[ -?A-~]*$');
COMMENT ON DOMAIN found_in_turn IS 'a finding as a JSON array: printable ASCII without "@", so that no address of a person fits';

CREATE TABLE check_progress (
    request_id bigint CONSTRAINT check_progress_pkey PRIMARY KEY
        CONSTRAINT check_progress_request REFERENCES request ON DELETE CASCADE,
    began_at timestamptz NOT NULL,
    names_done integer NOT NULL CONSTRAINT check_progress_names_done CHECK (names_done >= 0),
    slow boolean NOT NULL,
    findings found_in_turn[] NOT NULL,
    proven dns_name[] NOT NULL
);
COMMENT ON TABLE check_progress IS 'checks that have not come to their end, pending or in force; deleted when the request is settled';
COMMENT ON COLUMN check_progress.request_id IS 'the request that is being checked';
COMMENT ON COLUMN check_progress.began_at IS 'when the first turn of the check ended; after some hours the check begins anew';
COMMENT ON COLUMN check_progress.names_done IS 'how many of its edges and domains, in alphabetical order, edges first, are checked';
COMMENT ON COLUMN check_progress.slow IS 'at least half of the names of the last turn took long to answer, or did not answer';
COMMENT ON COLUMN check_progress.findings IS 'what was found of these, each an array of code, severity, subject, expected, and the lines found';
COMMENT ON COLUMN check_progress.proven IS 'those of its domains whose owner has spoken for the service of the request';
-- A few rows that are updated all the time.
ALTER TABLE check_progress SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000);
