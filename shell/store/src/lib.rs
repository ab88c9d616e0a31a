//! Endpoints and keys made at run time, in one file that survives restarts and `kill -9`.
//!
//! The file is `wtn.redb` in the data folder; nothing is made before the first write. A write that returned is
//! on the disk, one that did not is there whole or not at all. Keys are kept as digests: whoever reads the file
//! opens nothing with it.
//!
//! A file that cannot be read is an error and stays as it is. To go on without it would open endpoints that
//! had keys.

mod database;
mod error;
mod record;
mod secret;

pub use database::Store;
pub use error::{OpenError, OpenFault, WriteError};
pub use record::{Allows, Digest, StoredEndpoint, StoredKey};
pub use secret::{fresh_id, fresh_secret};
