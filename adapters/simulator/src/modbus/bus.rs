//! A serial bus as intervals of time: who sends when, what is heard whole, what collides. Pure; the
//! caller brings the clock and carries the bytes.
//!
//! One pair of wires for both directions. The client's bytes take their time from the instant on at
//! which they are written; units begin their answer when they please, and nobody listens before
//! sending. Whatever overlaps is spoilt for all: a spoilt request reaches nobody, a spoilt answer
//! arrives with wrong bytes from there on.

use std::time::{Duration, Instant};

use super::rtu::{self, Speed};

/// An adapter hands over received bytes in such pieces, as the small buffer of a UART does.
const PIECE: usize = 8;
/// What a collision makes of a byte.
const SPOILT: u8 = 0x5A;

/// What happened until now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Turn {
    /// Bytes for the client.
    pub out: Vec<u8>,
    /// The frame that ended by silence, and when its last byte was through.
    pub heard: Option<(Vec<u8>, Instant)>,
}

pub(super) struct Bus {
    speed: Speed,
    request: Option<Request>,
    answers: Vec<Answer>,
    /// When the last answer was through.
    quiet_since: Option<Instant>,
    pub collisions: u64,
    pub rushed: u64,
}

struct Request {
    bytes: Vec<u8>,
    until: Instant,
    spoilt: bool,
}

struct Answer {
    bytes: Vec<u8>,
    from: Instant,
    until: Instant,
    sent: usize,
    /// The first byte that is wrong.
    spoilt_from: usize,
}

impl Bus {
    pub fn new(speed: Speed) -> Self {
        Self { speed, request: None, answers: Vec::new(), quiet_since: None, collisions: 0, rushed: 0 }
    }

    /// The client wrote bytes. [`Bus::turn`] goes before, so that what was silence is known.
    pub fn hear(&mut self, now: Instant, bytes: &[u8]) {
        let time = self.speed.time_of(bytes.len());
        let begun = self.request.is_none();
        // A client that follows an answer without a pause is taken for its continuation.
        let rushes = begun && self.quiet_since.is_some_and(|end| now < end + self.speed.silence());
        self.rushed += u64::from(rushes);
        let request = self.request.get_or_insert(Request { bytes: Vec::new(), until: now, spoilt: rushes });
        let from = request.until.max(now);
        request.until = from + time;
        if request.bytes.len() <= rtu::MOST {
            request.bytes.extend(bytes);
        }
        let mut collides = false;
        for answer in &mut self.answers {
            collides |= answer.spoil(self.speed, from, request.until);
        }
        self.collisions += u64::from(collides && !request.spoilt);
        request.spoilt |= collides;
    }

    /// A unit sends from then on.
    pub fn say(&mut self, from: Instant, bytes: Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let until = from + self.speed.time_of(bytes.len());
        let mut answer = Answer { spoilt_from: bytes.len(), bytes, from, until, sent: 0 };
        for other in &mut self.answers {
            if other.spoil(self.speed, from, until) {
                answer.spoil(self.speed, other.from, other.until);
                self.collisions += 1;
            }
        }
        if let Some(request) = &mut self.request
            && request.until > from
        {
            // All that is left of it is still to come, so the answer is spoilt from its beginning on.
            answer.spoilt_from = 0;
            self.collisions += u64::from(!request.spoilt);
            request.spoilt = true;
        }
        self.answers.push(answer);
    }

    /// What is through by now.
    pub fn turn(&mut self, now: Instant) -> Turn {
        let mut turn = Turn::default();
        for answer in &mut self.answers {
            let through = answer.through(self.speed, now);
            for place in answer.sent..through {
                let spoilt = if place >= answer.spoilt_from { SPOILT } else { 0 };
                turn.out.push(answer.bytes[place] ^ spoilt);
            }
            answer.sent = through;
        }
        let ended = self.answers.extract_if(.., |answer| answer.sent == answer.bytes.len());
        self.quiet_since = ended.map(|answer| answer.until).chain(self.quiet_since).max();
        if self.request.as_ref().is_some_and(|request| now >= request.until + self.speed.silence()) {
            let whole = self.request.take().filter(|request| !request.spoilt);
            turn.heard = whole.map(|request| (request.bytes, request.until));
        }
        turn
    }

    /// When [`Bus::turn`] has something to do again.
    pub fn wake_at(&self) -> Option<Instant> {
        let request = self.request.as_ref().map(|request| request.until + self.speed.silence());
        self.answers.iter().map(|answer| answer.next_piece(self.speed)).chain(request).min()
    }
}

impl Answer {
    /// Spoils what is on the wire in that time; false when nothing is.
    fn spoil(&mut self, speed: Speed, from: Instant, until: Instant) -> bool {
        let overlaps = from < self.until && self.from < until;
        if overlaps {
            let first = speed.bytes_in(from.saturating_duration_since(self.from));
            // What the client has already cannot be spoilt any more; the last byte always can.
            let first = first.max(self.sent).min(self.bytes.len() - 1);
            self.spoilt_from = self.spoilt_from.min(first);
        }
        overlaps
    }

    /// Bytes that are through: whole pieces, and all of them at the end.
    fn through(&self, speed: Speed, now: Instant) -> usize {
        if now >= self.until {
            return self.bytes.len();
        }
        let bytes = speed.bytes_in(now.saturating_duration_since(self.from));
        (bytes / PIECE * PIECE).max(self.sent)
    }

    fn next_piece(&self, speed: Speed) -> Instant {
        let pieces: Duration = speed.time_of(self.sent + PIECE);
        (self.from + pieces).min(self.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE_MS_PER_BYTE: Speed = Speed { baud: 10_000, parity: rtu::Parity::None, stop: 1 };

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn bus() -> (Bus, Instant) {
        (Bus::new(ONE_MS_PER_BYTE), Instant::now())
    }

    #[test]
    fn a_request_is_heard_when_its_bytes_and_the_silence_are_through() {
        let (mut bus, start) = bus();
        bus.hear(start, &[1; 8]);
        assert_eq!(bus.wake_at(), Some(start + ms(8) + ONE_MS_PER_BYTE.silence()));
        assert_eq!(bus.turn(start + ms(11)), Turn::default());
        let turn = bus.turn(start + ms(12));
        assert_eq!(turn.heard, Some((vec![1; 8], start + ms(8))));
        assert_eq!(bus.wake_at(), None);
    }

    #[test]
    fn bytes_that_follow_at_once_belong_to_the_frame_and_after_a_gap_they_do_not() {
        let (mut bus, start) = bus();
        bus.hear(start, &[1, 2]);
        bus.hear(start + ms(4), &[3]);
        assert_eq!(bus.turn(start + ms(9)).heard, Some((vec![1, 2, 3], start + ms(5))));
        bus.hear(start + ms(20), &[4]);
        assert_eq!(bus.turn(start + ms(26)).heard, Some((vec![4], start + ms(21))));
    }

    #[test]
    fn an_answer_leaves_in_pieces_over_the_time_that_it_needs() {
        let (mut bus, start) = bus();
        bus.say(start + ms(10), (0..20).collect());
        assert_eq!(bus.turn(start + ms(17)).out, []);
        assert_eq!(bus.wake_at(), Some(start + ms(18)));
        assert_eq!(bus.turn(start + ms(19)).out, (0..8).collect::<Vec<_>>());
        assert_eq!(bus.turn(start + ms(26)).out, (8..16).collect::<Vec<_>>());
        assert_eq!(bus.wake_at(), Some(start + ms(30)));
        assert_eq!(bus.turn(start + ms(30)).out, (16..20).collect::<Vec<_>>());
        assert_eq!(bus.wake_at(), None);
    }

    #[test]
    fn a_request_into_an_answer_spoils_both_and_counts_once() {
        let (mut bus, start) = bus();
        bus.say(start, (0..20).collect());
        assert_eq!(bus.turn(start + ms(8)).out.len(), 8);
        bus.hear(start + ms(10), &[7; 4]);
        bus.hear(start + ms(14), &[7; 4]);
        let turn = bus.turn(start + ms(30));
        let right: Vec<u8> = (8..10).chain((10..20).map(|byte| byte ^ SPOILT)).collect();
        assert_eq!((turn.out, turn.heard), (right, None));
        assert_eq!((bus.collisions, bus.rushed), (1, 0));
    }

    #[test]
    fn an_answer_into_a_request_or_into_another_answer_spoils_both() {
        let (mut bus, start) = bus();
        bus.hear(start, &[7; 8]);
        bus.say(start + ms(4), vec![1; 4]);
        let turn = bus.turn(start + ms(20));
        assert_eq!((turn.out, turn.heard), (vec![1 ^ SPOILT; 4], None));
        bus.say(start + ms(30), vec![1; 8]);
        bus.say(start + ms(34), vec![2; 8]);
        let turn = bus.turn(start + ms(50));
        assert_eq!(turn.out[..4], [1; 4]);
        assert_eq!(turn.out[4..12], [[1 ^ SPOILT; 4], [2 ^ SPOILT; 4]].concat());
        assert_eq!(bus.collisions, 2);
    }

    #[test]
    fn who_follows_an_answer_without_the_silence_is_not_heard() {
        let (mut bus, start) = bus();
        bus.say(start, vec![1; 8]);
        bus.turn(start + ms(8));
        bus.hear(start + ms(11), &[7; 8]);
        assert_eq!(bus.turn(start + ms(30)).heard, None);
        bus.hear(start + ms(31), &[7; 8]);
        assert!(bus.turn(start + ms(50)).heard.is_some());
        assert_eq!((bus.rushed, bus.collisions), (1, 0));
    }
}
