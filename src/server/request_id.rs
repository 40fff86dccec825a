//! The id of a request, which its response and its lines in the log have.

use std::cell::RefCell;

use crate::base32;

/// The header with a request's id. An id that a client sends is ignored.
pub const REQUEST_ID: &str = "x-request-id";

/// Random bytes of one id.
const ID: usize = 10;
/// Ids whose bytes are read at once: a system call for each costs more than the rest of an id. Ids
/// name requests and give no access to anything.
const IDS: usize = 64;

thread_local! {
    /// Random bytes for the next ids, and how many of them are used.
    static BYTES: RefCell<([u8; ID * IDS], usize)> = const { RefCell::new(([0; ID * IDS], ID * IDS)) };
}

/// A new id: 80 random bits, 16 letters and digits.
#[must_use]
pub fn request_id() -> String {
    BYTES.with_borrow_mut(|(bytes, used)| {
        if *used == bytes.len() {
            (*bytes, *used) = (base32::random(), 0);
        }
        *used += ID;
        base32::encode(&bytes[*used - ID..*used])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_new_each_time() {
        let id = request_id();
        assert_eq!(id.len(), 16);
        assert_ne!(id, request_id());
    }
}
