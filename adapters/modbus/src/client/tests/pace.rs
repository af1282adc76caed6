//! How long the link waits: for a connection, after it, and between two requests. Nothing is waited for
//! less than it was told; how much more is the machine's affair.

use simulator::{RegisterMap, Server, Units};

use super::*;

const PAUSE: Duration = Duration::from_millis(80);

async fn server() -> Server {
    let map = RegisterMap::new().holding(0, &[7; 10]);
    Server::start("127.0.0.1:0".parse().unwrap(), Units::one(UNIT, map)).await.unwrap()
}

fn link(address: std::net::SocketAddr, keys: &str) -> Link {
    let settings: Settings = toml::from_str(&format!("address = 'tcp://{address}'\n{keys}")).unwrap();
    Link::new(settings.address.parse().unwrap(), &settings)
}

/// A listener that never accepts, with no room for another connection.
#[tokio::test]
async fn a_peer_that_never_takes_the_connection_is_given_up_after_connect_timeout() {
    use socket2::{Domain, Socket, Type};
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    listener.bind(&any.into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let mut waiting = Vec::new();
    let room = async {
        loop {
            waiting.push(tokio::net::TcpStream::connect(address).await.unwrap());
        }
    };
    assert!(tokio::time::timeout(Duration::from_millis(500), room).await.is_err(), "it takes more and more");
    let mut link = link(address, "connect_timeout = '70ms'");
    let error = soon(link.write(UNIT, PACE, 0, &[1])).await.unwrap_err();
    assert_eq!(error, LinkError::Unreachable("not connected within 70ms".to_owned()));
    drop(waiting);
}

#[tokio::test]
async fn the_first_request_waits_after_connecting_for_as_long_as_is_configured() {
    let server = server().await;
    let mut link = link(server.addr(), "pause_after_connect = '80ms'");
    for again in 0..2 {
        let before = std::time::Instant::now();
        assert_eq!(read(&mut link, 1, 1).await, Ok(vec![7]));
        assert_eq!(read(&mut link, 1, 1).await, Ok(vec![7]));
        assert!(server.port().arrivals(UNIT)[2 * again] - before >= PAUSE);
        link.close();
    }
    assert_eq!(server.port().connections(), 2);
}

#[tokio::test]
async fn two_requests_are_at_least_spacing_apart_also_to_different_units_and_on_a_new_connection() {
    let server = server().await;
    let mut link = link(server.addr(), "");
    let pace = Pace { spacing: PAUSE, ..PACE };
    for round in 0..4 {
        assert_eq!(soon(link.read(UNIT, pace, Function::Holding, 1, 1)).await, Ok(vec![7]));
        if round == 2 {
            link.close();
        }
    }
    let elsewhere = soon(link.read(2, pace, Function::Holding, 1, 1)).await;
    assert_eq!(elsewhere, Err(LinkError::Exception(11)), "nobody is there");
    let mut arrivals = server.port().arrivals(UNIT);
    arrivals.extend(server.port().arrivals(2));
    assert_eq!(arrivals.len(), 5);
    assert!(arrivals.windows(2).all(|two| two[1] - two[0] >= PAUSE), "{arrivals:?}");
}

#[tokio::test]
async fn what_a_profile_needs_of_the_connection_is_heeded_beside_what_is_configured() {
    use adapter_api::{Span, profile::Limits};
    let server = server().await;
    let mut link = link(server.addr(), "idle_close = '1h'");
    let idle_close = Some(Span(Duration::from_millis(20)));
    link.heed(&Limits { pause_after_connect: Span(PAUSE), idle_close, ..Limits::default() });
    // What asks for less changes nothing.
    link.heed(&Limits::default());
    let before = std::time::Instant::now();
    assert_eq!(read(&mut link, 1, 1).await, Ok(vec![7]));
    assert!(server.port().arrivals(UNIT)[0] - before >= PAUSE);
    soon(link.rest()).await;
    assert!(link.live.is_none());
}
