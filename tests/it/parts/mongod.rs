//! A real mongod on a free port.

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use mongodb::{
    Client, Collection, Database,
    bson::{Document, doc},
    options::ClientOptions,
};
use tempfile::TempDir;

use super::{free_port, until};

/// How it is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Standalone,
    /// A replica set of one node.
    ReplicaSet,
}

pub struct Mongod {
    child: Child,
    folder: TempDir,
    pub port: u16,
    kind: Kind,
}

impl Mongod {
    pub async fn start(kind: Kind) -> Self {
        let folder = TempDir::new().unwrap();
        let port = free_port();
        let mut mongod = Self { child: spawn(&folder, port, kind), folder, port, kind };
        if kind == Kind::ReplicaSet {
            let client = mongod.direct().await;
            until("mongod answers", || {
                let ping = client.database("admin");
                async move { ping.run_command(doc! {"ping": 1}).await.ok() }
            })
            .await;
            let member = doc! {"_id": 0, "host": format!("127.0.0.1:{port}")};
            let set = doc! {"replSetInitiate": {"_id": "rs0", "members": [member]}};
            client.database("admin").run_command(set).await.unwrap();
        }
        mongod.wait_writable().await;
        mongod
    }

    pub fn uri(&self) -> String {
        match self.kind {
            Kind::Standalone => format!("mongodb://127.0.0.1:{}", self.port),
            Kind::ReplicaSet => format!("mongodb://127.0.0.1:{}/?replicaSet=rs0", self.port),
        }
    }

    /// The database that the tests' gateways write to.
    pub async fn database(&self) -> Database {
        self.direct().await.database("maestro")
    }

    pub async fn documents(&self, collection: &str) -> Collection<Document> {
        self.database().await.collection(collection)
    }

    pub async fn all(&self, collection: &str, filter: Document) -> Vec<Document> {
        use futures_util::TryStreamExt;
        let documents = self.documents(collection).await;
        let found = documents.find(filter).sort(doc! {"timestamp": 1}).await.unwrap();
        found.try_collect().await.unwrap()
    }

    /// kill -9.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts again with what is on its disk.
    pub async fn start_again(&mut self) {
        self.child = spawn(&self.folder, self.port, self.kind);
        self.wait_writable().await;
    }

    /// Holds it still: what arrives stays in the kernel's buffers.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on, with what arrived meanwhile too.
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    /// Lets the next `times` commands fail as the fail point's `data` says.
    pub async fn fail(&self, times: i32, data: Document) {
        let fail = doc! {"configureFailPoint": "failCommand", "mode": {"times": times}, "data": data};
        self.direct().await.database("admin").run_command(fail).await.unwrap();
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    async fn direct(&self) -> Client {
        let mut options =
            ClientOptions::parse(format!("mongodb://127.0.0.1:{}/?directConnection=true", self.port))
                .await
                .unwrap();
        options.server_selection_timeout = Some(Duration::from_secs(20));
        Client::with_options(options).unwrap()
    }

    async fn wait_writable(&mut self) {
        let client = self.direct().await;
        let child = &mut self.child;
        until("mongod takes writes", || {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("mongod ended with {status}");
            }
            let admin = client.database("admin");
            async move {
                let hello = admin.run_command(doc! {"hello": 1}).await.ok()?;
                hello.get_bool("isWritablePrimary").ok()?.then_some(())
            }
        })
        .await;
    }
}

impl Drop for Mongod {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(folder: &TempDir, port: u16, kind: Kind) -> Child {
    let program = std::env::var("MONGOD").unwrap_or_else(|_| "mongod".to_owned());
    let mut command = Command::new(&program);
    command
        .args(["--bind_ip", "127.0.0.1", "--wiredTigerCacheSizeGB", "0.25", "--quiet"])
        // Fail points.
        .args(["--setParameter", "enableTestCommands=1"])
        .arg("--port")
        .arg(port.to_string())
        .arg("--dbpath")
        .arg(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if kind == Kind::ReplicaSet {
        command.args(["--replSet", "rs0"]);
    }
    command.spawn().unwrap_or_else(|error| {
        panic!("{program} cannot be run ({error}); run scripts/test, which brings it, or set MONGOD to a mongod from 6.0")
    })
}
