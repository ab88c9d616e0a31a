//! Log lines: to stderr, for people or for machines; a panic is a line too.

use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;
use wtn::config::LogFormat;

/// What a server says unless `WTN_LOG` or `RUST_LOG` say otherwise: its own events, and everybody's warnings.
/// `wtn` stands for every crate whose name begins so.
pub const SERVER: &str = "warn,wtn=info,wtn_client=warn";
/// The same of `publish` and `play`.
pub const CLIENT: &str = "warn,wtn=info";

/// Begins to log.
pub fn start(format: LogFormat, filter: &str) {
    let wanted = ["WTN_LOG", "RUST_LOG"].iter().find_map(|name| std::env::var(name).ok());
    let filter = EnvFilter::builder().parse_lossy(wanted.as_deref().unwrap_or(filter));
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => lines.with_ansi(colours).with_target(false).init(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).init(),
    }
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(ToString::to_string);
        let payload = panic.payload();
        let literal = payload.downcast_ref::<&str>().copied();
        let what =
            literal.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or_default();
        tracing::error!(at, "a bug in wtn, please report it: {what}");
    }));
}
