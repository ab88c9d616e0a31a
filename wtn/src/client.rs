//! `wtn publish` and `wtn play`: the client's reports on stdout, everything else on stderr.

use crate::cli::{PlayArgs, PublishArgs, Source};
use crate::exit::{self, FAILED, Failure};
use crate::signals::Signals;
use crate::{log, serve};
use serde::Serialize;
use std::fmt;
use tokio_util::sync::CancellationToken;
use wtn::config::LogFormat;
use wtn_client::{ClientError, Length, PlayOptions, PlayReport, PublishOptions, PublishReport};

pub fn publish(args: PublishArgs) -> Result<(), Failure> {
    let Source::Test = args.source;
    let options = PublishOptions {
        url: args.to,
        key: args.key,
        ca: args.ca,
        codec: args.codec.into(),
        length: Length::from_flags(args.length, args.repeat),
        wait: args.wait,
    };
    let url = options.url.clone();
    let done = until_stopped(async |stop| wtn_client::publish_test(options, stop).await)?;
    let without_session = |error: &_| PublishReport::without_session(&url, error);
    finish(done, args.json, without_session, |report| report.ok)
}

pub fn play(args: PlayArgs) -> Result<(), Failure> {
    let options = PlayOptions {
        url: args.url,
        key: args.key,
        ca: args.ca,
        length: args.length,
        wait: args.wait,
        expect: args.expect.unwrap_or_default(),
    };
    let url = options.url.clone();
    let done = until_stopped(async |stop| wtn_client::play(options, stop).await)?;
    let without_session = |error: &_| PlayReport::without_session(&url, error);
    finish(done, args.json, without_session, |report| report.ok)
}

/// Runs `work` until it is done; Ctrl-C and SIGTERM ask it to come to an end.
fn until_stopped<T>(work: impl AsyncFnOnce(CancellationToken) -> T) -> Result<T, Failure> {
    log::start(LogFormat::Text, log::CLIENT);
    serve::runtime()?.block_on(async {
        let signals = Signals::catch().map_err(|error| Failure::new(FAILED, error))?;
        let stop = CancellationToken::new();
        let stopping = stop.clone();
        tokio::spawn(async move {
            signals.stop().await;
            stopping.cancel();
        });
        Ok(work(stop).await)
    })
}

/// Data on stdout, also when there never was a session if it is to be read by a machine.
fn finish<R: fmt::Display + Serialize>(
    done: Result<R, ClientError>,
    json: bool,
    without_session: impl Fn(&ClientError) -> R,
    is_ok: impl Fn(&R) -> bool,
) -> Result<(), Failure> {
    let report = match done {
        Ok(report) => report,
        Err(error) => {
            if json {
                print_json(&without_session(&error))?;
            }
            let (what, fix) = (error.to_string(), error.fix().unwrap_or_default());
            let text = format!("{}; {fix}", what.trim_end_matches('.'));
            return Err(Failure::new(error.exit_code(), text.trim_end_matches("; ")));
        }
    };
    if json {
        print_json(&report)?;
    } else {
        exit::print(format_args!("{}\n", report.to_string().trim_end()));
    }
    if is_ok(&report) { Ok(()) } else { Err(Failure::silent(FAILED)) }
}

fn print_json(report: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(report).map_err(|error| Failure::new(FAILED, error))?;
    exit::print(format_args!("{text}\n"));
    Ok(())
}
