//! A model of a unit on a line that answers in order and in its own time, or never, or with a refusal:
//! whatever comes when, no answer is taken for that of another request.

use std::collections::VecDeque;

use proptest::{collection::vec, prelude::*};

use super::{
    super::{exchange::DETOURS, rtu::First},
    *,
};

const TIMEOUT: Duration = Duration::from_millis(300);
/// An answer never comes later than this; the link waits for 10 s.
const LATEST_MS: u64 = 9_000;

fn requests() -> Vec<Request<'static>> {
    use Request::{ReadHoldingRegisters, ReadInputRegisters, WriteMultipleRegisters, WriteSingleRegister};
    vec![
        ReadInputRegisters(10, 1),
        ReadInputRegisters(20, 1),
        ReadInputRegisters(10, 2),
        ReadInputRegisters(30, 2),
        ReadInputRegisters(30, 4),
        ReadHoldingRegisters(10, 2),
        ReadHoldingRegisters(40, 3),
        WriteSingleRegister(9, 7),
        WriteMultipleRegisters(9, vec![1, 2].into()),
        WriteMultipleRegisters(30, vec![3, 4].into()),
    ]
}

/// What the unit does about one request.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Lost,
    Answered { after: Duration },
    Refused { after: Duration },
}

fn fate() -> impl Strategy<Value = Fate> {
    let after = prop_oneof![4 => 0..250_u64, 2 => 250..1_500_u64, 1 => 1_500..LATEST_MS];
    let after = after.prop_map(Duration::from_millis);
    prop_oneof![
        1 => Just(Fate::Lost),
        3 => after.clone().prop_map(|after| Fate::Answered { after }),
        2 => after.prop_map(|after| Fate::Refused { after }),
    ]
}

/// A request of the list, the pause before it, and what becomes of it and of its detours.
fn step() -> impl Strategy<Value = (usize, u64, Vec<Fate>)> {
    (0..requests().len(), prop_oneof![3 => Just(0), 1 => 0..3_000_u64], vec(fate(), DETOURS as usize + 1))
}

/// An answer under way.
#[derive(Debug)]
struct Coming {
    at: Instant,
    number: u32,
    form: Form,
    refusal: bool,
}

/// What the link makes of a call.
#[derive(Debug, PartialEq)]
enum Made {
    Value,
    Exception,
    Nothing,
}

/// The link's rules on the model's clock, and the unit at the other end.
struct Model {
    debts: Debts,
    now: Instant,
    asked: u32,
    coming: VecDeque<Coming>,
}

impl Model {
    fn new() -> Self {
        Self { debts: Debts::default(), now: Instant::now(), asked: 0, coming: VecDeque::new() }
    }

    /// As `Link::call`.
    fn call(&mut self, request: &Request<'_>, fates: &[Fate]) -> Made {
        let reads = matches!(Form::of(request), Some(Form::Registers(..)));
        let mut refused = false;
        for fate in fates {
            match self.debts.first(1, request, self.now) {
                First::Itself => {
                    return match self.exchange(request, *fate) {
                        Some((false, _)) => Made::Value,
                        Some((true, own)) if own || (refused && reads) => Made::Exception,
                        Some((true, _)) => {
                            self.debts.failed(self.now, None);
                            Made::Nothing
                        }
                        None => Made::Nothing,
                    };
                }
                First::Detour(detour) => match self.exchange(&detour, *fate) {
                    Some((refusal, _)) => refused = refusal,
                    None => return Made::Nothing,
                },
                First::Nothing => break,
            }
        }
        Made::Nothing
    }

    /// As `Link::exchange`: was it a refusal, and its own for sure? Fails when another request's answer is
    /// taken for its own.
    fn exchange(&mut self, request: &Request<'_>, fate: Fate) -> Option<(bool, bool)> {
        if let Some(quiet) = self.debts.quiet_until(self.now, None) {
            self.now = self.now.max(quiet);
            self.debts.rested();
        }
        // What came meanwhile is thrown away.
        self.coming.retain(|answer| answer.at > self.now);
        let form = Form::of(request).unwrap();
        let number = self.asked;
        self.asked += 1;
        self.debts.asked(1, form, self.now, TIMEOUT, None);
        let (after, refusal) = match fate {
            Fate::Lost => (None, false),
            Fate::Answered { after } => (Some(after), false),
            Fate::Refused { after } => (Some(after), true),
        };
        if let Some(after) = after {
            let own = self.now + after;
            let at = self.coming.back().map_or(own, |before| before.at.max(own));
            self.coming.push_back(Coming { at, number, form, refusal });
        }
        let end = self.now + TIMEOUT;
        let Some(came) = self.coming.pop_front_if(|first| first.at <= end) else {
            self.now = end;
            self.debts.failed(self.now, None);
            return None;
        };
        self.now = came.at;
        if came.refusal && came.form.function() == form.function() {
            let own = self.debts.refused(1, form);
            assert!(!own || came.number == number, "another request's exception");
            Some((true, own))
        } else if !came.refusal && came.form == form {
            assert_eq!(came.number, number, "another request's answer");
            self.debts.answered(1);
            Some((false, true))
        } else {
            self.debts.failed(self.now, None);
            None
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_answer_is_ever_taken_for_another_request(steps in vec(step(), 1..40)) {
        let (requests, mut model) = (requests(), Model::new());
        for (request, pause, fates) in &steps {
            model.now += Duration::from_millis(*pause);
            model.call(&requests[*request], fates);
        }
    }

    /// Whatever was before: once what it owes has come or was lost, the first call is answered.
    #[test]
    fn a_unit_that_answers_again_is_heard_at_once(
        steps in vec(step(), 1..20),
        last in 0..requests().len(),
    ) {
        let (requests, mut model) = (requests(), Model::new());
        for (request, _, fates) in &steps {
            model.call(&requests[*request], fates);
        }
        model.coming.clear();
        let good = Fate::Answered { after: Duration::from_millis(20) };
        prop_assert_eq!(model.call(&requests[last], &[good; DETOURS as usize + 1]), Made::Value);
    }

    /// One lost answer, and every other form is refused.
    #[test]
    fn a_unit_that_takes_nothing_but_the_request_is_heard_at_the_next_one(
        lost in 0..requests().len(),
        next in 0..requests().len(),
    ) {
        let (requests, mut model) = (requests(), Model::new());
        let after = Duration::from_millis(20);
        prop_assert_eq!(model.call(&requests[lost], &[Fate::Lost]), Made::Nothing);
        let detours = usize::from(model.debts.first(1, &requests[next], model.now) != First::Itself);
        for (last, made) in
            [(Fate::Answered { after }, Made::Value), (Fate::Refused { after }, Made::Exception)]
        {
            let mut fates = vec![Fate::Refused { after }; detours];
            fates.push(last);
            let mut model = Model { debts: model.debts.clone(), coming: VecDeque::new(), ..model };
            // Of another form than what is owed: it may be that of the lost one.
            let doubtful = detours == 0
                && made == Made::Exception
                && Form::of(&requests[lost]).unwrap().function() == Form::of(&requests[next]).unwrap().function();
            let wanted = if doubtful { Made::Nothing } else { made };
            prop_assert_eq!(model.call(&requests[next], &fates), wanted);
        }
    }
}
