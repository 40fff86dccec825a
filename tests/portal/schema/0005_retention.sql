-- A sweep that removed a session.
INSERT INTO retention_run (instance, cause, began_at, ended_at, outcome, remaining)
VALUES (gen_random_uuid(), 'start', pic_now(), pic_now(), 'clean', 0);
INSERT INTO retention_removed VALUES (1, 'sessions', 1);
