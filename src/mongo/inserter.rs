//! Measurements, each exactly once.
//!
//! Documents: the `_id` is unique, so the same documents are sent again until each is there, and
//! "duplicate" (11000) means that it is. Nothing else does.
//!
//! Time series: an `_id` is not unique there. All writes go through one explicit session. After any
//! error nobody knows what arrived, or still will: a *fence* (an update of the gateway's checkpoint
//! in the same session) comes first, because the server runs one operation of a session at a time
//! and refuses an older one after it; then what is there is read back, and only the rest is sent.
//! What another process may have sent is read back as well (there is no session to fence then).

use std::collections::HashSet;

use futures_util::TryStreamExt;
use mongodb::{
    ClientSession,
    bson::{DateTime, Document, doc, oid::ObjectId},
    error::{ErrorKind, InsertManyError},
    options::InsertManyOptions,
};

use super::{
    CHECKPOINTS, CollectionKind, Connection, MEASUREMENTS, MongoError,
    connection::{deadline, within},
    error::{is_for_good, short},
};

/// A document that MongoDB will never take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Which one, as its place in what was given.
    pub index: usize,
    /// Why.
    pub reason: String,
}

/// Sends measurements. One per gateway, for the life of the process: its session is what makes the
/// fence work.
pub struct Inserter {
    connection: Connection,
    gateway_id: String,
    kind: CollectionKind,
    session: Option<ClientSession>,
    /// May something that was sent in this session be there, or still arrive?
    doubt: bool,
}

/// There already.
const DUPLICATE: i32 = 11000;

impl Inserter {
    /// Nothing is sent yet; `kind` is what [`super::prepare`] found.
    pub fn new(connection: Connection, gateway_id: &str, kind: CollectionKind) -> Self {
        Self { connection, gateway_id: gateway_id.to_owned(), kind, session: None, doubt: false }
    }

    /// After a pause the collection may lie otherwise.
    pub fn set_kind(&mut self, kind: CollectionKind) {
        self.kind = kind;
    }

    /// Sends documents. After an error the caller gives the same ones, and maybe more, until this
    /// is `Ok`: then each is on disk at the majority, except those refused for good. `maybe_there`
    /// says that a process before this one may have sent some.
    ///
    /// # Errors
    /// Any of them is to be tried again, later.
    pub async fn insert(
        &mut self,
        documents: &[Document],
        maybe_there: bool,
    ) -> Result<Vec<Refusal>, MongoError> {
        let mut there = HashSet::new();
        if self.kind == CollectionKind::TimeSeries && !documents.is_empty() {
            if self.doubt {
                self.fence().await?;
            }
            if self.doubt || maybe_there {
                there = self.read_back(documents).await?;
            }
        }
        let missing: Vec<usize> = (0..documents.len())
            .filter(|&i| !documents[i].get_object_id("_id").is_ok_and(|id| there.contains(&id)))
            .collect();
        // Whatever interrupts this call, even that it is dropped, leaves a doubt.
        self.doubt = true;
        let mut refusals = Vec::new();
        let mut work = vec![missing];
        while let Some(part) = work.pop() {
            if part.is_empty() {
                continue;
            }
            match self.attempt(documents, &part).await {
                Ok(refused) => refusals.extend(refused),
                // The server names no document: halve until the one is found.
                Err(MongoError::Refused { .. }) if part.len() > 1 => {
                    let (left, right) = part.split_at(part.len() / 2);
                    work.extend([right.to_vec(), left.to_vec()]);
                }
                Err(MongoError::Refused { reason, .. }) => refusals.push(Refusal { index: part[0], reason }),
                Err(other) => return Err(other),
            }
        }
        self.doubt = false;
        Ok(refusals)
    }

    /// One insert of the documents at these places.
    async fn attempt(
        &mut self,
        documents: &[Document],
        places: &[usize],
    ) -> Result<Vec<Refusal>, MongoError> {
        let collection = self.connection.collection(MEASUREMENTS);
        let options = InsertManyOptions::builder().ordered(false).build();
        let insert = collection.insert_many(places.iter().map(|&i| &documents[i])).with_options(options);
        let answer = if self.kind == CollectionKind::TimeSeries {
            deadline(insert.session(self.session().await?)).await?
        } else {
            deadline(insert).await?
        };
        match answer {
            Ok(_) => Ok(Vec::new()),
            Err(error) => match &*error.kind {
                ErrorKind::InsertMany(errors) => judge(errors, places),
                _ => Err(error.into()),
            },
        }
    }

    async fn session(&mut self) -> Result<&mut ClientSession, MongoError> {
        if self.session.is_none() {
            let start = self.connection.client().start_session().causal_consistency(false);
            self.session = Some(within(start).await?);
        }
        Ok(self.session.as_mut().expect("it was made just now"))
    }

    async fn fence(&mut self) -> Result<(), MongoError> {
        let checkpoints = self.connection.collection(CHECKPOINTS);
        let update = doc! { "$inc": { "fences": 1_i64 }, "$set": { "at": DateTime::now() } };
        let key = doc! { "_id": &self.gateway_id };
        within(checkpoints.update_one(key, update).upsert(true).session(self.session().await?))
            .await
            .map(|_| ())
    }

    /// Ids that are there, of the devices and the time of these documents.
    async fn read_back(&self, documents: &[Document]) -> Result<HashSet<ObjectId>, MongoError> {
        let devices: HashSet<&str> = documents.iter().filter_map(|d| d.get_str("deviceId").ok()).collect();
        let times = || documents.iter().filter_map(|d| d.get_datetime("timestamp").ok());
        let (Some(first), Some(last)) = (times().min(), times().max()) else { return Ok(HashSet::new()) };
        let range = doc! {
            "deviceId": { "$in": devices.into_iter().collect::<Vec<_>>() },
            "timestamp": { "$gte": first, "$lte": last },
        };
        let collection = self.connection.collection(MEASUREMENTS);
        let cursor = within(collection.find(range).projection(doc! { "_id": 1 })).await?;
        let ids = cursor.try_fold(HashSet::new(), |mut ids, document| {
            ids.extend(document.get_object_id("_id").ok());
            std::future::ready(Ok(ids))
        });
        within(ids).await
    }
}

/// What single documents' errors mean.
fn judge(errors: &InsertManyError, places: &[usize]) -> Result<Vec<Refusal>, MongoError> {
    if let Some(unconfirmed) = &errors.write_concern_error {
        return Err(MongoError::Failed(short(&format!(
            "the write is not confirmed: {}",
            unconfirmed.message
        ))));
    }
    let mut refusals = Vec::new();
    for error in errors.write_errors.iter().flatten().filter(|error| error.code != DUPLICATE) {
        let text = short(&format!("error {}: {}", error.code, error.message));
        if !is_for_good(error.code) {
            return Err(MongoError::Failed(text));
        }
        if let Some(&index) = places.get(error.index) {
            refusals.push(Refusal { index, reason: text });
        }
    }
    Ok(refusals)
}
