//! The line before anything is asked: whether a host's name is known, whether a serial port is there
//! and may be used, and who holds it. Never asks a device.

use std::{fs, path::Path};

use adapter_api::Problem;
use tokio_serial::{ErrorKind, SerialPortBuilderExt, SerialStream};

use crate::config::{Address, Host};

/// Where the system names serial ports by what is plugged in.
const BY_ID: &str = "/dev/serial/by-id";
/// The gateway's name among the processes.
const GATEWAY: &str = "maestro";

/// Can the line be opened at all? In words when it cannot.
pub(super) async fn check(address: &Address) -> Result<(), Problem> {
    match address {
        Address::Tcp(host) | Address::RtuOverTcp(host) => known(host).await,
        Address::Rtu(serial) => match tokio_serial::new(&serial.path, serial.baud).open_native_async() {
            Ok(port) => {
                let _: SerialStream = port;
                Ok(())
            }
            Err(error) => Err(refused(&serial.path, error.kind, &error.description)),
        },
    }
}

async fn known(Host { host, port }: &Host) -> Result<(), Problem> {
    match tokio::net::lookup_host((host.as_str(), *port)).await {
        Ok(mut addresses) => match addresses.next() {
            Some(_) => Ok(()),
            None => Err(unknown(host, "it has no address")),
        },
        Err(error) => Err(unknown(host, &error.to_string())),
    }
}

fn unknown(host: &str, why: &str) -> Problem {
    Problem::new(
        format!("The host `{host}` is not known: {why}"),
        "Check how it is written, or write its IP address; the router's page lists them",
    )
}

/// Why a serial port cannot be opened.
fn refused(path: &str, kind: ErrorKind, why: &str) -> Problem {
    match kind {
        ErrorKind::Io(std::io::ErrorKind::NotFound) => Problem::new(
            format!("There is no serial port {path}"),
            format!("Check that the adapter is plugged in; `ls {BY_ID}` shows {}", plugged(Path::new(BY_ID))),
        ),
        ErrorKind::Io(std::io::ErrorKind::PermissionDenied) => Problem::new(
            format!("The serial port {path} may not be used by this user"),
            "Use sudo, or join the group of the port: `sudo usermod -aG dialout $USER`, then log in again",
        ),
        ErrorKind::NoDevice => held(path, holder(Path::new(path))),
        _ => Problem::new(
            format!("{path} cannot be used as a serial port: {why}"),
            format!("Check the path; `ls {BY_ID}` shows {}", plugged(Path::new(BY_ID))),
        ),
    }
}

fn held(path: &str, holder: Option<(u32, String)>) -> Problem {
    let (by, remedy) = match holder {
        Some((_, name)) if name == GATEWAY => (
            "the gateway".to_owned(),
            "Stop it (`systemctl stop maestro`), do this again, and start it (`systemctl start maestro`)",
        ),
        Some((process, name)) => (format!("{name} (process {process})"), "End that program first"),
        None => (
            "another program".to_owned(),
            "If it is the gateway: `systemctl stop maestro`; else `sudo fuser -v` on the port shows who it is",
        ),
    };
    Problem::new(format!("The serial port {path} is held by {by}"), remedy)
}

/// What is plugged in, in words.
fn plugged(folder: &Path) -> String {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    if names.is_empty() { "no serial port at all".to_owned() } else { names.join(", ") }
}

/// Another process that has the file open, as far as this user may see: its id and name. The gateway
/// is named first, for it is the likely one.
fn holder(path: &Path) -> Option<(u32, String)> {
    let real = fs::canonicalize(path).ok()?;
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let own = std::process::id();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let holds = |id: &u32| {
        let open = fs::read_dir(format!("/proc/{id}/fd")).into_iter().flatten().flatten();
        open.into_iter().any(|entry| fs::read_link(entry.path()).is_ok_and(|file| file == real))
    };
    let name = |id: u32| fs::read_to_string(format!("/proc/{id}/comm")).unwrap_or_default().trim().to_owned();
    let holders: Vec<_> = ids.filter(|id| *id != own).filter(holds).map(|id| (id, name(id))).collect();
    holders.iter().find(|(_, name)| name == GATEWAY).or(holders.first()).cloned()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    fn words(problem: &Problem) -> String {
        problem.to_string()
    }

    #[tokio::test]
    async fn a_port_that_is_not_there_and_a_file_that_is_none_say_what_to_do() {
        let problem = check(&"rtu:///dev/ttyNONE7".parse().unwrap()).await.unwrap_err();
        assert!(words(&problem).contains("There is no serial port /dev/ttyNONE7"), "{problem}");
        assert!(words(&problem).contains("ls /dev/serial/by-id"), "{problem}");
        let problem = check(&"rtu:///dev/null".parse().unwrap()).await.unwrap_err();
        assert!(words(&problem).contains("/dev/null cannot be used as a serial port"), "{problem}");
    }

    #[test]
    fn a_port_that_is_not_permitted_names_the_group() {
        let kind = ErrorKind::Io(std::io::ErrorKind::PermissionDenied);
        assert!(words(&refused("/dev/ttyUSB0", kind, "")).contains("usermod -aG dialout"));
    }

    #[tokio::test]
    async fn a_port_that_is_open_elsewhere_says_who_holds_it() {
        let (_line, port) = SerialStream::pair().unwrap();
        let path = tokio_serial::SerialPort::name(&port).unwrap();
        drop(port);
        let free: Address = format!("rtu://{path}").parse().unwrap();
        assert_eq!(check(&free).await, Ok(()));
        let _held = tokio_serial::new(&path, 9_600).open_native_async().unwrap();
        let problem = check(&free).await.unwrap_err();
        assert!(words(&problem).contains(&format!("{path} is held by")), "{problem}");
    }

    #[test]
    fn the_holder_is_named_and_the_gateway_gets_its_own_remedy() {
        let file = std::env::temp_dir().join(format!("maestro-holder-{}", std::process::id()));
        fs::write(&file, "").unwrap();
        assert_eq!(holder(&file), None);
        let input = fs::File::open(&file).unwrap();
        let mut sleeper = Command::new("sleep").arg("60").stdin(Stdio::from(input)).spawn().unwrap();
        let found = holder(&file);
        sleeper.kill().unwrap();
        sleeper.wait().unwrap();
        fs::remove_file(&file).unwrap();
        assert_eq!(found, Some((sleeper.id(), "sleep".to_owned())));
        let process = format!("sleep (process {})", sleeper.id());
        assert!(words(&held("/dev/x", found)).contains(&process));
        let gateway = words(&held("/dev/x", Some((1, "maestro".to_owned()))));
        assert!(gateway.contains("held by the gateway") && gateway.contains("systemctl stop maestro"));
        assert!(words(&held("/dev/x", None)).contains("fuser"));
    }

    #[tokio::test]
    async fn a_host_without_an_address_is_unknown() {
        let problem = check(&"tcp://[fe80::1%nowhere]".parse().unwrap()).await.unwrap_err();
        assert!(words(&problem).contains("The host `fe80::1%nowhere` is not known"), "{problem}");
        assert_eq!(check(&"tcp://127.0.0.1".parse().unwrap()).await, Ok(()));
    }
}
