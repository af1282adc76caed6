//! The stream below tokio-modbus, a socket or a serial port: it alone knows whether bytes of a request
//! left, and whether the peer hung up or said something unasked while nobody was listening.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_serial::SerialStream;

#[derive(Debug)]
pub(super) struct Wire {
    stream: Stream,
    left: AtomicBool,
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    /// One task alone uses it; the lock lets two owners share it.
    Serial(Mutex<SerialStream>),
}

/// What waits to be read although nobody asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waiting {
    Nothing,
    Bytes,
    /// The peer hung up, or the port is gone.
    End,
}

impl Wire {
    pub fn tcp(stream: TcpStream) -> Arc<Self> {
        Arc::new(Self { stream: Stream::Tcp(stream), left: AtomicBool::new(false) })
    }

    pub fn serial(stream: SerialStream) -> Arc<Self> {
        Arc::new(Self { stream: Stream::Serial(Mutex::new(stream)), left: AtomicBool::new(false) })
    }

    /// From here on, a new request counts.
    pub fn begin(&self) {
        self.left.store(false, Ordering::Relaxed);
    }

    /// Has a byte of the request left?
    pub fn has_left(&self) -> bool {
        self.left.load(Ordering::Relaxed)
    }

    /// Throws away what waits to be read; `Bytes` when something was.
    pub fn discard(&self) -> Waiting {
        let mut thrown = Waiting::Nothing;
        loop {
            let mut bytes = [0; 512];
            let read = match &self.stream {
                Stream::Tcp(stream) => stream.try_read(&mut bytes),
                Stream::Serial(stream) => held(stream).try_read(&mut bytes),
            };
            match (read, &self.stream) {
                // A serial port has no end of file; it says so where it could say "nothing yet".
                (Ok(0), Stream::Serial(_)) => return thrown,
                (Ok(0), Stream::Tcp(_)) => return Waiting::End,
                (Ok(_), _) => thrown = Waiting::Bytes,
                (Err(error), _) if error.kind() == io::ErrorKind::WouldBlock => return thrown,
                (Err(error), _) if error.kind() == io::ErrorKind::Interrupted => {}
                (Err(_), _) => return Waiting::End,
            }
        }
    }
}

fn held(stream: &Mutex<SerialStream>) -> MutexGuard<'_, SerialStream> {
    stream.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The end that tokio-modbus reads and writes.
#[derive(Debug)]
pub(super) struct End(pub Arc<Wire>);

impl AsyncRead for End {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let stream = match &self.0.stream {
            Stream::Tcp(stream) => stream,
            Stream::Serial(stream) => return Pin::new(&mut *held(stream)).poll_read(cx, buf),
        };
        loop {
            ready!(stream.poll_read_ready(cx))?;
            match stream.try_read(buf.initialize_unfilled()) {
                Ok(count) => {
                    buf.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for End {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = match &self.0.stream {
            Stream::Serial(stream) => ready!(Pin::new(&mut *held(stream)).poll_write(cx, buf)),
            Stream::Tcp(stream) => loop {
                ready!(stream.poll_write_ready(cx))?;
                match stream.try_write(buf) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    written => break written,
                }
            },
        };
        if written.is_ok() {
            self.0.left.store(true, Ordering::Relaxed);
        }
        Poll::Ready(written)
    }

    /// Not on a serial port either: there it would hold this thread until the last byte is on the line.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Closing is dropping: the kernel then says goodbye to the peer.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
