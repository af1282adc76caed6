//! The other end for tests: a small raw Modbus TCP server that answers from register banks, or as
//! badly as a test asks for.

pub(crate) mod der;
mod gateway;
pub(crate) mod hybrid;

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

pub(crate) use self::gateway::{Hands, Notes};
use crate::config::{Address, Settings};

/// How the peer treats one request. Requests without a move are answered as they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Move {
    /// As it should be.
    Answer,
    /// The answer leaves when the next request arrives, on whatever connection.
    Late,
    /// Twice.
    Twice,
    /// Never.
    Silent,
    /// The write is done, and never confirmed.
    DoneSilent,
    /// One register less.
    Short,
    /// One register more.
    Long,
    OtherTransaction,
    OtherProtocol,
    OtherUnit,
    /// Function 4 answers 3, and so on.
    OtherFunction,
    /// The confirmation names another address.
    EchoAddress,
    /// The confirmation names another number of registers.
    EchoCount,
    /// Closed instead of an answer.
    Close,
    /// Answered, then closed.
    AnswerClose,
    /// Bytes that are no Modbus.
    Garbage,
    Exception(u8),
}

/// One request as it arrived: unit, function, address, count (of function 6: its word), and the words of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub unit: u8,
    pub function: u8,
    pub start: u16,
    pub count: u16,
    pub words: Vec<u16>,
}

#[derive(Default)]
struct State {
    /// (unit, function 3 or 4, address) → word. What is missing answers exception 2.
    words: BTreeMap<(u8, u8, u16), u16>,
    moves: VecDeque<Move>,
    seen: Vec<Seen>,
    connections: usize,
    /// A late answer, and where to.
    late: Option<(Arc<tokio::sync::Mutex<tokio::net::tcp::OwnedWriteHalf>>, Vec<u8>)>,
    /// Registers that take a write and keep their old value.
    stubborn: Vec<u16>,
    /// No read may span the border before these registers.
    borders: Vec<u16>,
    /// Once a read of the first register was answered, the second holds this word.
    changes: Vec<(u16, u16, u16)>,
    /// Reads of these registers answer exception 4.
    failing: Vec<u16>,
    /// Longer reads answer exception 3.
    most: Option<u16>,
    /// Takes writes by function 6 alone.
    single_writes: bool,
}

/// The server; it ends with the value.
pub(crate) struct Peer {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    _tasks: JoinSet<()>,
}

impl Peer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let mut tasks = JoinSet::new();
        let shared = Arc::clone(&state);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                shared.lock().unwrap().connections += 1;
                connections.spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { address, state, _tasks: tasks }
    }

    /// Puts words into a unit's holding registers.
    pub fn holding(&self, unit: u8, start: u16, words: &[u16]) {
        self.put(unit, 3, start, words);
    }

    /// Puts words into a unit's input registers.
    pub fn input(&self, unit: u8, start: u16, words: &[u16]) {
        self.put(unit, 4, start, words);
    }

    fn put(&self, unit: u8, function: u8, start: u16, words: &[u16]) {
        let mut state = self.state.lock().unwrap();
        for (offset, word) in (0_u16..).zip(words) {
            state.words.insert((unit, function, start + offset), *word);
        }
    }

    /// A holding register's word.
    pub fn word(&self, unit: u8, address: u16) -> u16 {
        self.state.lock().unwrap().words[&(unit, 3, address)]
    }

    /// Takes all registers away.
    pub fn clear(&self) {
        self.state.lock().unwrap().words.clear();
    }

    /// Takes input registers away.
    pub fn without(&self, unit: u8, registers: std::ops::Range<u16>) {
        let mut state = self.state.lock().unwrap();
        registers.for_each(|at| {
            state.words.remove(&(unit, 4, at));
        });
    }

    /// Reads of this register fail in the device.
    pub fn fails(&self, register: u16) {
        self.state.lock().unwrap().failing.push(register);
    }

    /// Refuses longer reads.
    pub fn most(&self, count: u16) {
        self.state.lock().unwrap().most = Some(count);
    }

    /// How the next requests are treated.
    pub fn moves(&self, moves: &[Move]) {
        self.state.lock().unwrap().moves.extend(moves);
    }

    /// All is answered as it should be again.
    pub fn forget_moves(&self) {
        self.state.lock().unwrap().moves.clear();
    }

    /// This register takes writes and keeps its value.
    pub fn stubborn(&self, address: u16) {
        self.state.lock().unwrap().stubborn.push(address);
    }

    /// All registers take writes again.
    pub fn obedient(&self) {
        self.state.lock().unwrap().stubborn.clear();
    }

    /// A read of this register and of the one before it is refused.
    pub fn border(&self, before: u16) {
        self.state.lock().unwrap().borders.push(before);
    }

    /// Once, after a read of `read` was answered, a unit's register holds another word.
    pub fn change_after(&self, read: u16, address: u16, word: u16) {
        self.state.lock().unwrap().changes.push((read, address, word));
    }

    /// Takes registers away.
    pub fn remove(&self, unit: u8, start: u16, count: u16) {
        let mut state = self.state.lock().unwrap();
        state.words.retain(|(of, _, at), _| *of != unit || !(start..start + count).contains(at));
    }

    /// Writes are taken by function 6 alone; function 16 answers exception 1.
    pub fn takes_single_writes(&self) {
        self.state.lock().unwrap().single_writes = true;
    }

    /// Requests so far; forgets them.
    pub fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.state.lock().unwrap().seen)
    }

    pub fn connections(&self) -> usize {
        self.state.lock().unwrap().connections
    }

    /// The tables of a connection to it.
    pub fn settings(&self, devices: &str) -> Settings {
        let address = format!("address = \"tcp://{}\"\ntimeout = \"200ms\"\n", self.address);
        toml::from_str(&(address + devices)).unwrap()
    }

    pub fn place(&self) -> Address {
        format!("tcp://{}", self.address).parse().unwrap()
    }
}

async fn serve(stream: TcpStream, shared: Arc<Mutex<State>>) {
    let (mut from, to) = stream.into_split();
    let to = Arc::new(tokio::sync::Mutex::new(to));
    loop {
        let mut header = [0_u8; 7];
        if from.read_exact(&mut header).await.is_err() {
            return;
        }
        let mut pdu = vec![0; usize::from(u16::from_be_bytes([header[4], header[5]])) - 1];
        from.read_exact(&mut pdu).await.unwrap();
        let (how, answer, late) = {
            let mut state = shared.lock().unwrap();
            let how = state.moves.pop_front().unwrap_or(Move::Answer);
            let answer = state.answer(header, &pdu, how);
            let late = state.late.take();
            if how == Move::Late {
                state.late = Some((Arc::clone(&to), answer.clone()));
            }
            (how, answer, late)
        };
        if let Some((to, answer)) = late {
            // Whoever waited for it may be gone.
            let _gone = to.lock().await.write_all(&answer).await;
        }
        match how {
            Move::Late | Move::Silent | Move::DoneSilent => continue,
            Move::Close => return,
            _ => {}
        }
        if to.lock().await.write_all(&answer).await.is_err() || how == Move::AnswerClose {
            return;
        }
    }
}

impl State {
    fn answer(&mut self, header: [u8; 7], pdu: &[u8], how: Move) -> Vec<u8> {
        let word = |at: usize| u16::from_be_bytes([pdu[at], pdu[at + 1]]);
        let (unit, function, start, count) = (header[6], pdu[0], word(1), word(3));
        let written = if function == 6 { pdu.get(3..) } else { pdu.get(6..) };
        let words: Vec<u16> =
            written.unwrap_or_default().chunks(2).map(|two| u16::from_be_bytes([two[0], two[1]])).collect();
        self.seen.push(Seen { unit, function, start, count, words: words.clone() });
        let body = match how {
            Move::Exception(code) => vec![function | 0x80, code],
            _ if function < 5 && self.most.is_some_and(|most| count > most) => vec![function | 0x80, 3],
            Move::Garbage => vec![function],
            _ if function == 16 && self.single_writes => vec![function | 0x80, 1],
            _ if matches!(function, 6 | 16) => self.confirm(unit, function, start, &words, how),
            _ => {
                let answer = self.values(unit, function, start, count, how);
                self.change(unit, start, count);
                answer
            }
        };
        let mut frame = header.to_vec();
        match how {
            Move::OtherTransaction => frame[1] ^= 0x55,
            Move::OtherProtocol => frame[3] = 1,
            Move::OtherUnit => frame[6] ^= 0x03,
            _ => {}
        }
        frame[4..6].copy_from_slice(&(u16::try_from(body.len()).unwrap() + 1).to_be_bytes());
        frame.extend(body);
        if how == Move::Twice { [frame.clone(), frame].concat() } else { frame }
    }

    fn change(&mut self, unit: u8, start: u16, count: u16) {
        let covers =
            |read: u16| (u32::from(start)..u32::from(start) + u32::from(count)).contains(&u32::from(read));
        let (now, later) =
            std::mem::take(&mut self.changes).into_iter().partition(|(read, ..)| covers(*read));
        self.changes = later;
        let now: Vec<(u16, u16, u16)> = now;
        self.words.extend(now.into_iter().map(|(_, address, word)| ((unit, 3, address), word)));
    }

    fn values(&self, unit: u8, function: u8, start: u16, count: u16, how: Move) -> Vec<u8> {
        let count = match how {
            Move::Short => count - 1,
            Move::Long => count + 1,
            _ => count,
        };
        if self.borders.iter().any(|border| start < *border && *border - start < count) {
            return vec![function | 0x80, 2];
        }
        if self.failing.iter().any(|at| (start..start.saturating_add(count)).contains(at)) {
            return vec![function | 0x80, 4];
        }
        let wanted = (0..count).map(|offset| {
            let word = self.words.get(&(unit, function, start.wrapping_add(offset))).copied();
            // A register too many is made up.
            word.or((how == Move::Long).then_some(0xBAD))
        });
        let Some(words) = wanted.collect::<Option<Vec<u16>>>() else { return vec![function | 0x80, 2] };
        let told = if how == Move::OtherFunction { 7 - function } else { function };
        let mut body = vec![told, u8::try_from(words.len() * 2).unwrap()];
        body.extend(words.iter().flat_map(|word| word.to_be_bytes()));
        body
    }

    fn confirm(&mut self, unit: u8, function: u8, start: u16, words: &[u16], how: Move) -> Vec<u8> {
        if (start..).zip(words).any(|(at, _)| !self.words.contains_key(&(unit, 3, at))) {
            return vec![function | 0x80, 2];
        }
        if how != Move::Silent {
            for (at, word) in (start..).zip(words).filter(|(at, _)| !self.stubborn.contains(at)) {
                self.words.insert((unit, 3, at), *word);
            }
        }
        let at = if how == Move::EchoAddress { start + 1 } else { start };
        // Function 6 echoes its value, function 16 the number of registers.
        let told = if function == 6 { words[0] } else { u16::try_from(words.len()).unwrap() };
        let told = told.wrapping_add(u16::from(how == Move::EchoCount));
        [&[function][..], &at.to_be_bytes(), &told.to_be_bytes()].concat()
    }
}

/// Fails a test that waits for what never comes.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), what).await.expect("it takes too long")
}
