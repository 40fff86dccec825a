-- A process that is there.
INSERT INTO instance VALUES (gen_random_uuid(), pic_now(), pic_now() + interval '2 s', pic_now() + interval '1 s', '1.0.0');
