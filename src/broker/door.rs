//! Who may connect: the check of name and password, as a hook of rmqtt. Never keeps or prints what a
//! client showed.

use std::{
    collections::HashSet,
    pin::Pin,
    sync::{Mutex, PoisonError},
};

use rmqtt::{
    hook::{Handler, HookResult, Parameter, ReturnType},
    types::{AuthResult, ConnectInfo},
};

use super::Password;

/// Refused clients that are remembered, so that each is told once and not each time it tries.
const MAX_TOLD: usize = 64;

/// Lets in who knows name and password.
pub(super) struct Door {
    username: String,
    password: Password,
    told: Mutex<HashSet<String>>,
}

impl Door {
    pub(super) fn new(username: String, password: Password) -> Self {
        Self { username, password, told: Mutex::default() }
    }

    fn admits(&self, username: Option<&str>, password: Option<&[u8]>) -> bool {
        // Both are compared whatever the first says: the time of the answer tells nothing.
        let name = same(self.username.as_bytes(), username.unwrap_or_default().as_bytes());
        let password = same(self.password.0.as_bytes(), password.unwrap_or_default());
        name & password
    }

    /// Logs the first refusal of a client and its first success after that.
    fn tell(&self, client: &ConnectInfo, admitted: bool) {
        let id: &str = &client.id().client_id;
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if admitted {
            if told.remove(id) {
                tracing::info!(client = id, "MQTT client is let in again");
            }
        } else if told.len() < MAX_TOLD && told.insert(id.to_owned()) {
            let from = client.ipaddress();
            tracing::warn!(client = id, ?from, "MQTT client refused: wrong username or password");
        }
    }
}

/// Equality in a time that depends on the lengths alone.
fn same(ours: &[u8], theirs: &[u8]) -> bool {
    ours.len() == theirs.len() && ours.iter().zip(theirs).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

impl Handler for Door {
    fn hook<'a, 'b, 'd>(
        &'a self,
        parameter: &'b Parameter<'_>,
        so_far: Option<HookResult>,
    ) -> Pin<Box<dyn Future<Output = ReturnType> + Send + 'd>>
    where
        'a: 'd,
        'b: 'd,
        Self: 'd,
    {
        let answer = match parameter {
            Parameter::ClientAuthenticate(client) => {
                let (name, password) = (client.username().map(|n| &**n), client.password().map(|p| &**p));
                let admitted = self.admits(name, password);
                self.tell(client, admitted);
                let result =
                    if admitted { AuthResult::Allow(false, None) } else { AuthResult::BadUsernameOrPassword };
                (false, Some(HookResult::AuthResult(result)))
            }
            _ => (true, so_far),
        };
        Box::pin(std::future::ready(answer))
    }
}
