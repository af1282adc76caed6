//! Everything that a unit's models show, once, for an installer who compares it with the display.
//! Reads the whole map block by block; never writes, and takes no part in polling.

use adapter_api::{Fault, profile::Function};

use super::{
    discovery::{Place, Search},
    models::{Block, Field},
    table::{Point, Scale, Table},
    types::Type,
    words::no_map,
};
use crate::{
    client::{LinkError, MAX_READ},
    field::Seen,
    plan::Extent,
    port::Port,
};

/// Every point of every model of the unit, in the order of its map. A point that the device refuses
/// has no registers; of a model that we have no table of, its length alone is told.
///
/// # Errors
/// When the device does not answer, or has no map.
pub(crate) async fn seen(port: &mut Port<'_>) -> Result<Vec<Seen>, Fault> {
    let groups = Search::default().insist(port).await;
    let groups = groups.map_err(|error| no_map(port, &error))?;
    let mut all = Vec::new();
    for place in groups.into_iter().flat_map(|group| group.places) {
        let words = read(port, place).await.map_err(|error| port.fault(&error))?;
        match Table::of(place.id) {
            Some(table) => all.extend(known(table, place, &words)),
            None => all.push(unknown(place)),
        }
    }
    Ok(all)
}

/// One point of one model, and how far it is from where its table says, for it may repeat.
struct Wanted<'t> {
    point: &'t Point,
    part: String,
    shift: u16,
}

/// The points that lie within the model's registers.
fn wanted(table: &Table, place: Place) -> Vec<Wanted<'_>> {
    let registers = place.length.saturating_add(2);
    let once = table.points.iter().map(|point| Wanted { point, part: place.id.to_string(), shift: 0 });
    let again = table.group.iter().flat_map(|group| {
        (0..table.repeats(registers)).flat_map(move |n| {
            let part = move || format!("{}/{}", place.id, n + 1);
            group.points.iter().map(move |point| Wanted { point, part: part(), shift: n * group.size })
        })
    });
    let shown = |wanted: &Wanted<'_>| {
        wanted.point.kind != Type::Pad && wanted.point.end() + wanted.shift <= registers
    };
    once.chain(again).filter(shown).collect()
}

/// The model's registers from its ID register on; none where the device refuses.
async fn read(port: &mut Port<'_>, place: Place) -> Result<Vec<Option<u16>>, LinkError> {
    let mut words = vec![Some(place.id), Some(place.length)];
    let Some(table) = Table::of(place.id) else { return Ok(words) };
    let block = port.unit.block.min(MAX_READ);
    let points = wanted(table, place);
    let mut rest = points.as_slice();
    while let Some(first) = rest.first() {
        // As many whole points as one request takes.
        let start = first.point.at + first.shift;
        let within = |wanted: &&Wanted<'_>| wanted.point.end() + wanted.shift - start <= block;
        let (now, later) = rest.split_at(rest.iter().take_while(within).count().max(1));
        let end = now.last().map_or(start, |last| last.point.end() + last.shift);
        let extent = Extent {
            function: Function::Holding,
            start: place.start.saturating_add(start),
            count: end - start,
        };
        words.resize(usize::from(start), None);
        match port.fetch(&[extent]).await {
            Ok(read) => words.extend(read.into_iter().flatten().map(Some)),
            Err(LinkError::Exception(_)) => words.resize(usize::from(end), None),
            Err(error) => return Err(error),
        }
        rest = later;
    }
    Ok(words)
}

fn known(table: &Table, place: Place, words: &[Option<u16>]) -> Vec<Seen> {
    // A scale factor that was not read is as good as none.
    let block: Vec<u16> = words.iter().map(|word| word.unwrap_or(0x8000)).collect();
    let seen = |Wanted { point, part, shift }: Wanted<'_>| {
        let from = usize::from(point.at + shift);
        let own = words.get(from..from + usize::from(point.kind.registers())).unwrap_or_default();
        let raw: Vec<u16> = own.iter().copied().collect::<Option<_>>().unwrap_or_default();
        Seen {
            part,
            point: point.name.to_owned(),
            function: 3,
            register: place.start.saturating_add(point.at + shift),
            value: value(point, &raw, Block(&block), shift),
            raw,
            unit: point.unit.to_owned(),
        }
    };
    wanted(table, place).into_iter().map(seen).collect()
}

/// A point's value in words.
fn value(point: &Point, raw: &[u16], block: Block<'_>, shift: u16) -> Option<String> {
    if raw.is_empty() {
        return None;
    }
    if let Some(text) = point.kind.text(raw) {
        return Some(text);
    }
    let number = block.repeated(Field::from(point), usize::from(shift));
    match (point.kind, point.scale) {
        (Type::Float32, _) => point.kind.number(raw).map(|number| (number as f32).to_string()),
        _ if point.kind.is_bits() || !point.words.is_empty() => named(point, point.kind.bits(raw)?),
        // Counters beyond what a float can say are told to the last digit.
        (Type::Uint64 | Type::Acc64, Scale::One) => point.kind.bits(raw).map(|bits| bits.to_string()),
        _ => number.map(|number| number.to_string()),
    }
}

/// An enum's or a bitfield's number, and what it means.
fn named(point: &Point, bits: u64) -> Option<String> {
    let is_set = |value: u16| match point.kind.is_bits() {
        true => bits >> value & 1 == 1,
        false => bits == u64::from(value),
    };
    let words: Vec<&str> =
        point.words.iter().filter(|(value, _)| is_set(*value)).map(|(_, word)| *word).collect();
    Some(if words.is_empty() { bits.to_string() } else { format!("{bits} ({})", words.join(", ")) })
}

fn unknown(place: Place) -> Seen {
    Seen {
        part: place.id.to_string(),
        point: "L".to_owned(),
        function: 3,
        register: place.start.saturating_add(1),
        raw: vec![place.length],
        value: Some(place.length.to_string()),
        unit: String::new(),
    }
}
