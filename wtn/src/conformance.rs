//! `wtn conformance`: the table on stdout, or JSON; JUnit into a file.

use crate::exit::{self, FAILED, Failure};
use crate::log;
use crate::serve;
use clap::Args;
use std::net::IpAddr;
use std::path::PathBuf;
use wtn::config::LogFormat;
use wtn_conformance::{Options, Place};

const EXAMPLES: &str = "\
The target is a base URL (http://HOST:PORT, with /whip/{name} and /whep/{name} below it as wtn has them), or one
WHIP endpoint; {name} in a URL stands for a stream's name. Without {name} all checks share that endpoint, one after
the other, and some cannot be made.

Every check has a stream of its own and ends the sessions that it opened. Do not point this at a stream that people watch.

Examples:
  wtn conformance http://localhost:8080 --key KEY
  wtn conformance 'https://example.com/ingest/{name}/whip' --whep 'https://example.com/play/{name}/whep' --key KEY
  wtn conformance http://localhost:8889/mystream/whip --whep http://localhost:8889/mystream/whep
  wtn conformance http://localhost:8080 --only SESS,SDP-29 --junit report.xml

Exit codes: 0 no MUST failed, 1 one did, 2 usage.
";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct ConformanceArgs {
    /// The server's base URL, or its WHIP endpoint.
    #[arg(value_name = "WHIP_OR_BASE_URL")]
    target: String,
    /// The WHEP endpoint, if it does not follow from the base URL.
    #[arg(long, value_name = "WHEP_URL")]
    whep: Option<String>,
    /// The bearer token to publish with.
    #[arg(long, env = "WTN_KEY", hide_env_values = true)]
    key: Option<String>,
    /// The bearer token to watch with.
    #[arg(long, env = "WTN_PLAY_KEY", hide_env_values = true)]
    play_key: Option<String>,
    /// Another token to publish with: it must not open the sessions of the first.
    #[arg(long, value_name = "KEY", env = "WTN_OTHER_KEY", hide_env_values = true)]
    other_key: Option<String>,
    /// An endpoint that redirects to another node.
    #[arg(long, value_name = "WHIP_URL")]
    redirect: Option<String>,
    /// An address that answers must announce, such as the public one behind NAT.
    #[arg(long, value_name = "IP")]
    public_address: Option<IpAddr>,
    /// Trust the certificates of this PEM file for https, instead of the system's.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Only rows that begin so, such as SESS or SDP-29.
    #[arg(long, value_name = "ROW", value_delimiter = ',')]
    only: Vec<String>,
    /// How the names of streams begin.
    #[arg(long, value_name = "PREFIX", default_value = "conf")]
    stream_prefix: String,
    /// Also what strains the server: hundreds of POSTs that never connect.
    #[arg(long)]
    abuse: bool,
    /// Write a JUnit report.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Report in JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(args: ConformanceArgs) -> Result<(), Failure> {
    const USAGE: u8 = 2;
    let usage = |error: String| Failure::new(USAGE, error);
    let (whip, below) = Place::of_base(&args.target).map_err(usage)?;
    let whep = args.whep.as_deref().map(Place::new).transpose().map_err(usage)?.or(below);
    let redirect = args.redirect.as_deref().map(Place::one).transpose().map_err(usage)?;
    let options = Options {
        whip: Some(whip),
        whep,
        key: args.key,
        play_key: args.play_key,
        other_key: args.other_key,
        redirect,
        public_address: args.public_address,
        ca: args.ca,
        only: args.only,
        stream_prefix: args.stream_prefix,
        abuse: args.abuse,
    };
    log::start(LogFormat::Text, "error");
    let report = serve::runtime()?.block_on(wtn_conformance::run(options));
    if let Some(file) = args.junit {
        std::fs::write(&file, report.to_junit())
            .map_err(|error| Failure::new(FAILED, format!("{}: {error}", file.display())))?;
    }
    if args.json {
        let text =
            serde_json::to_string_pretty(&report.to_json()).map_err(|error| Failure::new(FAILED, error))?;
        exit::print(format_args!("{text}\n"));
    } else {
        exit::print(&report);
    }
    match report.is_conformant() {
        true if report.findings.is_empty() => Err(usage("no row begins like that".to_owned())),
        true => Ok(()),
        false => Err(Failure::silent(FAILED)),
    }
}
