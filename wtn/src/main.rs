//! The `wtn` program: reads the command line, hands over to a verb, turns its end into an exit code.

mod banner;
mod bench;
mod cli;
mod client;
mod configure;
mod conformance;
mod demo;
mod exit;
mod key;
mod log;
mod manage;
mod serve;
mod signals;

use clap::Parser as _;
use cli::{Cli, Verb};
use std::process::ExitCode;

/// Each packet that comes in is an allocation, and a stream keeps seconds of them: the system's allocator spends on
/// these more than decryption costs, as it looks at the neighbours of what it frees (docs/decisions/0012-allocator.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.verb.unwrap_or(Verb::Serve(cli.serve)) {
        Verb::Serve(args) => serve::run(&args),
        Verb::Demo(args) => demo::run(&args),
        Verb::Publish(args) => client::publish(args),
        Verb::Play(args) => client::play(args),
        Verb::Config(args) => configure::run(&args),
        Verb::Endpoint(args) => manage::endpoint(args),
        Verb::Key(args) => manage::key(args),
        Verb::Conformance(args) => conformance::run(args),
        Verb::Bench(args) => bench::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
