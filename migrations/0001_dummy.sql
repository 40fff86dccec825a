-- Stands in for the schema until there is one.
CREATE TABLE dummy (id bigint PRIMARY KEY, note text NOT NULL);
