-- What the schema refuses: a statement, and the rule that it breaks.

-- Names and numbers.
UPDATE domain_in_force SET sip_domain = 'Contoso.com'; --> dns_name_form
UPDATE domain_in_force SET sip_domain = 'contoso'; --> dns_name_form
UPDATE domain_in_force SET sip_domain = 'contoso.com.'; --> dns_name_form
UPDATE domain_in_force SET sip_domain = '-a.example'; --> dns_name_labels
UPDATE domain_in_force SET sip_domain = 'a-.example'; --> dns_name_labels
UPDATE domain_in_force SET sip_domain = 'a_b.example'; --> dns_name_form
UPDATE domain_in_force SET sip_domain = 'ted@contoso.com'; --> dns_name_form
UPDATE domain_in_force SET sip_domain = E'a.example\nb.example'; --> dns_name_form
UPDATE domain_in_force SET sip_domain = 'münchen.de'; --> dns_name_form
UPDATE domain_in_force SET sip_domain = repeat('a', 64) || '.b'; --> dns_name_labels
UPDATE domain_in_force SET sip_domain = repeat('a.', 126) || 'ab'; --> dns_name_length
INSERT INTO request_route VALUES (1, 2, 1, 'a b.example', 'more.example'); --> dns_name_form
INSERT INTO request_route VALUES (1, 2, 1, '10.0.0.1.', 'more.example'); --> dns_name_form
INSERT INTO request_route VALUES (1, 1, 2, NULL, '*.example'); --> dns_name_form
UPDATE finding SET subject = 'ted@contoso.com'; --> dns_name_form
UPDATE service SET number = '12-34'; --> service_number
UPDATE service SET number = 'abc'; --> service_number
UPDATE service SET number = ''; --> service_number
UPDATE service SET number = repeat('1', 33); --> service_number_length
UPDATE service SET number = 'TED@CONTOSO.COM'; --> service_number
UPDATE service SET number = E'1\n'; --> service_number
UPDATE service SET number = 'ANNAMUSTERMANN'; --> service_number_no_name
UPDATE service SET number = 'BO'; --> service_number_no_name
UPDATE service SET number = 'ANNA1ATGMAILCOM'; --> service_number_no_name
UPDATE service SET programme = 'oem'; --> service_programme
UPDATE service SET token = 'U000000000000001'; --> service_token
UPDATE service SET token = '1'; --> service_token_length
UPDATE service SET key_hash = 'short'; --> half_digest_length

-- Requests.
UPDATE request SET state = 'done', ended_at = pic_now() WHERE id = 1; --> request_state
UPDATE request SET kind = 'renew' WHERE id = 1; --> request_kind
UPDATE request SET deployment = 'cloud' WHERE id = 1; --> request_deployment
UPDATE request SET reference = 'PIC-1' WHERE id = 1; --> request_reference_form
UPDATE request SET reference = 'PIC-0000-0000-0000-000U' WHERE id = 1; --> request_reference_form
UPDATE request SET reference = 'PIC-0000-0000-0000-0002' WHERE id = 1; --> request_reference
UPDATE request SET content_hash = '' WHERE id = 1; --> short_digest_length
UPDATE request SET service_id = 9 WHERE id = 1; --> a request stays with its service
UPDATE request SET kind = 'update' WHERE id = 1; --> request_makes_service
DELETE FROM request WHERE id = 2; --> route_request
DELETE FROM service WHERE id = 1; --> request_service
UPDATE service SET id = 9 WHERE id = 1; --> a service keeps its internal number

-- Half-set pairs.
UPDATE request SET ended_at = pic_now() WHERE id = 1; --> request_ended
UPDATE request SET state = 'provisioned' WHERE id = 1; --> request_ended
UPDATE request SET state = 'provisioned', ended_at = pic_now() WHERE id = 1; --> request_provisioned
UPDATE request SET provisioned_seq = 2 WHERE id = 1; --> request_provisioned
UPDATE request SET state = 'provisioned', ended_at = pic_now(), provisioned_seq = 1 WHERE id = 1; --> request_provisioned_seq
UPDATE request SET state = 'rejected', ended_at = pic_now() WHERE id = 1; --> request_rejected
UPDATE request SET reason = 'policy' WHERE id = 1; --> request_rejected
UPDATE request SET state = 'rejected', reason = 'bored', ended_at = pic_now() WHERE id = 1; --> request_reason
UPDATE work SET lease_token = gen_random_uuid(); --> work_lease
UPDATE work SET lease_until = pic_now(); --> work_lease

-- Final states do not change.
UPDATE request SET state = 'pending', ended_at = NULL WHERE id = 2; --> an ended request does not change
UPDATE request SET state = 'withdrawn' WHERE id = 2; --> an ended request does not change
UPDATE request SET state = 'provisioned', reason = NULL WHERE id = 3; --> an ended request does not change
UPDATE request SET deployment = 'split' WHERE id = 3; --> an ended request does not change

-- The timeline.
UPDATE event SET code = 'withdrawn'; --> the timeline is append-only
UPDATE event SET at = at; --> the timeline is append-only
UPDATE event SET seq = 2, times = 3, last_at = at; --> the timeline is append-only
UPDATE event SET seq = 2, times = 2, last_at = at, code = 'held'; --> the timeline is append-only
UPDATE event SET times = 2, last_at = at; --> the timeline is append-only
INSERT INTO event (request_id, seq, at, actor, code, times) VALUES (1, 2, pic_now(), 'portal', 'held', 0); --> event_times
INSERT INTO event (request_id, seq, at, actor, code, times) VALUES (1, 2, pic_now(), 'portal', 'held', 2); --> event_again
INSERT INTO event (request_id, seq, at, actor, code, times, last_at) VALUES (1, 2, pic_now(), 'portal', 'held', 2, pic_now() - interval '1 s'); --> event_in_order
INSERT INTO event SELECT 1, 2, pic_now(), 'portal', 'held' FROM generate_series(1, 2); --> event_pkey
INSERT INTO event VALUES (1, 1, pic_now(), 'portal', 'held'); --> event_first
INSERT INTO event VALUES (1, 2, pic_now(), 'portal', 'submitted'); --> event_first
INSERT INTO event VALUES (1, 0, pic_now(), 'portal', 'held'); --> event_seq
INSERT INTO event VALUES (1, 2, pic_now(), 'Ted', 'held'); --> event_actor
INSERT INTO event VALUES (1, 2, pic_now(), 'portal', 'called'); --> event_code
INSERT INTO event VALUES (9, 2, pic_now(), 'portal', 'held'); --> event_request

-- Edges and routes of a request.
INSERT INTO request_route VALUES (1, 11, 1, 'sip.more.example', 'more.example'); --> request_route_ten_edges
INSERT INTO request_route VALUES (1, 0, 1, 'sip.more.example', 'more.example'); --> request_route_ten_edges
INSERT INTO request_route VALUES (1, 1, 0, NULL, 'more.example'); --> request_route_place
INSERT INTO request_route VALUES (1, 1, 1, 'sip.d1.example', 'more.example'); --> request_route_pkey

-- The name of an edge twice, no name at all, two edges of one name, and one that has no first place.
INSERT INTO request_route VALUES (1, 1, 2, 'sip.d1.example', 'more.example'); --> request_route_edge_once
INSERT INTO request_route VALUES (1, 2, 1, NULL, 'more.example'); --> request_route_edge_once
INSERT INTO request_route VALUES (1, 2, 1, 'sip.d1.example', 'more.example'); --> request_route_edges
INSERT INTO request_route VALUES (1, 2, 2, NULL, 'more.example'); --> request_route_edges
INSERT INTO request_route VALUES (1, 1, 2, NULL, 'd1.example'); --> request_route_once
INSERT INTO request_route VALUES (9, 1, 1, 'sip.more.example', 'more.example'); --> request_route_request
UPDATE request_route SET sip_domain = 'more.example'; --> what a request wants does not change
DELETE FROM request_route WHERE request_id = 2; --> route_edge

-- Routes in force.
INSERT INTO domain_in_force VALUES (1, 1, 1, 'd2.example'); --> domain_in_force_pkey
INSERT INTO domain_in_force VALUES (9, 1, 1, 'd1.example'); --> route_request
INSERT INTO domain_in_force VALUES (1, 9, 1, 'd1.example'); --> route_request
INSERT INTO domain_in_force VALUES (1, 1, 2, 'd1.example'); --> route_edge
UPDATE domain_in_force SET edge = 2; --> route_edge

-- Findings and work.
INSERT INTO finding VALUES (1, pic_now(), 'rumour', 'd1.example', 'ok'); --> finding_code
INSERT INTO finding VALUES (2, pic_now(), 'domain-held', 'd1.example', 'bad'); --> finding_severity
INSERT INTO finding SELECT * FROM finding; --> finding_once
INSERT INTO finding VALUES (9, pic_now(), 'domain-held', 'd1.example', 'blocking'); --> finding_request
INSERT INTO work VALUES (1, pic_now()); --> work_pkey
INSERT INTO work VALUES (9, pic_now()); --> work_request
UPDATE work SET attempts = -1; --> work_attempts

-- Progress of the checks, and what is watched.
UPDATE finding SET expected = 'ted@contoso.com'; --> evidence_form
UPDATE finding SET expected = repeat('x', 301); --> evidence_length
UPDATE finding SET expected = E'a\nb'; --> evidence_form
UPDATE finding SET found = 'ted@contoso.com'; --> evidence_lines_form
UPDATE finding SET found = E'tab\t'; --> evidence_lines_form
UPDATE finding SET found = E'x\n' || repeat('x', 301); --> evidence_lines_length
UPDATE finding SET found = repeat(E'x\n', 40); --> evidence_lines_count
UPDATE finding SET severity = 'ok'; --> finding_gravity
UPDATE finding SET code = 'srv-suffix'; --> finding_gravity
INSERT INTO watch VALUES (9, pic_now(), pic_now()); --> watch_request
INSERT INTO watch SELECT 2, pic_now(), pic_now() FROM generate_series(1, 2); --> watch_pkey
INSERT INTO watch (request_id, due_at, checked_at, lease_token) VALUES (2, pic_now(), pic_now(), gen_random_uuid()); --> watch_lease

-- Staff.
INSERT INTO staff (name, role, password, created_at, password_at) VALUES ('ted@contoso.com', 'agent', '', pic_now(), pic_now()); --> staff_name_form
INSERT INTO staff (name, role, password, created_at, password_at) VALUES ('ted', 'agent', 'plain text', pic_now(), pic_now()); --> staff_password
UPDATE staff SET name = 'rita' WHERE name = 'anna'; --> staff_name
UPDATE staff SET role = 'owner'; --> staff_role
INSERT INTO staff (name, role, created_at) VALUES ('ted', 'agent', pic_now()); --> staff_password_or_subject
UPDATE staff SET subject = sha256('2') WHERE name = 'anna'; --> staff_password_or_subject
UPDATE staff SET password_at = NULL WHERE name = 'anna'; --> staff_password_when
INSERT INTO staff (name, role, subject, created_at) VALUES ('ted', 'agent', sha256('1'), pic_now()); --> staff_subject
INSERT INTO staff (name, role, subject, created_at) VALUES ('ted', 'agent', 'short', pic_now()); --> digest_length
INSERT INTO staff_session VALUES (sha256('1'), 1, pic_now(), pic_now(), pic_now() - interval '1 s'); --> staff_session_confirmed
INSERT INTO staff_session VALUES (sha256('1'), 1, pic_now(), pic_now(), 'infinity', 'short'); --> digest_length
UPDATE staff SET password_at = created_at - interval '1 s'; --> staff_password_at
UPDATE staff SET disabled_at = created_at - interval '1 s'; --> staff_disabled_at
INSERT INTO staff_session VALUES (sha256('1'), 9, pic_now(), pic_now()); --> staff_session_staff
INSERT INTO staff_session VALUES ('short', 1, pic_now(), pic_now()); --> digest_length
INSERT INTO staff_session SELECT sha256('1'), 1, pic_now(), pic_now() FROM generate_series(1, 2); --> staff_session_pkey
INSERT INTO staff_session VALUES (sha256('1'), 1, pic_now(), pic_now() - interval '1 h'); --> staff_session_seen
INSERT INTO staff_set_up VALUES (false, sha256('1'), pic_now()); --> staff_set_up_only_one
INSERT INTO staff_set_up SELECT true, sha256('1'), pic_now() FROM generate_series(1, 2); --> staff_set_up_pkey

-- The audit.
UPDATE staff_audit SET at = at; --> the audit is append-only
INSERT INTO staff_audit (staff_id, at, action) VALUES (9, pic_now(), 'signed-in'); --> staff_audit_staff
INSERT INTO staff_audit (staff_id, at, action) VALUES (1, pic_now(), 'slept'); --> staff_audit_action
INSERT INTO staff_audit (staff_id, at, action) VALUES (1, pic_now(), 'looked'); --> staff_audit_about
INSERT INTO staff_audit (staff_id, at, action, request_id) VALUES (1, pic_now(), 'signed-in', 1); --> staff_audit_about
INSERT INTO staff_audit (staff_id, at, action, request_id) VALUES (1, pic_now(), 'refused', 1); --> staff_audit_why
INSERT INTO staff_audit (staff_id, at, action, request_id, reason) VALUES (1, pic_now(), 'withdrew', 1, 'policy'); --> staff_audit_why
INSERT INTO staff_audit (staff_id, at, action, request_id, reason) VALUES (1, pic_now(), 'refused', 1, 'owner-asked'); --> staff_audit_refusal
INSERT INTO staff_audit (staff_id, at, action, request_id, reason) VALUES (1, pic_now(), 'refused', 1, 'bored'); --> staff_audit_reason
INSERT INTO staff_audit (staff_id, at, action, request_id) VALUES (1, pic_now(), 'marked', 1); --> staff_audit_marks
INSERT INTO staff_mark VALUES (1, 'ask for Ted', 1, pic_now()); --> staff_mark_name_listed
INSERT INTO staff_mark VALUES (2, 'taken', 1, pic_now()); --> staff_mark_pkey
INSERT INTO staff_mark VALUES (99, 'called', 1, pic_now()); --> staff_mark_request
INSERT INTO staff_mark VALUES (1, 'called', 9, pic_now()); --> staff_mark_staff
SELECT pic_mark('PIC-0000-0000-0000-0001', 2, 'called', true); --> staff_may

-- Events by staff.
INSERT INTO event (request_id, seq, at, actor, code, staff_id) VALUES (1, 2, pic_now(), 'portal', 'held', 1); --> event_by_staff
INSERT INTO event (request_id, seq, at, actor, code, staff_id) VALUES (1, 2, pic_now(), 'staff', 'held', 9); --> event_staff
SELECT pic_staff_check('PIC-0000-0000-0000-0001', 2); --> staff_may

-- The secret.
INSERT INTO secret (value) VALUES (sha256('x')); --> secret_pkey
INSERT INTO secret VALUES (false, sha256('x')); --> secret_only_one
UPDATE secret SET value = 'short'; --> secret_length
