//! Errors of MongoDB by what can be done about them. Texts never hold the URI or a password.

use std::time::Duration;

use mongodb::error::{Error, ErrorKind, WriteFailure};

/// What went wrong.
#[derive(Debug, Clone, thiserror::Error)]
pub enum MongoError {
    /// A person must mend the configuration.
    #[error(
        "the MongoDB URI cannot be used: {0}. Write mongodb://user:password@host:27017, with special \
         characters of user and password percent-encoded"
    )]
    Uri(String),
    /// A person must mend the account.
    #[error("MongoDB denied access: {0}. Check user, password and the role readWrite on the database")]
    Denied(String),
    /// No answer in time. What was sent may or may not have arrived.
    #[error("MongoDB did not answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// Anything that may go away by itself. What was sent may or may not have arrived.
    #[error("MongoDB: {0}")]
    Failed(String),
    /// A person must mend the database.
    #[error("the collection {collection} cannot be used: {reason}")]
    Unsuitable {
        /// Which.
        collection: &'static str,
        /// Why, and what to do.
        reason: String,
    },
    /// The document will never be taken: go on without it.
    #[error("MongoDB refuses the document for good (code {code}): {reason}")]
    Refused {
        /// The server's code, 0 when the driver refused.
        code: i32,
        /// The server's words.
        reason: String,
    },
    /// The device's document is another gateway's.
    #[error(
        "the device {device} in MongoDB belongs to the gateway {gateway}. Set another device_prefix in \
         [mongodb], or remove that document if the gateway is gone"
    )]
    Foreign {
        /// The id in MongoDB.
        device: String,
        /// Whose it is.
        gateway: String,
    },
}

/// Codes with which the server refuses a document whatever is tried: bad value, failed to parse,
/// type mismatch, overflow, field names, validation, too large, index key too long.
const FOR_GOOD: [i32; 13] = [2, 9, 14, 15, 52, 54, 55, 56, 57, 121, 10334, 17280, 17419];
/// Unauthorized, authentication failed, Atlas' own.
const DENIED: [i32; 2] = [13, 18];
/// Longest text of the server that is passed on.
const REASON_CHARS: usize = 300;

/// Does the server refuse this document whatever is tried?
pub(super) fn is_for_good(code: i32) -> bool {
    FOR_GOOD.contains(&code)
}

/// The server's words, shortened.
pub(super) fn short(text: &str) -> String {
    text.chars().take(REASON_CHARS).collect()
}

/// The code of a failed command, where there is one.
pub(super) fn code(error: &Error) -> Option<i32> {
    match &*error.kind {
        ErrorKind::Command(command) => Some(command.code),
        ErrorKind::Write(WriteFailure::WriteError(write)) => Some(write.code),
        _ => None,
    }
}

impl From<Error> for MongoError {
    fn from(error: Error) -> Self {
        let refused = |code, reason: &str| Self::Refused { code, reason: short(reason) };
        match &*error.kind {
            ErrorKind::Authentication { message, .. } => Self::Denied(short(message)),
            ErrorKind::Command(e) if DENIED.contains(&e.code) => Self::Denied(short(&e.message)),
            ErrorKind::Command(e) if is_for_good(e.code) => refused(e.code, &e.message),
            ErrorKind::Write(WriteFailure::WriteError(e)) if is_for_good(e.code) => {
                refused(e.code, &e.message)
            }
            ErrorKind::Write(WriteFailure::WriteError(e)) => {
                Self::Failed(short(&format!("error {}: {}", e.code, e.message)))
            }
            ErrorKind::Write(WriteFailure::WriteConcernError(e)) => {
                Self::Failed(short(&format!("the write is not confirmed: {}", e.message)))
            }
            // The driver itself measures a document before it sends it.
            ErrorKind::InvalidArgument { message, .. } if message.contains("document must be within") => {
                refused(0, message)
            }
            ErrorKind::Bson(e) => refused(0, &e.to_string()),
            other => Self::Failed(short(&other.to_string())),
        }
    }
}
