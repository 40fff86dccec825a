//! What does the DNS say of a SIP domain, an Access Edge, an owner's word?
