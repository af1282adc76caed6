//! The socket below tokio-modbus: it alone knows whether bytes of a request left, and whether the
//! peer hung up or said something unasked while nobody was listening.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    left: AtomicBool,
}

impl Wire {
    pub fn new(stream: TcpStream) -> Arc<Self> {
        Arc::new(Self { stream, left: AtomicBool::new(false) })
    }

    /// From here on, a new request counts.
    pub fn begin(&self) {
        self.left.store(false, Ordering::Relaxed);
    }

    /// Has a byte of the request left?
    pub fn has_left(&self) -> bool {
        self.left.load(Ordering::Relaxed)
    }

    /// Can a request be sent? Not when the peer hung up, and not when bytes wait that nobody asked
    /// for: they could only be a late or a second answer.
    pub fn is_quiet(&self) -> bool {
        let waiting = self.stream.try_read(&mut [0; 1]);
        matches!(waiting, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

/// The end that tokio-modbus reads and writes.
#[derive(Debug)]
pub(super) struct End(pub Arc<Wire>);

impl AsyncRead for End {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.stream.poll_read_ready(cx))?;
            match self.0.stream.try_read(buf.initialize_unfilled()) {
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
        loop {
            ready!(self.0.stream.poll_write_ready(cx))?;
            match self.0.stream.try_write(buf) {
                Ok(count) => {
                    self.0.left.store(true, Ordering::Relaxed);
                    return Poll::Ready(Ok(count));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Closing is dropping: the kernel then says goodbye to the peer.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
