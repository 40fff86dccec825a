-- A gateway that has loaded the one route that is in force, as it was published.
INSERT INTO gateway VALUES ('gw1', sha256('token'), pic_now(), pic_now(), false, 1, pic_now());
INSERT INTO publication VALUES (1, '0123456789abcdef', pic_now(), 1, 1, '{d2.example}', '{sip.d2.example}', '{2}');
INSERT INTO to_publish VALUES ('{d2.example}', 1, NULL), (NULL, 0, '{2}');
