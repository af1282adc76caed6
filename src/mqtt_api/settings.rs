//! The `[mqtt_api]` section: what may stand there. Pure.

use std::fmt;

use super::topics;

/// Where the broker is and what the topics are called.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// `mqtt://host[:port]`, or `mqtts://host[:port]` for TLS with the system's certificates.
    pub url: String,
    /// Who the gateway is to the broker.
    pub username: Option<String>,
    /// Belongs to `username`; never printed.
    pub password: Option<String>,
    /// First level or levels of every topic.
    pub base_topic: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: "mqtt://localhost:1883".to_owned(),
            username: None,
            password: None,
            base_topic: "maestro".to_owned(),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("url", &self.url)
            .field("username", &self.username)
            .field("password", &self.password.as_ref().map(|_| "[secret]"))
            .field("base_topic", &self.base_topic)
            .finish()
    }
}

/// What is wrong in the section: the key, and what to write there.
pub fn check(settings: &Settings) -> Vec<(&'static str, String)> {
    let mut wrong = Vec::new();
    if let Err(message) = address(&settings.url) {
        wrong.push(("url", message));
    }
    match (&settings.username, &settings.password) {
        (Some(name), _) if name.is_empty() => {
            wrong.push(("username", "username is empty: write a name, or leave the key out".to_owned()));
        }
        (None, Some(_)) => {
            wrong.push((
                "username",
                "there is a password without username: write the user that it belongs to".to_owned(),
            ));
        }
        _ => {}
    }
    if settings.password.as_ref().is_some_and(String::is_empty) {
        wrong.push((
            "password_file",
            "the password is empty: write it into that file, or leave the key out".to_owned(),
        ));
    }
    if let Some(message) = topics::unfit_base(&settings.base_topic) {
        wrong.push(("base_topic", message));
    }
    wrong
}

/// A broker's address.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub host: String,
    pub port: u16,
    pub tls: bool,
}

/// Reads a broker's URL.
pub(super) fn address(url: &str) -> Result<Address, String> {
    // It is not repeated where a password may stand in it.
    if url.contains('@') {
        return Err("user and password do not belong into url: write username and password_file".to_owned());
    }
    let wrong = || {
        format!(
            "`{url}` is no broker's address: write \"mqtt://host:1883\", or \"mqtts://host:8883\" for TLS"
        )
    };
    let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
    let tls = match scheme {
        "mqtt" => false,
        "mqtts" => true,
        _ => return Err(wrong()),
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    // An IPv6 address keeps its brackets: the client joins host and port with a colon.
    let split = match rest.rfind(']') {
        Some(end) if rest.starts_with('[') => end + 1,
        _ => rest.find(':').unwrap_or(rest.len()),
    };
    let (host, port) = rest.split_at(split);
    let port = match port.strip_prefix(':') {
        Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?,
        None if port.is_empty() => {
            if tls {
                8883
            } else {
                1883
            }
        }
        None => return Err(wrong()),
    };
    if host.is_empty() || host.contains(|c: char| c.is_whitespace() || "/?#".contains(c)) {
        return Err(wrong());
    }
    if tls && host.starts_with('[') {
        return Err(format!(
            "`{url}` has an IPv6 address: certificates are made for names, so write the broker's host name"
        ));
    }
    Ok(Address { host: host.to_owned(), port, tls })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_gives_host_port_and_tls() {
        let read = |url| address(url).map(|at| (at.host, at.port, at.tls)).unwrap();
        assert_eq!(read("mqtt://localhost"), ("localhost".into(), 1883, false));
        assert_eq!(read("mqtt://10.0.0.5:1884/"), ("10.0.0.5".into(), 1884, false));
        assert_eq!(read("mqtts://broker.example"), ("broker.example".into(), 8883, true));
        assert_eq!(read("mqtt://[::1]:1883"), ("[::1]".into(), 1883, false));
        assert_eq!(read("mqtt://[::1]"), ("[::1]".into(), 1883, false));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_key_and_remedy() {
        let with = |change: fn(&mut Settings)| {
            let mut settings = Settings::default();
            change(&mut settings);
            check(&settings)
        };
        assert_eq!(check(&Settings::default()), vec![]);
        for odd in [
            "localhost",
            "http://x",
            "mqtt://",
            "mqtt://x:0",
            "mqtt://x:99999",
            "mqtt://x/y",
            "mqtt://a b",
            "mqtt://[::1",
        ] {
            let settings = Settings { url: odd.into(), ..Settings::default() };
            assert!(check(&settings)[0].1.contains("mqtt://host:1883"), "{odd}");
        }
        let secret = with(|settings| settings.url = "mqtt://me:hunter2@x".into());
        assert!(secret[0].1.contains("password_file") && !secret[0].1.contains("hunter2"));
        assert_eq!(with(|settings| settings.password = Some("x".into()))[0].0, "username");
        assert_eq!(with(|settings| settings.username = Some(String::new()))[0].0, "username");
        assert_eq!(with(|settings| settings.base_topic = "a/#".into())[0].0, "base_topic");
    }

    #[test]
    fn a_password_is_never_printed() {
        let settings = Settings { password: Some("hunter2".into()), ..Settings::default() };
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}
