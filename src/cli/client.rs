//! The client's side of the API on the daemon's socket.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::config::Sources;

/// Longer than any request asks the daemon to wait.
const PATIENCE: Duration = Duration::from_secs(60);

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

    async fn request(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
        let mut request = self.http.request(method, format!("http://maestro{path}"));
        let user = std::env::var("USER").unwrap_or_else(|_| "local".to_owned());
        request = request.header("x-maestro-cli", user);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.with_context(|| {
            format!(
                "no gateway answers at {}; start it with `maestro run`, or name its socket with --socket",
                self.socket.display()
            )
        })?;
        let status = answer.status();
        let body = answer.json().await.context("the gateway's answer was cut off")?;
        Ok(Answer { status, body })
    }
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
