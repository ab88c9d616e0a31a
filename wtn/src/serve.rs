//! `wtn serve`: the server until somebody stops it.

use crate::banner::{Access, Banner};
use crate::cli::ServeArgs;
use crate::exit::{self, FAILED, Failure};
use crate::key::{self, KeptKey};
use crate::log;
use crate::signals::{Hangups, Signals};
use rustix::process::{Resource, getrlimit, setrlimit};
use std::io::IsTerminal as _;
use tokio::runtime::Runtime;
use wtn::config::{Change, Config};
use wtn::{Running, Server};

/// Threads for HTTP. Media has its own, one per core, and comes first.
const HTTP_THREADS: usize = 2;

/// RFC 9725 §5, and what it means for those who try.
const UNENCRYPTED: &str = "HTTP is not encrypted: keys can be overheard, and browsers give no camera or microphone to \
    pages that come so from another machine. Set http.tls.certificate and http.tls.key; or put a proxy with TLS before \
    the server, and listen for it alone: --http 127.0.0.1:8080";

pub fn run(args: &ServeArgs) -> Result<(), Failure> {
    let mut config = args.to_config()?;
    log::start(config.log_format, log::SERVER);
    let kept = complete(&mut config);
    runtime()?.block_on(async {
        let signals = Signals::catch().map_err(|error| Failure::new(FAILED, error))?;
        let hangups = Hangups::catch().map_err(|error| Failure::new(FAILED, error))?;
        let running = Server::with(config.clone()).start().await?;
        announce(&running, &config, args, kept.as_ref());
        tokio::select! {
            () = signals.stop() => {}
            () = hangups.each(|| reload(&running, args)) => {}
        }
        tracing::info!("stopping");
        running.shutdown().await;
        Ok(())
    })
}

/// Reads the configuration again. One with faults changes nothing: the old one is kept, and that is said.
fn reload(running: &Running, args: &ServeArgs) {
    let faults = match args.to_config() {
        Ok(mut config) => {
            complete(&mut config);
            match running.reload(config) {
                Ok(changes) => return tell(&changes),
                Err(error) => error.to_string(),
            }
        }
        Err(faults) => {
            running.reload_failed();
            faults.to_string()
        }
    };
    tracing::error!("the configuration has faults, and the old one stays in effect:\n{}", faults.trim_end());
}

fn tell(changes: &[Change]) {
    let keys = |needs_restart| {
        let keys = changes.iter().filter(|change| change.needs_restart == needs_restart);
        keys.map(|change| change.key).collect::<Vec<_>>().join(", ")
    };
    let (changed, waiting) = (keys(false), keys(true));
    match &*changed {
        "" => tracing::info!("the configuration is read again: nothing changes"),
        changed => tracing::info!(changed, "the configuration is read again, and in effect"),
    }
    if !waiting.is_empty() {
        tracing::warn!(keys = waiting, "changed too, but only a restart brings it into effect");
    }
}

/// What a configuration need not say: where this host keeps what is made at run time, and the first key.
fn complete(config: &mut Config) -> Option<KeptKey> {
    config.data_dir = key::data_folder(config);
    keep_key(config)
}

/// A server that is neither open nor has keys gets the key of its first start.
pub fn keep_key(config: &mut Config) -> Option<KeptKey> {
    if config.has_way_in() {
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
    if !running.has_certificate() && !running.http_addr().ip().is_loopback() {
        tracing::warn!("{UNENCRYPTED}");
    }
    let note = kept.map(note).unwrap_or_default();
    if std::io::stdout().is_terminal() {
        let addresses = wtn_net::host_addresses();
        let mut banner = Banner::new(running, &addresses, access(config, kept, &note));
        banner.public_url = config.public_url.as_deref();
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
