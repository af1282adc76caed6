//! `maestro`: arguments, and the exit code that came of them.

use std::process::ExitCode;

fn main() -> ExitCode {
    maestro_gateway::cli::main()
}
