//! Server-sent events, as they come from the daemon. Pure.

use serde_json::Value;

/// Bytes without the end of an event that are still believed to be one.
const LARGEST: usize = 4 * 1024 * 1024;

/// One event.
#[derive(Debug, PartialEq)]
pub struct Event {
    pub name: String,
    pub data: Value,
}

/// Bytes that are no whole event yet.
#[derive(Default)]
pub struct Events {
    held: Vec<u8>,
}

impl Events {
    /// Takes bytes in; gives the events that they complete. Comments and what is no JSON is left out.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<Event> {
        self.held.extend_from_slice(bytes);
        let mut events = Vec::new();
        while let Some(end) = self.held.windows(2).position(|pair| pair == b"\n\n") {
            let text: Vec<u8> = self.held.drain(..end + 2).collect();
            events.extend(event(&String::from_utf8_lossy(&text)));
        }
        if self.held.len() > LARGEST {
            self.held.clear();
        }
        events
    }
}

fn event(text: &str) -> Option<Event> {
    let field = |key: &str| {
        let lines = text.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        lines.map(|value| value.strip_prefix(' ').unwrap_or(value)).collect::<Vec<_>>().join("\n")
    };
    Some(Event { name: field("event"), data: serde_json::from_str(&field("data")).ok()? })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_come_out_whole_however_they_arrive() {
        let stream = b": alive\n\nevent: accepted\ndata: {\"id\": \"a\"}\n\nevent: result\ndata: {\"id\":\ndata: \"b\"}\n\n";
        let mut events = Events::default();
        let found: Vec<_> = stream.chunks(3).flat_map(|bytes| events.take(bytes)).collect();
        let event = |name: &str, id: &str| Event { name: name.into(), data: json!({"id": id}) };
        assert_eq!(found, [event("accepted", "a"), event("result", "b")]);
        assert_eq!(Events::default().take(stream), found);
    }
}
