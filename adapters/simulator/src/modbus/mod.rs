//! Modbus as devices speak it: frames over TCP and over a serial line (pure), the serial bus in time
//! (pure), what it expects of its clients (pure), the desk that answers (pure but for the devices behind it), and the server and the line
//! with their sockets and terminals. Beside them very many cheap devices for measurements.

mod bus;
mod converter;
mod desk;
mod frame;
mod line;
mod manners;
mod many;
mod reply;
mod rtu;
mod server;
mod shared;

pub use converter::ConverterSettings;
pub use line::{Line, LineSettings};
pub use manners::Manners;
pub use many::Many;
pub use rtu::{Parity, Speed};
pub use server::Server;
pub(crate) use shared::Shared;
