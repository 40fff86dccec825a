//! How does the portal run a PostgreSQL of its own?
