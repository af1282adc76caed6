//! Faults as an installer writes them.

use std::time::Duration;

use crate::{Fault, Scope, Turn, WrongTurn, words};

fn turn(text: &str) -> Turn {
    text.parse().unwrap()
}

#[test]
fn every_word_is_a_turn_of_the_dial() {
    for word in words() {
        assert!(word.name.parse::<Turn>().is_ok(), "{}", word.name);
        let valued = format!("{}={}", word.name, word.value);
        assert_eq!(valued.parse::<Turn>().is_ok(), !word.value.is_empty(), "{valued}");
    }
    assert_eq!(turn("delay=2s"), Turn::Fault(Fault::Delay(Duration::from_secs(2)), Scope::ALL));
    assert_eq!(turn("busy@10"), Turn::Fault(Fault::Exception(6), Scope::ALL.every(10)));
    assert_eq!(turn("more=2@3"), Turn::Fault(Fault::MoreRegisters(2), Scope::ALL.every(3)));
    let clamp = Fault::Clamp { register: 47_512, most: 1_000 };
    assert_eq!(turn("clamp=47512:1000"), Turn::Fault(clamp, Scope::ALL));
    assert_eq!((turn("moved=-10"), turn("bounce=3")), (Turn::Moved(-10), Turn::Bounce(3)));
    assert_eq!(turn("bounce=30s"), Turn::BounceFor(Duration::from_secs(30)));
    assert_eq!(turn("reset-counters"), Turn::ResetCounters);
}

#[test]
fn a_mistake_says_what_to_write() {
    let wrong = |text: &str| text.parse::<Turn>().unwrap_err();
    let unknown = wrong("explode=1").to_string();
    assert!(unknown.contains("no fault `explode`"), "{unknown}");
    for word in words() {
        assert!(unknown.contains(&format!("\n  {}", word.name)) && unknown.contains(word.text), "{unknown}");
    }
    for (text, why) in [
        ("delay=soon", "needs a time"),
        ("busy=6", "takes no value"),
        ("busy@0", "number from 1 on"),
        ("clamp=5", "<register>:<greatest raw value>"),
        ("moved@2", "happens once"),
        ("bounce=often", "a number of reads, or a time"),
        ("exception=300", "a code up to 255"),
    ] {
        assert!(
            matches!(wrong(text), WrongTurn::Value(..)) && wrong(text).to_string().contains(why),
            "{text}"
        );
    }
}
