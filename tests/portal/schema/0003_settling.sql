-- What is pending is due and held, what is in force is watched.
INSERT INTO work SELECT id, pic_now() FROM request WHERE state = 'pending';
INSERT INTO finding VALUES (1, pic_now(), 'domain-held', 'd1.example', 'blocking');
INSERT INTO watch VALUES (2, pic_now() + interval '1 day', pic_now());
INSERT INTO check_progress VALUES (2, pic_now(), 1, false, '{}', '{}');
