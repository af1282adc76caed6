//! The client's side of the API on the daemon's socket.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;

use crate::config::Sources;

/// Longer than any request asks the daemon to wait.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longer than anybody watches.
const ENDLESS: Duration = Duration::from_secs(365 * 24 * 3600);
const CUT_OFF: &str = "the gateway's answer was cut off";

/// Speaks HTTP to the daemon of this machine.
pub struct Client {
    socket: PathBuf,
    http: reqwest::Client,
}

/// An answer that is JSON.
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its body.
    pub body: Value,
}

impl Client {
    pub fn new(socket: Option<&Path>, config: &Path) -> anyhow::Result<Self> {
        let socket = match socket {
            Some(socket) => socket.to_owned(),
            None => crate::config::socket(&Sources::of_process(config)),
        };
        let http = reqwest::Client::builder().unix_socket(socket.clone()).timeout(PATIENCE).build()?;
        Ok(Self { socket, http })
    }

    pub async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.request(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        self.request(Method::POST, path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> anyhow::Result<Answer> {
        self.request(Method::DELETE, path, None).await
    }

    /// An answer without an end.
    pub async fn stream(&self, path: &str) -> anyhow::Result<Response> {
        let answer = self.send(self.http.get(format!("http://maestro{path}")).timeout(ENDLESS)).await?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let body = answer.json().await.context(CUT_OFF)?;
        Answer { status, body }.body()?;
        bail!("the gateway answered {status}")
    }

    async fn request(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
        let mut request = self.http.request(method, format!("http://maestro{path}"));
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = self.send(request).await?;
        let status = answer.status();
        let body = answer.json().await.context(CUT_OFF)?;
        Ok(Answer { status, body })
    }

    async fn send(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let user = std::env::var("USER").unwrap_or_else(|_| "local".to_owned());
        request.header("x-maestro-cli", user).send().await.with_context(|| {
            format!(
                "no gateway answers at {}; start it with `maestro run`, or name its socket with --socket",
                self.socket.display()
            )
        })
    }
}

/// A text as a part of a path, or as a query's value.
pub fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b':' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

impl Answer {
    /// The body of a good answer; the error's words of another.
    pub fn body(self) -> anyhow::Result<Value> {
        if self.status.is_success() {
            return Ok(self.body);
        }
        match self.body["error"]["message"].as_str() {
            Some(message) => bail!("{message}"),
            None => bail!("the gateway answered {}", self.status),
        }
    }
}
