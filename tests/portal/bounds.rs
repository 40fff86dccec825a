//! Does what others can make grow stay small, and can one request that fails stop others?

mod apart;
