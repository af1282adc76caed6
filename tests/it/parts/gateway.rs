//! The real program, as an installer would run it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use super::until;

/// Lines of its log that a failed test shows.
const LOG_SHOWN: usize = 600;

/// A running `maestro run` with a folder of its own.
pub struct Gateway {
    child: Child,
    pub folder: TempDir,
    environment: Vec<(String, String)>,
}

impl Gateway {
    /// Starts with this configuration and waits until its doors are open. `[gateway]` folders are
    /// added; the text begins with other keys of `[gateway]`.
    pub async fn start(gateway_keys: &str, rest: &str) -> Self {
        let mut gateway = Self::start_without_waiting(gateway_keys, rest, &[]);
        gateway.wait_ready().await;
        gateway
    }

    pub fn start_without_waiting(gateway_keys: &str, rest: &str, environment: &[(&str, &str)]) -> Self {
        let environment: Vec<_> =
            environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Self::spawn(gateway_keys, rest, environment, &[])
    }

    /// With these files beside its configuration.
    pub fn start_with_files(gateway_keys: &str, rest: &str, files: &[(String, String)]) -> Self {
        Self::spawn(gateway_keys, rest, Vec::new(), files)
    }

    fn spawn(
        gateway_keys: &str,
        rest: &str,
        environment: Vec<(String, String)>,
        files: &[(String, String)],
    ) -> Self {
        let folder = TempDir::new().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        write_configuration(folder.path(), gateway_keys, rest);
        let child = spawn(folder.path(), &environment);
        Self { child, folder, environment }
    }

    /// Replaces the configuration file; it is read at the next start or reload.
    pub fn configure(&self, gateway_keys: &str, rest: &str) {
        write_configuration(self.folder.path(), gateway_keys, rest);
    }

    pub async fn wait_ready(&mut self) {
        let socket = self.socket();
        let client = http(&socket);
        let child = &mut self.child;
        let folder = self.folder.path().to_owned();
        until("the gateway's doors open", || {
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none(), "it ended with {ended:?}: {}", read_log(&folder));
            let request = client.get("http://maestro/v1/health").send();
            async move { request.await.ok().filter(|answer| answer.status().is_success()) }
        })
        .await;
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("run/maestro.sock")
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its name, like `TERM`.
    pub fn signal(&self, name: &str) {
        let sent =
            Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Did nobody end it, itself included?
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// kill -9.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts again in the same folder after it ended.
    pub async fn start_again(&mut self) {
        self.spawn_again();
        self.wait_ready().await;
    }

    /// [`Gateway::start_again`], and its doors may still be closed.
    pub fn spawn_again(&mut self) {
        self.child = spawn(self.folder.path(), &self.environment);
    }

    /// Its socket, for callers that come while it is away too.
    pub fn api(&self) -> Api {
        Api { client: http(&self.socket()) }
    }

    /// The journal's database.
    pub fn journal(&self) -> PathBuf {
        self.folder.path().join("data/journal.db")
    }

    /// SIGTERM, and its end.
    pub async fn stop(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.ended().await
    }

    pub async fn ended(&mut self) -> ExitStatus {
        let child = &mut self.child;
        until("the gateway ends", || std::future::ready(child.try_wait().unwrap())).await
    }

    /// GET on the API; JSON whatever the status.
    pub async fn get(&self, path: &str) -> Value {
        let answer = http(&self.socket()).get(format!("http://maestro{path}")).send().await.unwrap();
        answer.json().await.unwrap()
    }

    /// POST of a command; status and JSON.
    pub async fn post(&self, device: &str, body: Value) -> (u16, Value) {
        let url = format!("http://maestro/v1/devices/{device}/commands");
        let answer = http(&self.socket()).post(url).json(&body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// The end of a command.
    pub async fn result(&self, id: &str) -> Value {
        let path = format!("/v1/commands/{id}?wait=5");
        until(&format!("the end of command {id}"), || {
            let answer = self.get(&path);
            async move {
                let answer = answer.await;
                (!answer["outcome"].is_null()).then_some(answer)
            }
        })
        .await
    }

    /// The latest points of a device, once it has some.
    pub async fn points(&self, device: &str) -> Value {
        let path = format!("/v1/devices/{device}");
        until(&format!("readings of {device}"), || {
            let answer = self.get(&path);
            async move {
                let mut answer = answer.await;
                let points = answer["latest"]["points"].take();
                points.is_object().then_some(points)
            }
        })
        .await
    }

    /// A client command against this daemon.
    pub async fn cli(&self, arguments: &[&str]) -> Output {
        let mut command = tokio::process::Command::from(maestro());
        command.arg("--socket").arg(self.socket()).args(arguments).output().await.unwrap()
    }

    pub fn log(&self) -> String {
        read_log(self.folder.path())
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(LOG_SHOWN)..];
            println!("--- log of the gateway, its end ---\n{}", last.join("\n"));
        }
    }
}

/// The API on the socket of a gateway that may be away: an answer is its status and JSON, none is
/// that it could not be asked or was killed meanwhile.
#[derive(Clone)]
pub struct Api {
    client: reqwest::Client,
}

impl Api {
    pub async fn get(&self, path: &str) -> Option<(u16, Value)> {
        answer(self.client.get(format!("http://maestro{path}"))).await
    }

    pub async fn post(&self, device: &str, body: &Value) -> Option<(u16, Value)> {
        let url = format!("http://maestro/v1/devices/{device}/commands");
        answer(self.client.post(url).json(body)).await
    }

    /// POST of a command that names its device, or of an array of them.
    pub async fn send(&self, body: &Value) -> Option<(u16, Value)> {
        answer(self.client.post("http://maestro/v1/commands").json(body)).await
    }

    pub async fn delete(&self, path: &str) -> Option<(u16, Value)> {
        answer(self.client.delete(format!("http://maestro{path}"))).await
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Option<(u16, Value)> {
    let answer = request.send().await.ok()?;
    let status = answer.status().as_u16();
    Some((status, answer.json().await.ok()?))
}

/// The program under test.
pub fn maestro() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_maestro"));
    command.env_remove("MONGODB_URI").env_remove("MONGODB_DB_NAME");
    command
}

pub fn http(socket: &Path) -> reqwest::Client {
    reqwest::Client::builder().unix_socket(socket.to_owned()).build().unwrap()
}

fn write_configuration(folder: &Path, gateway_keys: &str, rest: &str) {
    let path = |name: &str| folder.join(name).display().to_string();
    let text = format!(
        "[gateway]\n{gateway_keys}\ndata_dir = \"{}\"\nruntime_dir = \"{}\"\n{rest}\n",
        path("data"),
        path("run")
    );
    fs::write(folder.join("maestro.toml"), text).unwrap();
}

fn spawn(folder: &Path, environment: &[(String, String)]) -> Child {
    let log = fs::OpenOptions::new().create(true).append(true).open(folder.join("log")).unwrap();
    maestro()
        .arg("--config")
        .arg(folder.join("maestro.toml"))
        .args(["--log", "info,adapter_api=debug"])
        .arg("run")
        .envs(environment.iter().cloned())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}

fn read_log(folder: &Path) -> String {
    fs::read_to_string(folder.join("log")).unwrap_or_default()
}
