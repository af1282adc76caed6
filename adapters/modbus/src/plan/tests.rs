use proptest::prelude::*;

use super::*;

fn input(start: u16, count: u16) -> Extent {
    Extent { function: Function::Input, start, count }
}

fn requests(wanted: &[Extent], block: u16, gap: u16, barred: &Barred) -> Vec<(u16, u16)> {
    let rules = Rules { block, gap, barred };
    plan(wanted, rules).iter().map(|request| (request.start, request.count)).collect()
}

#[test]
fn neighbours_merge_over_small_gaps_up_to_the_limit() {
    let wanted = [input(52, 2), input(0, 2), input(2, 2), input(30, 2)];
    let starts = |block, gap| requests(&wanted, block, gap, &Barred::default());
    assert_eq!(starts(80, 30), [(0, 54)]);
    assert_eq!(starts(80, 20), [(0, 4), (30, 24)]);
    assert_eq!(starts(16, 125), [(0, 4), (30, 2), (52, 2)]);
}

#[test]
fn functions_stay_apart_and_an_extent_at_the_end_of_the_address_space_is_planned() {
    let holding = Extent { function: Function::Holding, start: 0, count: 1 };
    assert_eq!(requests(&[holding, input(0, 1)], 125, 125, &Barred::default()).len(), 2);
    assert_eq!(requests(&[input(65_534, 2)], 125, 16, &Barred::default()), [(65_534, 2)]);
}

#[test]
fn what_is_forbidden_is_not_bridged_and_a_readable_range_is_not_left() {
    let wanted = [input(0, 2), input(4, 2), input(10, 2)];
    let forbidden = Barred { forbidden: vec![input(3, 1)], ..Barred::default() };
    assert_eq!(requests(&wanted, 80, 30, &forbidden), [(0, 2), (4, 8)]);
    let elsewhere = Extent { function: Function::Holding, ..input(3, 1) };
    let elsewhere = Barred { forbidden: vec![elsewhere], ..Barred::default() };
    assert_eq!(requests(&wanted, 80, 30, &elsewhere), [(0, 12)]);
    let readable = Barred { readable: vec![input(0, 8), input(8, 20)], ..Barred::default() };
    assert_eq!(requests(&wanted, 80, 30, &readable), [(0, 6), (10, 2)]);
}

#[test]
fn a_learned_cut_parts_requests_between_two_values_also_where_they_touch() {
    let wanted = [input(0, 2), input(2, 2), input(4, 2)];
    let cuts = |at: &[u16]| Barred {
        cuts: at.iter().map(|at| (Function::Input, *at)).collect(),
        ..Barred::default()
    };
    assert_eq!(requests(&wanted, 80, 30, &cuts(&[2])), [(0, 2), (2, 4)]);
    assert_eq!(requests(&wanted, 80, 30, &cuts(&[0])), [(0, 6)], "before its first register");
    assert_eq!(requests(&wanted, 80, 30, &cuts(&[5])), [(0, 6)], "never within a value");
    assert_eq!(requests(&[input(0, 2), input(10, 2)], 80, 30, &cuts(&[7])), [(0, 2), (10, 2)]);
}

/// May these, sorted, be one request? Said again from the rules, register by register.
fn one_request(group: &[Extent], block: u16, gap: u16, barred: &Barred) -> bool {
    let function = group[0].function;
    let start = u32::from(group[0].start);
    let end = group.iter().map(|extent| extent.end()).max().unwrap();
    let wanted = |at: u32| group.iter().any(|extent| u32::from(extent.start) <= at && at < extent.end());
    let holds = |range: &Extent, at: u32| {
        range.function == function && u32::from(range.start) <= at && at < range.end()
    };
    let mut bridged = 0;
    for at in start..end {
        bridged = if wanted(at) { 0 } else { bridged + 1 };
        if bridged > u32::from(gap) || (bridged > 0 && barred.forbidden.iter().any(|range| holds(range, at)))
        {
            return false;
        }
        // A cut within a value parts nothing.
        let inside = group.iter().any(|extent| u32::from(extent.start) < at && at < extent.end());
        let at = u16::try_from(at).unwrap();
        if u32::from(at) > start && !inside && barred.cuts.contains(&(function, at)) {
            return false;
        }
    }
    let within = |range: &Extent| holds(range, start) && holds(range, end - 1);
    group.iter().all(|extent| extent.function == function)
        && end - start <= u32::from(block)
        && (group.len() == 1 || barred.readable.is_empty() || barred.readable.iter().any(within))
}

/// The least number of requests by trying every way to cut the sorted list.
fn optimum(wanted: &[Extent], block: u16, gap: u16, barred: &Barred) -> usize {
    let mut sorted = wanted.to_vec();
    sorted.sort();
    let mut best = vec![0; sorted.len() + 1];
    for upto in 1..=sorted.len() {
        let cuts = (0..upto)
            .filter(|from| upto - from == 1 || one_request(&sorted[*from..upto], block, gap, barred));
        best[upto] = cuts.map(|from| best[from] + 1).min().unwrap();
    }
    best[sorted.len()]
}

fn extent() -> impl Strategy<Value = Extent> {
    let function = prop_oneof![Just(Function::Holding), Just(Function::Input)];
    let start = prop_oneof![0..400_u16, 65_500..=65_532_u16];
    (function, start, 1..=4_u16).prop_map(|(function, start, count)| Extent { function, start, count })
}

/// Ranges that no wanted value straddles: a profile that asks for what it forbids is refused.
fn barred() -> impl Strategy<Value = Barred> {
    let forbidden = proptest::collection::vec(extent(), 0..6);
    let cuts = proptest::collection::btree_set((extent(), 0..4_u16), 0..6);
    let readable = prop_oneof![
        3 => Just(Vec::new()),
        1 => Just(
            [(0, 100), (100, 37), (137, 63), (200, 300), (65_400, 136)]
                .into_iter()
                .flat_map(|(start, count)| {
                    [Function::Holding, Function::Input]
                        .map(|function| Extent { function, start, count })
                })
                .collect()
        ),
    ];
    (forbidden, cuts, readable).prop_map(|(forbidden, cuts, readable)| Barred {
        forbidden,
        readable,
        cuts: cuts.into_iter().map(|(extent, past)| (extent.function, extent.start + past)).collect(),
    })
}

proptest! {
    #[test]
    fn every_value_is_read_once_within_the_limits_and_no_request_is_wasted(
        wanted in proptest::collection::vec(extent(), 0..40),
        block in 4..=125_u16,
        gap in 0..=20_u16,
        barred in barred(),
    ) {
        let requests = plan(&wanted, Rules { block, gap, barred: &barred });
        let mut seen = vec![0; wanted.len()];
        for request in &requests {
            prop_assert!(request.count >= 1 && request.count <= block);
            prop_assert!(u32::from(request.start) + u32::from(request.count) <= 65_536);
            let mut group: Vec<Extent> = request.members.iter().map(|place| wanted[*place]).collect();
            group.sort();
            prop_assert!(group.len() == 1 || one_request(&group, block, gap, &barred));
            for place in &request.members {
                seen[*place] += 1;
                let extent = wanted[*place];
                prop_assert_eq!(extent.function, request.function);
                prop_assert!(extent.start >= request.start);
                prop_assert!(extent.end() <= u32::from(request.start) + u32::from(request.count));
            }
        }
        prop_assert!(seen.iter().all(|times| *times == 1));
        prop_assert_eq!(requests.len(), optimum(&wanted, block, gap, &barred));
    }
}
