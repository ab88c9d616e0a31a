//! The `wtn` program: reads the command line, hands over to a verb, turns its end into an exit code.

mod banner;
mod cli;
mod exit;
mod key;
mod log;
mod serve;
mod signals;

use clap::Parser as _;
use cli::{Cli, Verb};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.verb.unwrap_or(Verb::Serve(cli.serve)) {
        Verb::Serve(args) => serve::run(&args),
        _ => Ok(()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
