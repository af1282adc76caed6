//! What a poll costs beside the wire: planning its requests, and decoding its registers.

use adapter_api::profile::{Function, RegisterType, WordOrder};
use adapter_modbus::{
    codec::number,
    plan::{Barred, Extent, Rules, plan},
};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

/// So many values of two registers in groups of eight, with two registers between the groups.
fn extents(count: u16) -> Vec<Extent> {
    let start = |n: u16| n * 2 + n / 8 * 2;
    (0..count).map(|n| Extent { function: Function::Input, start: start(n), count: 2 }).collect()
}

fn planning(bench: &mut Criterion) {
    let none = Barred::default();
    let cut = Barred {
        cuts: (0..10).map(|n| (Function::Input, n * 37)).collect(),
        forbidden: vec![Extent { function: Function::Input, start: 100, count: 2 }],
        ..Barred::default()
    };
    for (name, count, barred) in [
        ("plan 40 points", 40, &none),
        ("plan 400 points", 400, &none),
        ("plan 400 points around holes", 400, &cut),
    ] {
        let wanted = extents(count);
        let rules = Rules { block: 125, gap: 16, barred };
        bench.bench_function(name, |bench| {
            bench.iter_batched_ref(|| wanted.clone(), |wanted| plan(wanted, rules), BatchSize::SmallInput);
        });
    }
}

fn decoding(bench: &mut Criterion) {
    let words: Vec<u16> = (0..80).map(|n| if n % 2 == 0 { 0x4248 } else { n }).collect();
    for (name, kind) in
        [("decode 40 floats", RegisterType::F32), ("decode 40 i32, low word first", RegisterType::I32)]
    {
        let order = if kind == RegisterType::F32 { WordOrder::Big } else { WordOrder::Little };
        bench.bench_function(name, |bench| {
            bench.iter(|| -> f64 {
                let values = words.chunks_exact(2).filter_map(|words| number(words, kind, order));
                values.map(|raw| raw * 0.1).sum()
            });
        });
    }
}

criterion_group!(benches, planning, decoding);
criterion_main!(benches);
