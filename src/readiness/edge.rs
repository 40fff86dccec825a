//! Will partners accept the Access Edge?
