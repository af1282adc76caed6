//! Filters and statistics.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use simulator::{Fault, Scope};

use super::{all_doors, http, later, texts};

#[tokio::test]
async fn commands_are_found_by_filters_and_counted_by_source_and_device() {
    let (_broker, home, gateway) = all_doors().await;
    let before = jiff::Timestamp::now().as_millisecond() - 1;
    let send = async |device: &str, body: Value| {
        let id = body["id"].as_str().unwrap().to_owned();
        gateway.post(device, body).await;
        gateway.result(&id).await
    };
    send("house", json!({"id": "a", "command": "refresh", "source": "user", "correlationId": "c-1"})).await;
    send("house", json!({"id": "b", "command": "refresh", "source": "automation", "owner": "night"})).await;
    home.hybrid().fault(Fault::Exception(3), Scope::WRITES);
    let limit =
        json!({"id": "c", "command": "set_power_limit", "parameters": {"percent": 50}, "source": "user"});
    assert_eq!(send("roof", limit).await["outcome"], "rejected");
    home.hybrid().clear_faults();
    gateway.post("house", later("d")).await;

    let found = async |query: &str| {
        let answer = gateway.get(&format!("/v1/commands?{query}")).await;
        let rows = answer["commands"].as_array().unwrap_or_else(|| panic!("{query}: {answer}")).clone();
        rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for (query, ids) in [
        ("", &["d", "c", "b", "a"][..]),
        ("limit=2", &["d", "c"]),
        ("correlationId=c-1", &["a"]),
        ("source=user", &["c", "a"]),
        ("source=user&device=house", &["a"]),
        ("owner=http:night", &["b"]),
        ("outcome=rejected", &["c"]),
        ("status=accepted", &["d"]),
        ("status=pending", &["d"]),
        ("status=completed&command=refresh", &["b", "a"]),
        ("since=2100-01-01T00:00:00Z", &[]),
        ("until=2020-01-01T00:00:00Z", &[]),
        (&format!("until={before}"), &[]),
        (&format!("since={before}&command=set_power_limit"), &["c"]),
    ] {
        assert_eq!(found(query).await, ids, "{query}");
    }
    for (query, words) in
        [("since=yesterday", "`since` must be a time"), ("odd=1", "odd"), ("status=x", "pending")]
    {
        let (status, answer) = http(&gateway, Method::GET, &format!("/v1/commands?{query}"), None).await;
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(status == StatusCode::BAD_REQUEST && message.contains(words), "{query}: {answer}");
    }

    let stats = gateway.get("/v1/commands/stats").await;
    let row = |source: &str, device: &str| {
        let rows = stats["stats"].as_array().unwrap().iter();
        let mut fitting = rows.filter(|row| row["source"] == source && row["device"] == device);
        fitting.next().unwrap_or_else(|| panic!("{source} {device}: {stats}")).clone()
    };
    assert_eq!(row("user", "house")["successRate"], 1.0);
    assert!(row("user", "house")["meanResponseMs"].as_f64().unwrap() >= 0.0);
    assert_eq!(
        (&row("user", "roof")["failed"], &row("user", "roof")["successRate"]),
        (&json!(1), &json!(0.0))
    );
    let total = &stats["total"];
    assert_eq!(
        ["total", "completed", "failed", "timeout", "cancelled", "open"]
            .map(|key| total[key].as_u64().unwrap()),
        [4, 2, 1, 0, 0, 1],
        "{stats}"
    );
    assert_eq!(total["successRate"], 0.6667);
    assert_eq!(gateway.get("/v1/commands/stats?device=roof").await["total"]["total"], 1);

    let (out, err) = texts(&gateway.cli(&["commands", "--stats", "--last", "24h"]).await);
    assert!(out.contains("SUCCESS") && out.contains("66.7 %") && out.lines().count() >= 5, "{out}{err}");
    let (out, err) = texts(&gateway.cli(&["commands", "--correlation", "c-1"]).await);
    assert!(out.contains("refresh") && out.lines().count() == 2, "{out}{err}");
    let (out, err) = texts(&gateway.cli(&["commands", "--status", "pending"]).await);
    assert!(out.contains("maestro cancel"), "{out}{err}");
}
