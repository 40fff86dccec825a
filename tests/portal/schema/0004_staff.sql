-- An agent, a reader and what the agent did.
INSERT INTO staff (name, role, password, created_at, password_at)
SELECT name, role, '$argon2id$v=19$m=8,t=1,p=1$' || repeat('a', 22) || '$' || repeat('b', 43), pic_now(), pic_now() + interval '1 s'
FROM (VALUES ('anna', 'agent'), ('rita', 'reader')) AS s (name, role);
INSERT INTO staff (name, role, subject, created_at) VALUES ('sso-1', 'agent', sha256('1'), pic_now());
INSERT INTO staff_audit (staff_id, at, action) VALUES (1, pic_now(), 'signed-in');
INSERT INTO staff_mark (request_id, mark, staff_id, at) VALUES (2, 'taken', 1, pic_now());
INSERT INTO staff_audit (staff_id, at, action, request_id, mark) VALUES (1, pic_now(), 'marked', 2, 'taken');
INSERT INTO event (request_id, seq, at, actor, code, staff_id) VALUES (2, 2, pic_now(), 'staff', 'check-asked', 1);
