//! The same on a serial line with its real timing, and behind a converter: no answer carries a
//! transaction number there.

use simulator::{
    ConverterSettings, Device, Exception, Fault, Line, LineSettings, RegisterMap, Scope, Server, Table, Units,
};

use super::*;

const QUICK: Pace = Pace { timeout: Duration::from_millis(60), spacing: Duration::ZERO };
/// Later than the line is left alone.
const LATE: Duration = Duration::from_millis(150);

/// Register n of unit u holds 1000 u + n, in both tables.
fn units() -> Units {
    let map = |unit: u16| {
        let words: Vec<u16> = (0..200).map(|n| 1000 * unit + n).collect();
        RegisterMap::new().input(0, &words).writable(0, &words)
    };
    Units::one(1, map(1)).and(2, map(2))
}

fn line(baud: u32) -> (Line, Link) {
    line_of(baud, units())
}

fn line_of(baud: u32, units: Units) -> (Line, Link) {
    let latency = Duration::from_millis(2);
    let line = Line::start(LineSettings { baud, latency, units, ..LineSettings::default() }).unwrap();
    let link = link(&format!("rtu://{}?baud={baud}", line.path()));
    (line, link)
}

fn link(address: &str) -> Link {
    let settings: Settings = toml::from_str(&format!("address = {address:?}")).unwrap();
    Link::new(address.parse().unwrap(), &settings)
}

async fn ask(link: &mut Link, unit: u8, start: u16, count: u16) -> Result<Vec<u16>, LinkError> {
    soon(link.read(unit, QUICK, Function::Input, start, count)).await
}

fn right(unit: u8, start: u16, count: u16) -> Vec<u16> {
    (start..start + count).map(|n| 1000 * u16::from(unit) + n).collect()
}

/// Asks until it is answered; whatever is answered is right.
async fn comes_back(link: &mut Link, unit: u8, start: u16, count: u16) {
    soon(async {
        loop {
            if let Ok(words) = ask(link, unit, start, count).await {
                return assert_eq!(words, right(unit, start, count));
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_good_line_reads_and_writes_and_keeps_the_silence_between_frames() {
    let (line, mut link) = line(19_200);
    for start in 0..4 {
        for unit in [1, 2] {
            assert_eq!(ask(&mut link, unit, start, 3).await, Ok(right(unit, start, 3)));
        }
    }
    assert_eq!(soon(link.write(2, QUICK, 7, &[1, 2])).await, Ok(()));
    assert_eq!(soon(link.write_single(2, QUICK, 9, 3)).await, Ok(()));
    assert_eq!(line.port().peek(2, Table::Holding, 7, 3), Ok(vec![1, 2, 3]));
    assert_eq!((line.collisions(), line.rushed()), (0, 0));
}

#[tokio::test]
async fn a_late_answer_is_never_taken_for_another_request_of_the_same_form() {
    let (line, mut link) = line(115_200);
    let mut late = 0;
    for round in 0..5 {
        line.port().fault(Fault::Delay(LATE), Scope::next(1));
        match ask(&mut link, 1, 5, 2).await {
            Err(error) => late += u32::from(matches!(error, LinkError::NoAnswer(_))),
            // A machine that stood still for so long hears it in time.
            Ok(words) => assert_eq!(words, right(1, 5, 2)),
        }
        for start in [50, 60, 70, 80] {
            if let Ok(words) = ask(&mut link, 1, start, 2).await {
                assert_eq!(words, right(1, start, 2), "{round}");
            }
        }
        comes_back(&mut link, 1, 90, 2).await;
        comes_back(&mut link, 2, 90, 2).await;
    }
    assert!(late > 0);
}

#[tokio::test]
async fn a_unit_that_is_always_late_never_gives_the_value_of_another_register() {
    let (line, mut link) = line(115_200);
    line.port().fault(Fault::Delay(LATE), Scope::ALL.unit(1));
    let mut answered = 0;
    for start in (0..150).step_by(5) {
        if let Ok(words) = ask(&mut link, 1, start, 2).await {
            assert_eq!(words, right(1, start, 2));
        }
        if let Ok(words) = ask(&mut link, 2, start, 2).await {
            assert_eq!(words, right(2, start, 2));
            answered += 1;
        }
    }
    assert!(answered > 0, "its neighbour is heard between its late answers");
    line.port().clear_faults();
    comes_back(&mut link, 1, 3, 2).await;
}

#[tokio::test]
async fn a_request_that_is_dropped_owes_its_answer_too() {
    let (line, mut link) = line(115_200);
    line.port().fault(Fault::Delay(Duration::from_millis(40)), Scope::next(1));
    let asked = {
        let mut asking = Box::pin(link.read(1, QUICK, Function::Input, 5, 2));
        tokio::select! {
            biased;
            _ = &mut asking => false,
            () = async { while line.port().arrivals(1).is_empty() { tokio::task::yield_now().await } } => true,
        }
    };
    assert!(asked);
    comes_back(&mut link, 1, 50, 2).await;
    comes_back(&mut link, 1, 60, 2).await;
}

#[tokio::test]
async fn frames_that_are_not_the_answer_are_never_believed_and_the_port_stays_open() {
    use Fault::{
        Crc, FewerRegisters, Garbage, LyingCount, MissingBytes, MoreRegisters, Noise, OtherFunction,
        OtherUnit, Tail, Torn,
    };
    let (line, mut link) = line(115_200);
    let wrong = [
        Crc,
        FewerRegisters,
        Garbage,
        LyingCount,
        MissingBytes,
        MoreRegisters(1),
        Noise,
        OtherFunction,
        OtherUnit,
        Tail,
        Torn,
    ];
    for fault in wrong {
        line.port().fault(fault, Scope::next(1));
        match ask(&mut link, 1, 5, 3).await {
            // What comes before and after a whole frame is no part of it.
            Ok(words) => {
                assert!(matches!(fault, Noise | Tail), "{fault:?}");
                assert_eq!(words, right(1, 5, 3));
            }
            Err(error) => assert!(
                matches!(error, LinkError::Mismatch(_) | LinkError::NoAnswer(_)),
                "{fault:?} gave {error:?}"
            ),
        }
        assert!(link.live.is_some(), "{fault:?}");
        for start in [50, 60] {
            comes_back(&mut link, 1, start, 3).await;
        }
    }
    assert_eq!(line.rushed(), 0);
}

#[tokio::test]
async fn a_write_whose_echo_differs_proves_nothing_on_a_line_either() {
    let (line, mut link) = line(115_200);
    for fault in [Fault::EchoOtherAddress, Fault::EchoOtherValue] {
        line.port().fault(fault, Scope::next(1));
        let error = soon(link.write_single(1, QUICK, 5, 7)).await.unwrap_err();
        assert!(matches!(error, LinkError::Mismatch(_)), "{error}");
        comes_back(&mut link, 1, 50, 3).await;
    }
}

#[tokio::test]
async fn exceptions_on_a_line_are_what_they_are() {
    let (line, mut link) = line(115_200);
    for code in [2, 6, 11] {
        line.port().fault(Fault::Exception(code), Scope::next(1));
        assert_eq!(ask(&mut link, 1, 1, 1).await, Err(LinkError::Exception(code)));
        assert_eq!(ask(&mut link, 1, 1, 1).await, Ok(vec![1001]));
    }
}

#[tokio::test]
async fn an_adapter_that_is_pulled_out_is_named_and_comes_back_by_itself() {
    let (line, mut link) = line(115_200);
    comes_back(&mut link, 1, 1, 1).await;
    line.unplug().await;
    let error = soon(async {
        loop {
            if let Err(error @ LinkError::NoPort { .. }) = link.write(1, QUICK, 0, &[1]).await {
                return error;
            }
        }
    })
    .await;
    let words = error.fault("Unit 1").problem().to_string();
    assert!(words.contains("serial port") && words.contains("/dev/serial/by-id"), "{words}");
    assert!(matches!(error.outcome("x", false), adapter_api::WriteOutcome::NotApplied { .. }));
    line.plug().unwrap();
    comes_back(&mut link, 1, 1, 1).await;
}

#[tokio::test]
async fn a_port_that_another_program_holds_is_not_shared() {
    let (line, mut first) = line(115_200);
    comes_back(&mut first, 1, 1, 1).await;
    let mut second = link(&format!("rtu://{}?baud=115200", line.path()));
    let error = ask(&mut second, 1, 1, 1).await.unwrap_err();
    let words = error.fault("Unit 1").problem().to_string();
    assert!(matches!(error, LinkError::NoPort { .. }), "{error}");
    assert!(words.contains("end the other program"), "{words}");
    first.close();
    comes_back(&mut second, 1, 1, 1).await;
}

/// A unit that refuses half of a 32-bit value, as many do.
struct Even(RegisterMap);

impl Device for Even {
    fn read(&mut self, table: Table, address: u16, count: u16) -> Result<Vec<u16>, Exception> {
        if count.is_multiple_of(2) {
            self.0.read(table, address, count)
        } else {
            Err(Exception::IllegalValue)
        }
    }

    fn write(&mut self, address: u16, values: &[u16]) -> Result<(), Exception> {
        self.0.write(address, values)
    }
}

/// Unit 1 has single registers alone and a block of three; unit 2 takes even counts only.
fn picky() -> (Line, Link) {
    let alone = RegisterMap::new().input(5, &[1005]).input(20, &[1020, 1021, 1022]).writable(9, &[0]);
    let words: Vec<u16> = (0..60).map(|n| 2000 + n).collect();
    line_of(115_200, Units::one(1, alone).and(2, Even(RegisterMap::new().input(0, &words))))
}

/// Long enough for a machine that is busy.
const PATIENT: Pace = Pace { timeout: Duration::from_millis(800), spacing: Duration::ZERO };

#[tokio::test]
async fn one_lost_answer_costs_one_poll_also_where_the_unit_refuses_every_other_form() {
    let (line, mut link) = picky();
    for (unit, start, count) in [(1, 5, 1), (1, 20, 3), (2, 10, 2), (2, 10, 4), (2, 0, 60)] {
        line.port().fault(Fault::Silence { executed: true }, Scope::next(1));
        let lost = soon(link.read(unit, PATIENT, Function::Input, start, count)).await;
        assert!(matches!(lost, Err(LinkError::NoAnswer(_))), "{lost:?}");
        let before = line.port().traffic(unit).requests;
        let next = soon(link.read(unit, PATIENT, Function::Input, start, count)).await;
        assert_eq!(next, Ok(right(unit, start, count)));
        assert_eq!(line.port().traffic(unit).requests - before, 2, "one detour");
        // No doubt is left.
        let refused = soon(link.read(unit, PATIENT, Function::Input, 100, 2)).await;
        assert_eq!(refused, Err(LinkError::Exception(2)));
    }
}

#[tokio::test]
async fn a_refusal_after_a_lost_answer_is_told_and_does_not_last() {
    let (line, mut link) = picky();
    line.port().fault(Fault::Silence { executed: true }, Scope::next(1));
    let lost = soon(link.read(1, PATIENT, Function::Input, 100, 2)).await;
    assert!(matches!(lost, Err(LinkError::NoAnswer(_))), "{lost:?}");
    for _ in 0..3 {
        let refused = soon(link.read(1, PATIENT, Function::Input, 100, 2)).await;
        assert_eq!(refused, Err(LinkError::Exception(2)));
    }
    assert_eq!(soon(link.read(1, PATIENT, Function::Input, 5, 1)).await, Ok(vec![1005]));
}

#[tokio::test]
async fn a_lost_echo_keeps_no_write_away_where_the_register_stands_alone() {
    let (line, mut link) = picky();
    for word in [7, 8] {
        line.port().fault(Fault::Silence { executed: true }, Scope::next(1));
        let lost = soon(link.write_single(1, PATIENT, 9, word)).await;
        assert!(matches!(lost, Err(LinkError::NoAnswer(_))), "{lost:?}");
        assert_eq!(soon(link.write_single(1, PATIENT, 9, word)).await, Ok(()));
        assert_eq!(line.port().peek(1, Table::Holding, 9, 1), Ok(vec![word]));
    }
}

#[tokio::test]
async fn a_refusal_that_comes_late_never_makes_a_wrong_value_nor_a_wrong_end_of_a_write() {
    let (line, mut link) = line(115_200);
    for _ in 0..5 {
        line.port().fault(Fault::Delay(LATE), Scope::next(1));
        line.port().fault(Fault::Exception(2), Scope::next(1));
        let late = soon(link.write_single(1, QUICK, 5, 7)).await;
        assert!(late.is_err());
        // It is taken whenever it arrives, so nobody may hear that it is refused.
        if let Err(error) = soon(link.write_single(1, QUICK, 6, 7)).await {
            assert!(!matches!(error, LinkError::Exception(_)), "{error}");
        }
        line.port().fault(Fault::Delay(LATE), Scope::next(1));
        line.port().fault(Fault::Exception(2), Scope::next(1));
        for start in [5, 50, 60, 70, 80] {
            if let Ok(words) = ask(&mut link, 1, start, 2).await {
                assert_eq!(words, right(1, start, 2));
            }
        }
        comes_back(&mut link, 1, 90, 2).await;
        comes_back(&mut link, 2, 90, 2).await;
    }
}

#[tokio::test]
async fn behind_a_converter_nothing_is_taken_for_another_answer_either() {
    let settings = ConverterSettings::default();
    let server = Server::start_rtu("127.0.0.1:0".parse().unwrap(), units(), settings).await.unwrap();
    let mut link = link(&format!("rtu+tcp://{}", server.addr()));
    assert_eq!(soon(link.write(1, QUICK, 7, &[1, 2])).await, Ok(()));
    let faults = [
        Fault::OtherUnit,
        Fault::FewerRegisters,
        Fault::Crc,
        Fault::Close { executed: true },
        Fault::HalfOpen,
        Fault::Reset,
    ];
    for fault in faults {
        server.port().fault(fault, Scope::next(1));
        assert!(ask(&mut link, 1, 5, 3).await.is_err(), "{fault:?}");
        for start in [50, 60, 70] {
            if let Ok(words) = ask(&mut link, 1, start, 3).await {
                assert_eq!(words, right(1, start, 3), "{fault:?}");
            }
        }
        comes_back(&mut link, 1, 80, 3).await;
    }
}

/// A converter passes an answer on to whoever is connected then: it comes after the link has waited, left
/// the line alone and connected again, while it waits for the answer of the next request.
#[tokio::test]
async fn an_answer_that_a_converter_passes_on_to_the_next_connection_is_not_taken_for_its_own() {
    let pace = Pace { timeout: Duration::from_millis(200), ..QUICK };
    let settings = ConverterSettings::default();
    let server = Server::start_rtu("127.0.0.1:0".parse().unwrap(), units(), settings).await.unwrap();
    let mut link = link(&format!("rtu+tcp://{}", server.addr()));
    let mut met = 0;
    for late in [540, 570, 600, 630] {
        server.port().fault(Fault::Delay(Duration::from_millis(late)), Scope::next(1));
        assert!(soon(link.read(1, pace, Function::Input, 5, 3)).await.is_err());
        for start in [50, 60, 70] {
            match soon(link.read(1, pace, Function::Input, start, 3)).await {
                Ok(words) => assert_eq!(words, right(1, start, 3), "after {late} ms"),
                Err(error) => met += u32::from(matches!(error, LinkError::Mismatch(_))),
            }
        }
        comes_back(&mut link, 1, 80, 3).await;
    }
    assert!(met > 0, "no late answer met another request");
}
