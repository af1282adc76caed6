//! Admission of an array of commands.

use std::time::Duration;

use rumqttc::v5::mqttbytes::v5::Publish;

use super::{Answer, Inbox};
use crate::{
    command::{Batch, BatchAnswer},
    mqtt_api::read::{Refused, Several},
};

/// A redelivery is recognised for so long.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

impl Inbox {
    /// Each of the commands is admitted or refused by itself. Their results go to the common topics;
    /// the asker's own topic gets the summary alone, as the one answer to one request.
    pub(super) async fn submit_all(&mut self, publish: &Publish, several: Several, answer: &mut Answer) {
        let Several { mut batch, understood } = several;
        if let Some(key) = self.key(publish).await {
            for (place, request) in batch.requests.iter_mut().enumerate() {
                let Ok(request) = request else { continue };
                request.redelivery = Some(format!("{key}:{place}"));
                request.redelivered = publish.dup;
            }
        }
        if publish.dup && batch.id.is_none() {
            batch.id = self.id_at_first(&batch).await;
        }
        let asked = batch.requests.clone();
        let BatchAnswer { id, answers } = self.commands.submit_batch(batch).await;
        for ((asked, understood), given) in asked.into_iter().zip(understood).zip(answers) {
            let named = understood.map(|mut request| {
                request.batch_id = Some(id.clone());
                request
            });
            match (asked, given) {
                (Ok(mut request), given) => {
                    request.batch_id = Some(id.clone());
                    self.given(request, given, answer);
                }
                (Err(refusal), _) => {
                    let device = named.as_ref().map(|request| request.device.clone());
                    let refused = Refused { refusal, device, request: named, reply: None };
                    answer.messages.extend(self.refusal(refused));
                }
            }
        }
        if !answer.acknowledge {
            // All of it comes again, and is told then.
            answer.messages.clear();
        }
    }

    /// The batch id that was made when this message came first: an array without one must not be
    /// a second batch when the broker sends it again.
    async fn id_at_first(&self, batch: &Batch) -> Option<String> {
        let remembered = i64::try_from(REMEMBERED.as_millis()).unwrap_or(i64::MAX);
        let since = jiff::Timestamp::now().as_millisecond().saturating_sub(remembered);
        for request in batch.requests.iter().flatten() {
            let key = request.redelivery.as_deref()?;
            if let Ok(Some(row)) = self.journal.reader().command_by_redelivery(key, since).await {
                return row.batch_id;
            }
        }
        None
    }
}
