//! Points → requests. Pure: no I/O, no clock.
//!
//! A request never crosses from one function to the other, never asks for more than `block`
//! registers, never bridges more than `gap` unwanted ones, and never splits a value: its registers
//! would be of two instants.

use adapter_api::profile::Function;

/// The registers of one value, or of values that belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Extent {
    pub function: Function,
    pub start: u16,
    pub count: u16,
}

impl Extent {
    fn end(self) -> u32 {
        u32::from(self.start) + u32::from(self.count)
    }
}

/// One request, and which of the wanted extents it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub function: Function,
    pub start: u16,
    pub count: u16,
    /// Places in the list that was planned.
    pub members: Vec<usize>,
}

/// The fewest requests that read every extent once. An extent that is longer than `block` gets a
/// request of its own.
pub(crate) fn plan(wanted: &[Extent], block: u16, gap: u16) -> Vec<Request> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by_key(|place| wanted[*place]);
    let mut requests: Vec<Request> = Vec::new();
    for place in order {
        let extent = wanted[place];
        if let Some(last) = requests.last_mut()
            && let Some(count) = joined(last, extent, block, gap)
        {
            last.count = count;
            last.members.push(place);
            continue;
        }
        let Extent { function, start, count } = extent;
        requests.push(Request { function, start, count, members: vec![place] });
    }
    requests
}

/// The length of a request that takes one more extent, if it may.
fn joined(request: &Request, extent: Extent, block: u16, gap: u16) -> Option<u16> {
    let end = u32::from(request.start) + u32::from(request.count);
    let bridged = u32::from(extent.start).saturating_sub(end);
    let count = end.max(extent.end()) - u32::from(request.start);
    let fits = request.function == extent.function && bridged <= u32::from(gap);
    u16::try_from(count).ok().filter(|count| fits && *count <= block)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn input(start: u16, count: u16) -> Extent {
        Extent { function: Function::Input, start, count }
    }

    #[test]
    fn neighbours_merge_over_small_gaps_up_to_the_limit() {
        let wanted = [input(52, 2), input(0, 2), input(2, 2), input(30, 2)];
        let starts = |block, gap| -> Vec<(u16, u16)> {
            plan(&wanted, block, gap).iter().map(|request| (request.start, request.count)).collect()
        };
        assert_eq!(starts(80, 30), [(0, 54)]);
        assert_eq!(starts(80, 20), [(0, 4), (30, 24)]);
        assert_eq!(starts(16, 125), [(0, 4), (30, 2), (52, 2)]);
    }

    #[test]
    fn functions_stay_apart_and_an_extent_at_the_end_of_the_address_space_is_planned() {
        let holding = Extent { function: Function::Holding, start: 0, count: 1 };
        assert_eq!(plan(&[holding, input(0, 1)], 125, 125).len(), 2);
        assert_eq!(plan(&[input(65_534, 2)], 125, 16)[0].count, 2);
    }

    /// The least number of requests by trying every way to cut the sorted list.
    fn optimum(wanted: &[Extent], block: u16, gap: u16) -> usize {
        let mut sorted = wanted.to_vec();
        sorted.sort();
        let one_request = |group: &[Extent]| {
            let mut end = group[0].end();
            let chained = group.iter().all(|extent| {
                let close = u32::from(extent.start).saturating_sub(end) <= u32::from(gap);
                end = end.max(extent.end());
                close && extent.function == group[0].function
            });
            chained && end - u32::from(group[0].start) <= u32::from(block)
        };
        let mut best = vec![0; sorted.len() + 1];
        for upto in 1..=sorted.len() {
            let cuts = (0..upto).filter(|from| one_request(&sorted[*from..upto]));
            best[upto] = cuts.map(|from| best[from] + 1).min().unwrap();
        }
        best[sorted.len()]
    }

    fn extent() -> impl Strategy<Value = Extent> {
        let function = prop_oneof![Just(Function::Holding), Just(Function::Input)];
        let start = prop_oneof![0..400_u16, 65_500..=65_532_u16];
        (function, start, 1..=4_u16).prop_map(|(function, start, count)| Extent { function, start, count })
    }

    proptest! {
        #[test]
        fn every_point_is_read_once_within_the_limits_and_no_request_is_wasted(
            wanted in proptest::collection::vec(extent(), 0..40),
            block in 4..=125_u16,
            gap in 0..=20_u16,
        ) {
            let requests = plan(&wanted, block, gap);
            let mut seen = vec![0; wanted.len()];
            for request in &requests {
                prop_assert!(request.count >= 1 && request.count <= block);
                prop_assert!(u32::from(request.start) + u32::from(request.count) <= 65_536);
                for place in &request.members {
                    seen[*place] += 1;
                    let extent = wanted[*place];
                    prop_assert_eq!(extent.function, request.function);
                    prop_assert!(extent.start >= request.start);
                    prop_assert!(extent.end() <= u32::from(request.start) + u32::from(request.count));
                }
            }
            prop_assert!(seen.iter().all(|times| *times == 1));
            prop_assert_eq!(requests.len(), optimum(&wanted, block, gap));
        }
    }
}
