-- The desk finds an edge by the very index that says that a request names it once: a submit, which
-- writes them all, has one index less to write. A name backwards is as much once as the name.
ALTER TABLE request_edge DROP CONSTRAINT request_edge_once;
DROP INDEX request_edge_backwards;
CREATE UNIQUE INDEX request_edge_once ON request_edge ((reverse(access_edge) COLLATE "C"), request_id);

-- Without the request beside the name its entries are shorter, and the same names share one.
DROP INDEX request_route_backwards;
CREATE INDEX request_route_backwards ON request_route ((reverse(sip_domain) COLLATE "C"));
