//! Server-sent events.

use reqwest::Method;
use serde_json::{Value, json};

use super::{all_doors, client, http, texts};

/// Names and data of the events of a whole stream.
fn events(text: &str) -> Vec<(String, Value)> {
    let event = |block: &str| {
        let field =
            |key: &str| block.lines().find_map(|line| Some(line.strip_prefix(key)?.trim().to_owned()));
        Some((field("event:")?, serde_json::from_str(&field("data:")?).unwrap()))
    };
    text.split("\n\n").filter_map(event).collect()
}

#[tokio::test]
async fn the_events_of_a_command_begin_with_how_it_stands_and_end_with_its_result() {
    let (_broker, _home, gateway) = all_doors().await;
    let soon = jiff::Timestamp::now().as_millisecond() + 1_500;
    gateway.post("house", json!({"id": "watched", "command": "refresh", "scheduledAt": soon})).await;
    let stream = client(&gateway).get("http://maestro/v1/commands/watched/events").send().await.unwrap();
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    // It ends by itself.
    let events_seen = events(&stream.text().await.unwrap());
    let names: Vec<_> = events_seen.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["accepted", "executing", "result"]);
    assert!(events_seen.iter().all(|(_, data)| data["id"] == "watched"));
    assert_eq!(events_seen[2].1, gateway.get("/v1/commands/watched").await);
    let again = client(&gateway).get("http://maestro/v1/commands/watched/events").send().await.unwrap();
    assert_eq!(events(&again.text().await.unwrap()), events_seen[2..]);
    let (status, _) = http(&gateway, Method::GET, "/v1/commands/nobody/events", None).await;
    assert_eq!(status.as_u16(), 404);
}

#[tokio::test]
async fn the_events_of_a_device_go_on_until_the_gateway_stops() {
    let (_broker, _home, mut gateway) = all_doors().await;
    let url = "http://maestro/v1/commands/events?device=house";
    let mut stream = client(&gateway).get(url).send().await.unwrap();
    gateway.post("roof", json!({"id": "other", "command": "refresh"})).await;
    gateway.result("other").await;
    gateway.post("house", json!({"id": "mine", "command": "refresh"})).await;
    let mut text = String::new();
    while !text.contains("event: result") {
        text.push_str(std::str::from_utf8(&stream.chunk().await.unwrap().unwrap()).unwrap());
    }
    let seen = events(&text);
    assert!(seen.iter().all(|(_, data)| data["id"] == "mine"), "{seen:?}");
    assert_eq!(seen.first().unwrap().0, "accepted");
    assert!(gateway.stop().await.success());
    while stream.chunk().await.unwrap().is_some() {}
    let wrong = gateway.cli(&["commands", "--follow"]).await;
    assert!(texts(&wrong).1.contains("no gateway answers"), "{:?}", texts(&wrong));
}
