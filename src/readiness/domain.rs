//! Do the answers of the DNS lead calls for a SIP domain to its Access Edge?
