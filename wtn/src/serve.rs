//! `wtn serve`: the server until somebody stops it.

use crate::banner::{Access, Banner};
use crate::cli::ServeArgs;
use crate::exit::{self, FAILED, Failure};
use crate::key::{self, KeptKey};
use crate::log;
use crate::signals::Signals;
use rustix::process::{Resource, getrlimit, setrlimit};
use std::io::IsTerminal as _;
use tokio::runtime::Runtime;
use wtn::config::Config;
use wtn::{Running, Server};

/// Threads for HTTP. Media has its own, one per core, and comes first.
const HTTP_THREADS: usize = 2;

pub fn run(args: &ServeArgs) -> Result<(), Failure> {
    let mut config = args.to_config()?;
    log::start(config.log_format, log::SERVER);
    let kept = keep_key(&mut config);
    runtime()?.block_on(async {
        let signals = Signals::catch().map_err(|error| Failure::new(FAILED, error))?;
        let running = Server::with(config.clone()).start().await?;
        announce(&running, &config, args, kept.as_ref());
        signals.stop().await;
        tracing::info!("stopping");
        running.shutdown().await;
        Ok(())
    })
}

/// A server that is neither open nor has keys gets the key of its first start.
pub fn keep_key(config: &mut Config) -> Option<KeptKey> {
    if config.open || !config.publish_keys.is_empty() {
        return None;
    }
    let kept = key::of_first_start(config);
    config.publish_keys.push(kept.key.clone());
    Some(kept)
}

pub fn runtime() -> Result<Runtime, Failure> {
    let _ = raise_descriptor_limit();
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(HTTP_THREADS)
        .thread_name("wtn-http")
        .enable_all()
        .build()
        .map_err(|error| Failure::new(FAILED, format!("no threads for HTTP: {error}")))
}

/// Each HTTP connection is a descriptor, and the usual soft limit of 1024 is for programs that use select().
pub fn raise_descriptor_limit() -> Result<(), rustix::io::Errno> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit)
}

/// The banner for a person, a line for a log. The key is only ever shown to a person.
fn announce(running: &Running, config: &Config, args: &ServeArgs, kept: Option<&KeptKey>) {
    if let Some(KeptKey { file: Err(why), .. }) = kept {
        tracing::warn!("the publish key is good until the server stops, as it cannot be kept: {why}");
    }
    if config.open && !config.publish_keys.is_empty() {
        tracing::warn!("the server is open: its publish keys are not asked for");
    }
    let note = kept.map(note).unwrap_or_default();
    if std::io::stdout().is_terminal() {
        let addresses = wtn_net::host_addresses();
        let mut banner = Banner::new(running, &addresses, access(config, kept, &note));
        banner.config = args.config.as_deref();
        exit::print(banner);
        return;
    }
    let (http, media, shards) = (running.http_addr(), running.media_addr(), running.shards());
    let publishing = if config.open { "anybody may publish" } else { "publishing needs a key" };
    tracing::info!(%http, %media, shards, "listening; {publishing}");
    tracing::info!("{}", wtn_net::Capability::probe());
    if kept.is_some() {
        tracing::info!("the publish key is {note}");
    }
}

pub fn access<'a>(config: &Config, kept: Option<&'a KeptKey>, note: &'a str) -> Access<'a> {
    match kept {
        _ if config.open => Access::Open,
        Some(kept) => Access::Key(kept.key.reveal(), note),
        None => Access::Configured,
    }
}

pub fn note(kept: &KeptKey) -> String {
    match &kept.file {
        Ok(file) => format!("kept in {}", file.display()),
        Err(_) => "good until the server stops".to_owned(),
    }
}
