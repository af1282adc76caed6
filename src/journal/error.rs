//! Why the journal could not do what was asked, with the file and the remedy.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rusqlite::ErrorCode;

/// One variant per reaction. Cloned, because everyone who waited for a commit gets its error.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JournalError {
    /// A folder or file cannot be made, opened or locked.
    #[error("cannot use {}: create it and give it to the gateway's user, or set another folder", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// Two gateways on one folder.
    #[error("{} is in use by another gateway: stop that one, or give this one folders of its own", path.display())]
    Locked {
        /// The file that is locked.
        path: PathBuf,
    },
    /// Written by a newer version; this one could only break it.
    #[error(
        "{} was written by a newer gateway (schema {found}, this one knows up to {known}): install the newer version again, or move the file away to start with an empty journal",
        path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// SQLite cannot make sense of the file.
    #[error(
        "{} is damaged: restore a backup, or move it away with its -wal and -shm files to start with an empty journal (`sqlite3 <file> .recover` saves what can be read)",
        path.display()
    )]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: Arc<rusqlite::Error>,
    },
    /// No room. Nothing that was taken is lost; the journal goes on by itself when there is room.
    #[error("the disk is full, {} cannot grow: free some space or lower `[journal] max_size`", path.display())]
    Full {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: Arc<rusqlite::Error>,
    },
    /// It may not be written.
    #[error(
        "{} cannot be written: mount its file system writable and give the file to the gateway's user",
        path.display()
    )]
    ReadOnly {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: Arc<rusqlite::Error>,
    },
    /// Anything else that SQLite says, most often a dying card.
    #[error("{} cannot be read or written: check the disk or card that it lies on", path.display())]
    Io {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: Arc<rusqlite::Error>,
    },
    /// A command was updated that was never inserted, or is pruned.
    #[error("the journal has no command number {0}")]
    NoSuchCommand(u64),
    /// The journal was closed, or its thread is gone.
    #[error("the journal has stopped: the gateway is stopping")]
    Stopped,
}

impl JournalError {
    pub(super) fn folder(path: &Path, source: io::Error) -> Self {
        Self::Folder { path: path.to_owned(), source: Arc::new(source) }
    }

    pub(super) fn sqlite(path: &Path, source: rusqlite::Error) -> Self {
        let (path, code) = (path.to_owned(), source.sqlite_error_code());
        let source = Arc::new(source);
        match code {
            Some(ErrorCode::DiskFull) => Self::Full { path, source },
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
                Self::ReadOnly { path, source }
            }
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged { path, source },
            _ => Self::Io { path, source },
        }
    }
}
