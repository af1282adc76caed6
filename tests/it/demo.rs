//! `maestro demo` and `maestro simulate`, as a newcomer runs them.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use crate::parts::{free_port, maestro, until_true};

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn the_demo_shows_a_living_home_and_its_printed_lines_move_the_battery() {
    let port = free_port().to_string();
    let mut child = maestro()
        .args(["demo", "--mqtt-port", &port])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let heard = lines.clone();
    let output = BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            heard.lock().unwrap().push(line);
        }
    });
    let running = Running(child);
    let said = |words: &str| lines.lock().unwrap().iter().any(|line| line.contains(words));
    for device in ["roof ", "roof-battery ", "roof-grid ", "house "] {
        until_true(&format!("{device}in the table"), || {
            lines.lock().unwrap().iter().any(|line| line.contains(device) && line.contains(" W "))
        })
        .await;
    }
    // What it prints is what one types.
    let line = |start: &str| {
        lines.lock().unwrap().iter().find(|line| line.trim().starts_with(start)).cloned().unwrap()
    };
    let publish = line("mosquitto_pub");
    assert!(Command::new("sh").args(["-c", &publish]).status().unwrap().success(), "{publish}");
    until_true("the command from the printed line ended well", || {
        said("roof-battery set_battery_mode mode=charge power=2000 → completed")
    })
    .await;
    let send =
        lines.lock().unwrap().iter().find(|line| line.contains(" send roof-battery")).cloned().unwrap();
    let sent = Command::new("sh").args(["-c", &send]).output().unwrap();
    assert!(String::from_utf8_lossy(&sent.stdout).contains("completed"), "{send}: {sent:?}");
    Command::new("kill").args(["-INT", &running.0.id().to_string()]).status().unwrap();
    let mut running = running;
    let status =
        crate::parts::until("the demo ends", || std::future::ready(running.0.try_wait().unwrap())).await;
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn simulate_serves_a_device_and_an_unknown_one_lists_them_all() {
    let unknown = maestro().args(["simulate", "toaster"]).output().unwrap();
    let said = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(!unknown.status.success() && said.contains("eastron-sdm630") && said.contains("home"), "{said}");
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    let _running = Running(
        maestro()
            .args(["simulate", "eastron-sdm630", "--listen", &listen])
            .stdout(Stdio::null())
            .spawn()
            .unwrap(),
    );
    until_true("it listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()).await;
}
