//! A real mosquitto on a free port.

use std::{
    fs,
    net::TcpStream,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use super::{free_port, until_true};

pub struct Mosquitto {
    child: Child,
    folder: TempDir,
    pub port: u16,
}

impl Mosquitto {
    pub async fn start() -> Self {
        Self::start_with("max_queued_messages 0").await
    }

    /// With these lines in its configuration instead of the one that README asks for.
    pub async fn start_with(lines: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let port = free_port();
        let text = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {}/\n\
             autosave_interval 1\n{lines}\nuser root\n",
            folder.path().display()
        );
        fs::write(folder.path().join("mosquitto.conf"), text).unwrap();
        let mosquitto = Self { child: spawn(&folder), folder, port };
        mosquitto.wait().await;
        mosquitto
    }

    /// The `[mqtt_api]` section that speaks to it.
    pub fn section(&self) -> String {
        format!("[mqtt_api]\nurl = \"mqtt://127.0.0.1:{}\"\n", self.port)
    }

    /// In good order, so that it keeps its sessions and retained messages.
    pub fn stop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        self.child.wait().unwrap();
    }

    /// While it is stopped: loses its sessions and retained messages.
    pub fn forget(&self) {
        fs::remove_file(self.folder.path().join("mosquitto.db")).unwrap();
    }

    pub async fn start_again(&mut self) {
        self.child = spawn(&self.folder);
        self.wait().await;
    }

    async fn wait(&self) {
        let port = self.port;
        until_true("mosquitto listens", || TcpStream::connect(("127.0.0.1", port)).is_ok()).await;
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(folder: &TempDir) -> Child {
    let there = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"]
        .into_iter()
        .find(|path| fs::exists(path).unwrap_or(false));
    Command::new(there.unwrap_or("mosquitto"))
        .arg("-c")
        .arg(folder.path().join("mosquitto.conf"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("mosquitto cannot be run ({error}); run scripts/test, which brings it, or install the package mosquitto")
        })
}
