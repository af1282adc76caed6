//! The journal's records as `mongo` takes them: neither knows the other.

use adapter_api::{CommandSource, EnergyRole, Usage};

use super::Identity;
use crate::{
    journal::{CommandRow, DeviceRow, EnergyBasis, Event, Flow, LeaseTerms, Stored},
    mongo::{
        CommandEvent, CommandInput, DeviceInput, Direction, EnergyInput, FlowInput, LeaseInput,
        MeasurementInput, object_id,
    },
};

/// A reading. `device_id` is its device's in MongoDB; without `row` no counter is the main one.
pub(super) fn measurement<'a>(
    stored: &'a Stored,
    row: Option<&DeviceRow>,
    identity: &'a Identity,
    device_id: &'a str,
    installation: &[u8; 16],
) -> MeasurementInput<'a> {
    let energy = stored.energy;
    MeasurementInput {
        id: object_id(stored.reading.measured_at.wall_ms, installation, stored.number),
        device_id,
        user_id: identity.user(),
        gateway_id: &identity.gateway_id,
        reading: &stored.reading,
        energy: EnergyInput {
            basis: match energy.basis {
                EnergyBasis::None => None,
                EnergyBasis::Counter => Some("counter"),
                EnergyBasis::Integrated => Some("integrated"),
            },
            main: row.map(main_counter),
            consumed: flow(energy.consumed),
            produced: flow(energy.produced),
        },
    }
}

const fn flow(flow: Flow) -> FlowInput {
    FlowInput { total: flow.total, increment: flow.increment }
}

/// What generates and what stores counts what comes out of it; so does a meter that measures such.
const fn main_counter(row: &DeviceRow) -> Direction {
    match (row.info.role, row.info.usage) {
        (EnergyRole::Producer | EnergyRole::Storage, _) | (_, Some(Usage::Pv | Usage::Battery)) => {
            Direction::Produced
        }
        _ => Direction::Consumed,
    }
}

/// A device.
pub(super) fn device<'a>(
    row: &'a DeviceRow,
    identity: &'a Identity,
    device_id: &'a str,
    now: i64,
) -> DeviceInput<'a> {
    DeviceInput {
        user_id: identity.user(),
        device_id,
        gateway_id: &identity.gateway_id,
        info: &row.info,
        adapter: &row.adapter,
        availability: row.availability,
        problem: row.problem.is_some(),
        seen_at: row.seen_at,
        now,
    }
}

/// A command.
pub(super) fn command<'a>(
    row: &'a CommandRow,
    device_name: Option<&'a str>,
    identity: &'a Identity,
    device_id: &'a str,
    installation: &[u8; 16],
) -> CommandInput<'a> {
    CommandInput {
        id: object_id(row.accepted_at, installation, row.number),
        user_id: identity.user(),
        device_id,
        gateway_id: &identity.gateway_id,
        device_name,
        command_id: &row.id,
        command: &row.command,
        parameters: &row.parameters,
        priority: row.priority,
        source: row.source,
        owner: &row.owner,
        status: row.status,
        outcome: row.outcome,
        correlation_id: row.correlation_id.as_deref(),
        batch_id: row.batch_id.as_deref(),
        accepted_at: row.accepted_at,
        scheduled_at: row.scheduled_at,
        expires_at: row.expires_at,
        executed_at: row.executed_at,
        completed_at: row.completed_at,
        attempts: row.attempts,
        max_retries: row.max_retries,
        verified: row.verified,
        written: row.written,
        observed: row.observed.as_ref(),
        error: row.error.as_ref().map(|(_, message)| message.as_str()),
        superseded_by: row.superseded_by.as_deref(),
        lease: row.lease.as_ref().map(lease),
        effect: row.effect,
        reverts: row.reverts.as_deref(),
        events: row.events.iter().map(|event| self::event(event, row)).collect(),
    }
}

fn lease(lease: &LeaseTerms) -> LeaseInput<'_> {
    LeaseInput {
        lasts_ms: lease.lasts_ms,
        command: &lease.revert.command,
        parameters: &lease.revert.parameters,
    }
}

/// What the asker did comes from the asker's kind of source; all else the gateway did.
fn event<'a>(event: &'a Event, row: &CommandRow) -> CommandEvent<'a> {
    let source = if event.by == row.owner { row.source } else { CommandSource::System };
    CommandEvent { at: event.at, status: event.status, source, owner: &event.by, reason: &event.reason }
}
