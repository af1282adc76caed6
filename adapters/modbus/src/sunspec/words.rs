//! What is wrong with a SunSpec unit, in words that name the remedy.

use adapter_api::{Fault, Problem};

use super::{discovery::DiscoveryError, snapshot::SnapshotError};
use crate::port::Port;

pub(super) fn fault(port: &Port<'_>, error: &SnapshotError) -> Fault {
    match error {
        SnapshotError::Link(error) => port.fault(error),
        SnapshotError::Moved => moved(port),
        SnapshotError::Torn => torn(port),
    }
}

pub(super) fn no_map(port: &Port<'_>, error: &DiscoveryError) -> Fault {
    match error {
        DiscoveryError::Link(error) => port.fault(error),
        DiscoveryError::NotSunspec => Fault::Answered(Problem::new(
            format!("{}: {error}", port.place()),
            "Check the unit id, and that SunSpec is switched on in the device; else use a profile of its maker",
        )),
    }
}

/// Nobody but the device can say why; what its other models show must not get another one's name.
pub(super) fn refuses(port: &Port<'_>) -> Fault {
    Fault::Answered(Problem::new(
        format!("{}: it refuses to show a SunSpec model that it showed before", port.place()),
        "Nothing to do if it sleeps: it is searched again; else look for a fault on its display",
    ))
}

pub(super) fn changed(port: &Port<'_>) -> Fault {
    Fault::Answered(Problem::new(
        format!("{}: it shows SunSpec models that it did not show before", port.place()),
        "Nothing to do: it is asked again at once for what it has",
    ))
}

pub(super) fn useless(port: &Port<'_>) -> Fault {
    Fault::Answered(Problem::new(
        format!("{}: it has no SunSpec model of an inverter, a battery or a meter", port.place()),
        "Use a profile of its maker, and look with `maestro probe` at what it has",
    ))
}

pub(super) fn torn(port: &Port<'_>) -> Fault {
    Fault::Answered(Problem::new(
        format!("{}: {}", port.place(), SnapshotError::Torn),
        "Nothing to do: it is read again",
    ))
}

pub(super) fn moved(port: &Port<'_>) -> Fault {
    Fault::Answered(Problem::new(
        format!("{}: its SunSpec models are no longer where they were", port.place()),
        "Nothing to do: they are searched again; an update or a switch between integer and float models does this",
    ))
}
