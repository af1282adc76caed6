//! The `[broker]` section and what may be wrong with it. Pure: the file and its secrets are read elsewhere.

use std::net::SocketAddr;

/// A password: never printed, not by `Debug` either.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(pub(super) String);

impl From<String> for Password {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret]")
    }
}

/// The `[broker]` section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where to listen. Port 0 takes a free one, see [`Broker::local_addr`](super::Broker::local_addr).
    pub listen: SocketAddr,
    /// With it every client must show this name and the password.
    pub username: Option<String>,
    /// Belongs to `username`.
    pub password: Option<Password>,
}

impl Settings {
    /// What is wrong with the section, with the remedy.
    pub fn check(&self) -> Result<(), String> {
        let empty = |password: &Password| password.0.is_empty();
        match (&self.username, &self.password) {
            (None, None) if self.listen.ip().is_loopback() => Ok(()),
            (None, None) => Err(format!(
                "[broker] listen = \"{}\" lets other machines in without a password: set username and \
                 password_file, or listen on \"127.0.0.1:{}\"",
                self.listen,
                self.listen.port()
            )),
            (Some(_), None) => Err("[broker] username is alone: set password_file too".into()),
            (None, Some(_)) => Err("[broker] password is alone: set username too".into()),
            (Some(name), Some(_)) if name.is_empty() => {
                Err("[broker] username is empty: write a name, or remove username and password".into())
            }
            (Some(_), Some(password)) if empty(password) => {
                Err("[broker] password is empty: write one into the file that password_file names".into())
            }
            (Some(_), Some(_)) => Ok(()),
        }
    }
}
