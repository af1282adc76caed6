//! Names of the local topics, and what a topic name means. Pure.

use adapter_api::DeviceId;

/// One device's topics out, and their last levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Leaf {
    State,
    Availability,
    Error,
    Progress,
    Result,
}

impl Leaf {
    const fn as_str(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Availability => "availability",
            Self::Error => "error",
            Self::Progress => "progress",
            Self::Result => "result",
        }
    }
}

/// Where a command was sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target<'a> {
    /// `<base>/command`: the message names the device, or is an array of such.
    Any,
    /// `<base>/command/cancel`.
    Cancel,
    /// `<base>/device/<id>/set`.
    Device(&'a str),
    /// `<base>/device/<id>/set/<setpoint>`.
    Setpoint(&'a str, &'a str),
}

/// All topics below one base.
#[derive(Debug, Clone)]
pub(super) struct Topics {
    base: String,
}

impl Topics {
    pub fn new(base: &str) -> Self {
        Self { base: base.to_owned() }
    }

    pub fn status(&self) -> String {
        format!("{}/status", self.base)
    }

    pub fn result(&self) -> String {
        format!("{}/result", self.base)
    }

    pub fn device(&self, id: &DeviceId, leaf: Leaf) -> String {
        format!("{}/device/{id}/{}", self.base, leaf.as_str())
    }

    /// What is subscribed: what is served and nothing else.
    pub fn filters(&self) -> [String; 4] {
        ["command", "command/cancel", "device/+/set", "device/+/set/+"]
            .map(|below| format!("{}/{below}", self.base))
    }

    /// Where a message was sent to; none when it is no topic of ours.
    pub fn target<'a>(&self, topic: &'a str) -> Option<Target<'a>> {
        let mut levels = self.below(topic)?.split('/');
        let levels = [(); 5].map(|()| levels.next());
        match levels {
            [Some("command"), None, ..] => Some(Target::Any),
            [Some("command"), Some("cancel"), None, ..] => Some(Target::Cancel),
            [Some("device"), Some(device), Some("set"), None, _] if !device.is_empty() => {
                Some(Target::Device(device))
            }
            [Some("device"), Some(device), Some("set"), Some(setpoint), None]
                if !device.is_empty() && !setpoint.is_empty() =>
            {
                Some(Target::Setpoint(device, setpoint))
            }
            _ => None,
        }
    }

    /// Why a Response Topic cannot be answered to, in words.
    pub fn unfit_reply(&self, topic: &str) -> Option<String> {
        if topic.is_empty() || topic.contains(['+', '#', '\0']) || topic.starts_with('$') {
            return Some(format!(
                "the Response Topic `{topic}` cannot be published to: use one without `+`, `#` and a leading `$`"
            ));
        }
        self.takes_commands(topic).then(|| {
            format!("the Response Topic `{topic}` is one of the command topics: the answer would be a command; use another")
        })
    }

    /// Is it a command topic, or a place where one may be later?
    fn takes_commands(&self, topic: &str) -> bool {
        let Some(below) = self.below(topic) else { return false };
        let mut levels = below.split('/');
        match (levels.next(), levels.next(), levels.next()) {
            (Some("command"), _, _) => true,
            (Some("device"), Some(_), Some(leaf)) => leaf == "set",
            _ => false,
        }
    }

    fn below<'a>(&self, topic: &'a str) -> Option<&'a str> {
        topic.strip_prefix(self.base.as_str())?.strip_prefix('/')
    }
}

/// Why a base topic cannot be one, with the remedy.
pub(super) fn unfit_base(base: &str) -> Option<String> {
    let odd = base.is_empty()
        || base.contains(['+', '#'])
        || base.contains(char::is_control)
        || base.starts_with(['$', '/'])
        || base.ends_with('/')
        || base.len() > 200;
    odd.then(|| {
        format!("`{base}` is no base topic: write a name like \"maestro\" or \"home/maestro\", without `+`, `#`, a leading `$` or `/` and a trailing `/`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_topics_are_told_from_all_others() {
        let topics = Topics::new("home/maestro");
        assert_eq!(topics.target("home/maestro/command"), Some(Target::Any));
        assert_eq!(topics.target("home/maestro/command/cancel"), Some(Target::Cancel));
        assert_eq!(topics.target("home/maestro/device/roof/set"), Some(Target::Device("roof")));
        let setpoint = topics.target("home/maestro/device/roof/set/power_limit");
        assert_eq!(setpoint, Some(Target::Setpoint("roof", "power_limit")));
        for other in [
            "maestro/command",
            "home/maestro",
            "home/maestrocommand",
            "home/maestro/command/",
            "home/maestro/command/cancel/all",
            "home/maestro/command/other",
            "home/maestro/device/set",
            "home/maestro/device//set",
            "home/maestro/device//set/power_limit",
            "home/maestro/device/roof/set/",
            "home/maestro/device/roof/set/power_limit/x",
            "home/maestro/device/roof/state",
        ] {
            assert_eq!(topics.target(other), None, "{other}");
        }
    }

    #[test]
    fn every_served_topic_is_subscribed() {
        let topics = Topics::new("maestro");
        let served = ["command", "command/cancel", "device/+/set", "device/+/set/+"];
        assert_eq!(topics.filters(), served.map(|below| format!("maestro/{below}")));
        for filter in topics.filters() {
            let topic = filter.replace('+', "x");
            assert!(topics.target(&topic).is_some() && topics.unfit_reply(&topic).is_some(), "{topic}");
        }
    }

    #[test]
    fn an_answer_is_never_published_where_it_would_be_a_command() {
        let topics = Topics::new("maestro");
        for fine in ["me/answers", "maestro/answers", "maestro/commander", "maestro/device/roof/state"] {
            assert_eq!(topics.unfit_reply(fine), None, "{fine}");
        }
        for loops in
            ["maestro/command", "maestro/command/cancel", "maestro/device/x/set", "maestro/device/x/set/y"]
        {
            assert!(topics.unfit_reply(loops).unwrap().contains("command topics"), "{loops}");
        }
        for odd in ["", "a/+", "a/#", "$SYS/x", "a\0"] {
            assert!(topics.unfit_reply(odd).unwrap().contains("cannot be published to"), "{odd}");
        }
    }

    #[test]
    fn a_base_topic_that_breaks_the_others_is_refused() {
        assert_eq!(unfit_base("maestro"), None);
        assert_eq!(unfit_base("home/1/maestro"), None);
        for odd in ["", "a/+", "#", "/a", "a/", "$SYS", "a\nb"] {
            assert!(unfit_base(odd).is_some(), "{odd:?}");
        }
    }
}
