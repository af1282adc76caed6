//! The points of a device's readings: which reading has which, and the columns of their values.
//! The last part of a section of [`super::payload`], where its bytes are written down. Pure.

use std::collections::HashMap;

use adapter_api::{PointId, Value};

use super::{
    bytes::{Bytes, Damaged, put_text, put_varint},
    columns::{bools, numbers, put_bools, put_numbers, put_runs, put_texts, runs, texts},
    record::Stored,
};

type Column<'a> = (u8, &'a PointId);

fn kind(value: &Value) -> u8 {
    match value {
        Value::Number(_) => 0,
        Value::Text(_) => 1,
        Value::Bool(_) => 2,
    }
}

pub(super) fn put_points(out: &mut Vec<u8>, rows: &[&Stored]) {
    let mut columns: Vec<(Column<'_>, Vec<&Value>)> = Vec::new();
    let mut known: HashMap<Column<'_>, u64> = HashMap::new();
    let mut shapes: Vec<Vec<u64>> = Vec::new();
    let mut known_shapes: HashMap<Vec<u64>, u64> = HashMap::new();
    let mut shape = Vec::new();
    let mut which = Vec::with_capacity(rows.len());
    for row in rows {
        shape.clear();
        for (at, (name, value)) in row.reading.points.iter().enumerate() {
            let column = (kind(value), name);
            // A device says the same points again and again: the last shape is tried first.
            let guess = shapes.last().and_then(|last| last.get(at)).copied();
            let found = match guess.filter(|guess| columns[*guess as usize].0 == column) {
                Some(found) => found,
                None => *known.entry(column).or_insert_with(|| {
                    columns.push((column, Vec::new()));
                    columns.len() as u64 - 1
                }),
            };
            columns[found as usize].1.push(value);
            shape.push(found);
        }
        let found = known_shapes.get(&shape).copied().unwrap_or_else(|| {
            shapes.push(shape.clone());
            known_shapes.insert(shape.clone(), shapes.len() as u64 - 1);
            shapes.len() as u64 - 1
        });
        which.push(found);
    }
    put_varint(out, columns.len() as u64);
    for ((kind, name), _) in &columns {
        out.push(*kind);
        put_text(out, name.as_str());
    }
    put_varint(out, shapes.len() as u64);
    for shape in shapes {
        put_varint(out, shape.len() as u64);
        shape.into_iter().for_each(|column| put_varint(out, column));
    }
    put_runs(out, which);
    for (column, values) in columns {
        put_column(out, column.0, &values);
    }
}

fn put_column(out: &mut Vec<u8>, kind: u8, values: &[&Value]) {
    match kind {
        0 => put_numbers(out, &values.iter().filter_map(|value| value.number()).collect::<Vec<_>>()),
        1 => put_texts(out, &values.iter().filter_map(|value| value.text()).collect::<Vec<_>>()),
        _ => {
            let on = |value: &&Value| matches!(value, Value::Bool(true));
            put_bools(out, &values.iter().map(on).collect::<Vec<_>>());
        }
    }
}

/// The points of one reading.
type Points = Vec<(PointId, Value)>;

pub(super) fn points(from: &mut Bytes<'_>, n: usize) -> Result<Vec<Points>, Damaged> {
    let columns = from.count()?;
    let columns: Vec<(u8, PointId)> = (0..columns)
        .map(|_| Ok((from.byte()?, PointId::from(from.text()?))))
        .collect::<Result<_, Damaged>>()?;
    let shapes = from.count()?;
    let shapes: Vec<Vec<usize>> = (0..shapes)
        .map(|_| {
            let length = from.count()?;
            (0..length).map(|_| from.varint().map(|column| column as usize)).collect()
        })
        .collect::<Result<_, Damaged>>()?;
    let which = runs(from, n)?;
    let mut lengths = vec![0usize; columns.len()];
    for shape in &which {
        for column in shapes.get(*shape as usize).ok_or(Damaged("a shape is missing"))? {
            *lengths.get_mut(*column).ok_or(Damaged("a column is missing"))? += 1;
        }
    }
    let mut values: Vec<std::vec::IntoIter<Value>> = Vec::with_capacity(columns.len());
    for ((kind, _), length) in columns.iter().zip(lengths) {
        if length > from.0.len().saturating_mul(8) {
            return Err(Damaged("a column is longer than what follows"));
        }
        let column: Vec<Value> = match kind {
            0 => numbers(from, length)?.into_iter().map(Value::Number).collect(),
            1 => texts(from, length)?.into_iter().map(Value::Text).collect(),
            2 => bools(from, length)?.into_iter().map(Value::Bool).collect(),
            _ => return Err(Damaged("a column has an unknown kind")),
        };
        values.push(column.into_iter());
    }
    let mut rows = Vec::with_capacity(n);
    for shape in which {
        let shape = &shapes[shape as usize];
        let mut row = Vec::with_capacity(shape.len());
        for column in shape {
            let value = values[*column].next().ok_or(Damaged("a value is missing"))?;
            row.push((columns[*column].1.clone(), value));
        }
        rows.push(row);
    }
    Ok(rows)
}
