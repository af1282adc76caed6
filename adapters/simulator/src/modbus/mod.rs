//! Modbus TCP as a server speaks it: frames (pure), the desk that answers them (pure but for the
//! devices behind it), and the server with its sockets.

mod desk;
mod frame;
mod reply;
mod server;

pub use server::Server;
pub(crate) use server::Shared;
