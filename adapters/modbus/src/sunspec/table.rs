//! The models as data: `models.txt`, read once. Owns its form; never knows what a point is for.

use std::sync::LazyLock;

use super::types::Type;

/// What is compiled in.
const TEXT: &str = include_str!("models.txt");

/// The points that one or several models have.
#[derive(Debug)]
pub(crate) struct Table {
    ids: Vec<u16>,
    /// In the order of the registers, after ID and length.
    pub points: Vec<Point>,
    /// Points that repeat from its start on, to the end of the model.
    pub group: Option<Group>,
}

/// Points that repeat.
#[derive(Debug)]
pub(crate) struct Group {
    pub start: u16,
    /// Registers of one repetition.
    pub size: u16,
    /// Those of the first one.
    pub points: Vec<Point>,
}

/// One point.
#[derive(Debug)]
pub(crate) struct Point {
    pub name: &'static str,
    /// Counted from the model's ID register.
    pub at: u16,
    pub kind: Type,
    pub scale: Scale,
    /// Or empty.
    pub unit: &'static str,
    /// Values, or bits, and their words.
    pub words: Vec<(u16, &'static str)>,
}

/// Where a point's scale factor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    /// It has none.
    One,
    /// In a register of the model.
    At(u16),
    /// The model's definition says it.
    Fixed(i16),
}

impl Point {
    /// The first register after it.
    pub fn end(&self) -> u16 {
        self.at + self.kind.registers()
    }
}

impl Table {
    /// The table of a model, if it has one.
    pub fn of(id: u16) -> Option<&'static Self> {
        TABLES.iter().find(|table| table.ids.contains(&id))
    }

    /// A point by name, also one of the first repetition.
    pub fn point(&self, name: &str) -> Option<&Point> {
        let repeated = self.group.iter().flat_map(|group| &group.points);
        self.points.iter().chain(repeated).find(|point| point.name == name)
    }

    /// The first register after the points that do not repeat.
    pub fn end(&self) -> u16 {
        self.points.last().map_or(2, Point::end)
    }

    /// How many repetitions lie within a model of `registers`, counted with ID and length.
    pub fn repeats(&self, registers: u16) -> u16 {
        self.group.as_ref().map_or(0, |group| registers.saturating_sub(group.start) / group.size)
    }
}

static TABLES: LazyLock<Vec<Table>> =
    LazyLock::new(|| parse(TEXT).expect("the models' table that is compiled in is tested"));

/// A line that cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the models' table: {message}")]
struct Wrong {
    line: usize,
    message: String,
}

/// One point, before its scale factor is looked up.
struct Draft {
    line: usize,
    point: Point,
    scale: Option<&'static str>,
    repeats: bool,
}

fn parse(text: &'static str) -> Result<Vec<Table>, Wrong> {
    let mut tables = Vec::new();
    let mut drafts: Vec<Draft> = Vec::new();
    for (line, content) in (1..).zip(text.lines()) {
        let wrong = |message: String| Wrong { line, message };
        let mut words = content.split('#').next().unwrap_or_default().split_whitespace();
        match words.next() {
            None => {}
            Some("model") => {
                finish(&mut tables, std::mem::take(&mut drafts))?;
                let ids: Result<Vec<u16>, _> = words.map(str::parse).collect();
                let ids = ids.map_err(|error| wrong(error.to_string()))?;
                tables.push(Table { ids, points: Vec::new(), group: None });
            }
            Some("group") => {
                let numbers: Vec<u16> = words.skip(1).filter_map(|word| word.parse().ok()).collect();
                let table = tables.last_mut().ok_or_else(|| wrong("a group without a model".to_owned()))?;
                let &[start, size] = &numbers[..] else {
                    return Err(wrong("a group has a name, a start and a size".to_owned()));
                };
                if size == 0 {
                    return Err(wrong("a group of no registers".to_owned()));
                }
                table.group = Some(Group { start, size, points: Vec::new() });
            }
            Some(at) => {
                let (point, scale) = point(at, words).map_err(wrong)?;
                let table = tables.last().ok_or_else(|| wrong("a point without a model".to_owned()))?;
                drafts.push(Draft { line, point, scale, repeats: table.group.is_some() });
            }
        }
    }
    finish(&mut tables, drafts)?;
    Ok(tables)
}

fn point(
    at: &str,
    mut words: impl Iterator<Item = &'static str>,
) -> Result<(Point, Option<&'static str>), String> {
    let at = at.parse().map_err(|_| format!("`{at}` is no offset"))?;
    let name = words.next().ok_or("a point needs a name")?;
    let kind = words.next().ok_or("a point needs a type")?;
    let kind = Type::parse(kind).ok_or_else(|| format!("`{kind}` is no type"))?;
    let mut point = Point { name, at, kind, scale: Scale::One, unit: "", words: Vec::new() };
    let mut scale = None;
    for word in words {
        match word.split_once('=') {
            Some(("scale", factor)) => scale = Some(factor),
            Some(("unit", unit)) => point.unit = unit,
            Some((value, meaning)) => {
                let value = value.parse().map_err(|_| format!("`{value}` is no value"))?;
                point.words.push((value, meaning));
            }
            None => return Err(format!("`{word}` has no `=`")),
        }
    }
    Ok((point, scale))
}

/// Gives the last model its points, with the places of their scale factors.
fn finish(tables: &mut [Table], drafts: Vec<Draft>) -> Result<(), Wrong> {
    let Some(table) = tables.last_mut() else { return Ok(()) };
    let factors: Vec<(&str, u16)> = drafts
        .iter()
        .filter(|draft| draft.point.kind == Type::Sunssf)
        .map(|draft| (draft.point.name, draft.point.at))
        .collect();
    for Draft { line, mut point, scale, repeats } in drafts {
        if let Some(scale) = scale {
            let place = factors.iter().find(|(name, _)| *name == scale).map(|(_, at)| Scale::At(*at));
            let fixed = || scale.parse().ok().map(Scale::Fixed);
            let message = || format!("its model has no scale factor `{scale}`");
            point.scale = place.or_else(fixed).ok_or_else(|| Wrong { line, message: message() })?;
        }
        match &mut table.group {
            Some(group) if repeats => group.points.push(point),
            _ => table.points.push(point),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_model_that_we_speak_of_once_and_names_where_it_is_from() {
        let tables = parse(TEXT).unwrap_or_else(|wrong| panic!("{wrong}"));
        let mut ids: Vec<u16> = tables.iter().flat_map(|table| table.ids.clone()).collect();
        ids.sort_unstable();
        let all = [
            1, 101, 102, 103, 111, 112, 113, 120, 121, 122, 123, 124, 160, 201, 202, 203, 204, 211, 212, 213,
            214, 701, 702, 703, 704, 713, 714, 802,
        ];
        assert_eq!(ids, all);
        for word in ["sunspec/models", "v2026-04-20", "Apache-2.0"] {
            assert!(TEXT.contains(word), "{word}");
        }
    }

    #[test]
    fn points_lie_one_after_the_other_without_holes() {
        for table in parse(TEXT).unwrap() {
            let mut next = 2;
            for point in &table.points {
                assert_eq!(point.at, next, "{:?} {}", table.ids, point.name);
                next = point.end();
            }
            if let Some(group) = &table.group {
                assert_eq!(group.start, next, "{:?}", table.ids);
                for point in &group.points {
                    assert_eq!(point.at, next, "{:?} {}", table.ids, point.name);
                    next = point.end();
                }
                assert_eq!(next, group.start + group.size, "{:?}", table.ids);
            }
        }
    }

    #[test]
    fn models_are_as_long_as_the_reference_says() {
        let lengths = [
            (103, 52),
            (113, 62),
            (120, 28),
            (121, 32),
            (122, 46),
            (123, 26),
            (124, 26),
            (203, 107),
            (213, 126),
            (701, 155),
            (702, 52),
            (703, 19),
            (704, 67),
            (713, 9),
            (802, 64),
            (160, 10),
            (714, 20),
        ];
        for (id, length) in lengths {
            assert_eq!(Table::of(id).unwrap().end(), length, "{id}");
        }
        assert_eq!((Table::of(160).unwrap().repeats(90), Table::of(714).unwrap().repeats(70)), (4, 2));
        assert!(Table::of(64_100).is_none());
    }

    #[test]
    fn a_mistake_names_its_line() {
        let message = |text| parse(text).unwrap_err().to_string();
        assert!(
            message("# x\n2 A uint16").contains("line 2")
                && message("2 A uint16").contains("without a model")
        );
        assert!(message("model 1\n2 A uint17").contains("`uint17` is no type"));
        assert!(message("model 1\n2 A uint16 scale=A_SF").contains("no scale factor `A_SF`"));
        assert!(message("model 1\n2 A uint16 W").contains("no `=`"));
        assert!(message("model 1\ngroup x 10").contains("a start and a size"));
        assert!(
            message("model one").contains("line 1") && message("model 1\nA 2 uint16").contains("no offset")
        );
        let table = parse("model 9\n2 A int16 scale=-2 unit=A 1=on").unwrap();
        let point = table[0].point("A").unwrap();
        assert_eq!((point.scale, point.unit, &point.words[..]), (Scale::Fixed(-2), "A", &[(1, "on")][..]));
    }
}
