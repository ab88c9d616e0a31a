//! Checks any WHIP and WHEP server against the standards, from outside.
//!
//! What is asked stands in `rows.toml`, a sentence a row. A check is a row's id and a function that talks to
//! the server as a client would and ends with a [`Verdict`]. Requests are written byte by byte and answers
//! are read as they come (`http`, `sdp`, `stun`); where media has to flow, the client stack of `wtn-client`
//! is driven on sockets of our own (`wire`). None of the server's code is in here to judge itself by.
//!
//! Every check has a stream of its own and ends what it opened; nothing floods unless it is asked to.

mod answer;
mod checks;
mod ctx;
mod http;
pub mod report;
pub mod rows;
mod sdp;
mod sse;
mod stage;
mod stun;
mod verdict;
mod wire;

pub use report::{Finding, Report};
pub use rows::{Row, Section, Strength};
pub use verdict::Verdict;

use checks::Check;
use ctx::{Ctx, Door, Target};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OnceCell, Semaphore};
use tokio::task::JoinSet;
use url::Url;

/// Checks at once, where each has a stream of its own.
const AT_ONCE: usize = 6;
/// No check may take longer.
const CHECK_WITHIN: Duration = Duration::from_secs(180);

/// Where to look, and how closely.
#[derive(Clone, Debug)]
pub struct Options {
    /// The WHIP endpoints.
    pub whip: Option<Place>,
    /// The WHEP endpoints.
    pub whep: Option<Place>,
    /// Opens WHIP.
    pub key: Option<String>,
    /// Opens WHEP.
    pub play_key: Option<String>,
    /// Another key that opens WHIP.
    pub other_key: Option<String>,
    /// An endpoint that redirects.
    pub redirect: Option<Url>,
    /// An address that answers must announce.
    pub public_address: Option<std::net::IpAddr>,
    /// A PEM file of certificates to trust for https, instead of the system's.
    pub ca: Option<PathBuf>,
    /// Only rows that begin so; empty: all.
    pub only: Vec<String>,
    /// Names of streams begin so.
    pub stream_prefix: String,
    /// Whether to run what strains the server.
    pub abuse: bool,
}

/// Endpoints: one, or one for each name.
#[derive(Clone, Debug)]
pub struct Place(String);

impl Place {
    /// A URL, in which `{name}` stands for a stream's name.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(url: &str) -> Result<Self, String> {
        let place = Self(url.to_owned());
        match Url::parse(&place.0.replace("{name}", "x")) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(place),
            Ok(_) => Err(format!("{url}: it has to begin with http:// or https://")),
            Err(error) => Err(format!("{url}: {error}")),
        }
    }

    /// One URL.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn one(url: &str) -> Result<Url, String> {
        Self::new(url).map(|place| place.url(""))
    }

    /// WHIP and WHEP of a URL without path, as wtn has them, else a WHIP endpoint alone.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn of_base(url: &str) -> Result<(Self, Option<Self>), String> {
        let place = Self::new(url)?;
        let bare = url.trim_end_matches('/');
        match Url::parse(url) {
            Ok(parsed) if parsed.path() == "/" && !place.is_pattern() => {
                Ok((Self(format!("{bare}/whip/{{name}}")), Some(Self(format!("{bare}/whep/{{name}}")))))
            }
            _ => Ok((place, None)),
        }
    }

    /// Whether there are as many endpoints as names.
    pub fn is_pattern(&self) -> bool {
        self.0.contains("{name}")
    }

    fn url(&self, name: &str) -> Url {
        Url::parse(&self.0.replace("{name}", name)).expect("checked when it was made")
    }
}

/// Runs the checks and tells what came of them, in the order of the rows.
pub async fn run(options: Options) -> Report {
    let begun = Instant::now();
    let places = [&options.whip, &options.whep];
    let is_shared = places.iter().any(|place| place.as_ref().is_some_and(|place| !place.is_pattern()));
    let wanted = |check: &Check| {
        options.only.is_empty()
            || options.only.iter().any(|row| check.row.starts_with(&*row.to_ascii_uppercase()))
    };
    let mut chosen: Vec<(Check, Door)> = checks::all()
        .into_iter()
        .filter(wanted)
        .flat_map(|check| check.doors.iter().map(move |door| (check.clone(), *door)))
        .collect();
    // Where all share one stream, nobody watches before the publishing is done.
    chosen.sort_by_key(|(_, door)| *door == Door::Whep);
    let connector = http::Connector::new(options.ca.as_deref());
    let target = Arc::new(Target { options, connector, stage: OnceCell::new() });
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    let mut done = Vec::new();
    for (check, door) in chosen {
        if is_shared {
            done.push(run_one(&target, check, door).await);
            continue;
        }
        let (target, permits) = (Arc::clone(&target), Arc::clone(&permits));
        running.spawn(async move {
            let _permit = permits.acquire_owned().await;
            run_one(&target, check, door).await
        });
    }
    done.extend(running.join_all().await);
    let mut findings = BTreeMap::<&'static str, Finding>::new();
    for finding in done {
        match findings.get_mut(finding.row) {
            Some(found) => found.join(finding),
            None => drop(findings.insert(finding.row, finding)),
        }
    }
    let order = rows::sections().iter().flat_map(|section| &section.rows);
    let findings = order.filter_map(|row| findings.remove(&*row.id)).collect();
    Report { findings, seconds: begun.elapsed().as_secs_f64() }
}

async fn run_one(target: &Arc<Target>, check: Check, door: Door) -> Finding {
    let begun = Instant::now();
    let ctx = Ctx::new(target, door, check.row);
    let verdict = if check.heavy && !target.options.abuse {
        Verdict::Skip("strains the server: asked for by --abuse".to_owned())
    } else {
        // A panic in a check is a failure of that check.
        let running = tokio::spawn((check.run)(Arc::clone(&ctx)));
        let abort = running.abort_handle();
        match tokio::time::timeout(CHECK_WITHIN, running).await {
            Ok(Ok(outcome)) => outcome.into(),
            Ok(Err(error)) => Verdict::Fail(format!("the check itself broke: {error}")),
            Err(_) => {
                abort.abort();
                Verdict::Fail(format!("no end within {CHECK_WITHIN:?}"))
            }
        }
    };
    ctx.clean_up().await;
    let verdict = match (door, verdict) {
        (Door::Whep, Verdict::Fail(why)) if check.doors.len() > 1 => Verdict::Fail(format!("WHEP: {why}")),
        (_, verdict) => verdict,
    };
    Finding { row: check.row, verdict, seconds: begun.elapsed().as_secs_f64() }
}
