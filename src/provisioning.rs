//! The background task: makes provisioned requests of pending ones.
//!
//! [`store`] has the steps, each one statement; [`checking`] looks at what is due, `due` settles
//! it where nothing is looked up; `apart` keeps one that fails from the others; [`worker`] is the
//! loop that takes the steps, [`crate::db::notify`] what wakes it (`docs/design.md#the-background-task`);
//! [`meter`] counts what it does.

mod apart;
pub mod checking;
mod due;
pub mod meter;
pub mod store;
pub mod worker;
