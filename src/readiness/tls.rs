//! What does an Access Edge show on port 5061?
