//! Retained messages of the embedded broker, in memory.
//!
//! Owns the tree of the last retained message of each topic, bounded in count and depth. rmqtt asks
//! for it through its `RetainStorage`; its own default answers that with nothing, so this one stands
//! over the default's tree. Never: a file, a message past its expiry.

use std::{
    num::NonZeroU32,
    pin::Pin,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rmqtt::{
    Result,
    retain::{DefaultRetainStorage, RetainStorage},
    topic::Topic,
    types::{Retain, TopicFilter, TopicName},
};

/// Topics with a retained message. A large home has some hundreds of entities of Home Assistant with
/// two each; what comes from a client that invents topics without end is not kept.
const MAX_RETAINED: isize = 50_000;
/// The tree is walked by recursion, so its depth must be bounded.
pub(super) const MAX_TOPIC_LEVELS: usize = 64;

/// The last retained message of each topic.
#[derive(Default)]
pub(super) struct Retained {
    tree: DefaultRetainStorage,
    full: AtomicBool,
}

type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl Retained {
    /// Removes what has expired, again and again.
    pub(super) async fn sweep(&self, every: Duration) {
        loop {
            tokio::time::sleep(every).await;
            self.tree.remove_expired_messages().await;
        }
    }

    pub(super) async fn set(
        &self,
        topic: &TopicName,
        message: Retain,
        expiry: Option<Duration>,
    ) -> Result<()> {
        if topic.split('/').count() > MAX_TOPIC_LEVELS {
            return Ok(());
        }
        let full = self.tree.count().await >= MAX_RETAINED;
        // An empty payload clears, and a known topic takes no more room.
        if full && !message.publish.payload.is_empty() && self.tree.get_message(topic).await?.is_empty() {
            if !self.full.swap(true, Ordering::Relaxed) {
                tracing::warn!(topics = MAX_RETAINED, "too many retained MQTT topics: new ones are not kept");
            }
            return Ok(());
        }
        if !full && self.full.swap(false, Ordering::Relaxed) {
            tracing::info!("retained MQTT topics are kept again");
        }
        // rmqtt says zero where the publisher gave no expiry and the listener has none.
        let expiry = expiry.filter(|expiry| !expiry.is_zero());
        self.tree.set_with_timeout(topic, message, expiry).await
    }

    /// What `get_message` finds, with the expiry lowered to what is left: rmqtt stamps a retained
    /// message with the time of its delivery and would promise the whole interval again.
    pub(super) async fn get(&self, filter: &TopicFilter) -> Result<Vec<(TopicName, Retain)>> {
        let found = self.tree.messages.read().await.matches(&Topic::from_str(filter)?);
        let alive = found.into_iter().filter(|(_, message)| !message.is_expired());
        Ok(alive
            .map(|(topic, message)| {
                let left = message.remaining();
                let mut message = message.into_value();
                if let (Some(left), Some(properties)) = (left, &mut message.publish.properties) {
                    let seconds = u32::try_from(left.as_secs()).unwrap_or(u32::MAX).max(1);
                    properties.message_expiry_interval = NonZeroU32::new(seconds);
                }
                (TopicName::from(topic.to_string()), message)
            })
            .collect())
    }
}

/// [`Retained`] as rmqtt wants it. The futures are boxed by hand: that is all that `async_trait`
/// would do here.
pub(super) struct RetainedPort(pub(super) Arc<Retained>);

impl RetainStorage for RetainedPort {
    fn enable(&self) -> bool {
        true
    }

    fn set<'a, 'b, 'c>(
        &'a self,
        topic: &'b TopicName,
        message: Retain,
        expiry: Option<Duration>,
    ) -> Answer<'c, Result<()>>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        Box::pin(self.0.set(topic, message, expiry))
    }

    fn get<'a, 'b, 'c>(&'a self, filter: &'b TopicFilter) -> Answer<'c, Result<Vec<(TopicName, Retain)>>>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        Box::pin(self.0.get(filter))
    }

    fn count<'a, 'c>(&'a self) -> Answer<'c, isize>
    where
        'a: 'c,
        Self: 'c,
    {
        self.0.tree.count()
    }

    fn max<'a, 'c>(&'a self) -> Answer<'c, isize>
    where
        'a: 'c,
        Self: 'c,
    {
        self.0.tree.max()
    }
}
