//! The name of the broker's session, kept in the journal's notes.

use crate::{journal::Journal, mqtt_api::SPACE};

/// Key of the session's name in the notes.
const SESSION: &str = "session";

/// The name of the broker's session.
#[derive(Default)]
pub(in crate::mqtt_api) struct Session {
    name: Option<String>,
    kept: bool,
}

impl Session {
    pub async fn connected(&mut self, present: bool, journal: &Journal) {
        if !present {
            *self = Self::new();
            self.name(journal).await;
        } else if self.name.is_none()
            && let Ok(Some(note)) = journal.reader().note(SPACE, SESSION).await
            && let Ok(name) = String::from_utf8(note)
        {
            *self = Self { name: Some(name), kept: true };
        }
    }

    fn new() -> Self {
        Self { name: Some(uuid::Uuid::now_v7().to_string()), kept: false }
    }

    /// The name, kept before it is first used.
    pub async fn name(&mut self, journal: &Journal) -> &str {
        if self.name.is_none() {
            *self = Self::new();
        }
        let name = self.name.get_or_insert_default();
        if !self.kept {
            // A disk that cannot take this takes no command either; it is tried with the next one.
            self.kept = journal.put_note(SPACE, SESSION, Some(name.clone().into_bytes())).await.is_ok();
        }
        name
    }
}
