//! Why the file cannot be read or written: what, where, and the way out.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// The file cannot be used. It is left as it is.
#[derive(Debug)]
pub struct OpenError {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub fault: OpenFault,
}

/// What is wrong with the file.
#[derive(Debug)]
pub enum OpenFault {
    /// Another process has it.
    InUse,
    /// Something other than this program has changed it, or it never was ours.
    Corrupted(String),
    /// A newer version of this program wrote it, in this form.
    Newer(u64),
    /// The system does not let us.
    Io(io::Error),
    /// The system does not even let us see whether there is such a file.
    Folder(io::Error),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        match &self.fault {
            OpenFault::InUse => write!(
                f,
                "{file} is in use by another process, most likely another wtn; stop that one, or give this one \
                 a data_dir of its own"
            ),
            OpenFault::Corrupted(what) => write!(
                f,
                "{file} is damaged ({what}), and nothing in it is used, as endpoints could lose their keys that \
                 way; restore it from a backup, or move it away to begin without endpoints"
            ),
            OpenFault::Newer(version) => write!(
                f,
                "{file} was written by a newer wtn (form {version}); start that version, or move the file away \
                 to begin without endpoints"
            ),
            OpenFault::Folder(error) => {
                write!(f, "{file} cannot be reached: {error}; let the user that runs wtn use the folder")
            }
            OpenFault::Io(error) => {
                write!(f, "{file} cannot be opened: {error}; let the user that runs wtn read and write it")
            }
        }
    }
}

impl std::error::Error for OpenError {}

/// A write that is not done. What was there before is there still.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The file cannot be made or opened.
    #[error("{0}")]
    Open(#[from] OpenError),
    /// The disk or the database refuses.
    #[error("{}: {error}", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// What it says.
        error: String,
    },
}

impl From<redb::DatabaseError> for OpenFault {
    fn from(error: redb::DatabaseError) -> Self {
        match error {
            redb::DatabaseError::DatabaseAlreadyOpen => Self::InUse,
            redb::DatabaseError::Storage(redb::StorageError::Io(error))
                if !matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) =>
            {
                Self::Io(error)
            }
            error => Self::Corrupted(error.to_string()),
        }
    }
}
