//! Asks others who may come in: a [`Webhook`], and an identity server for the keys of its tokens ([`KeySetUrl`]).
//!
//! What is asked and what the answers mean is `wtn_wish`'s to say; here are the sockets and the clocks. Neither
//! follows redirects, uses a proxy, waits for long, or reads much.

mod key_set;
mod webhook;

pub use key_set::KeySetUrl;
pub use webhook::{Webhook, WebhookConfig};

use std::time::Duration;

/// The URL is none, or TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("{url}: {why}")]
pub struct BadUrl {
    url: String,
    why: String,
}

fn client(url: &str, timeout: Duration) -> Result<(reqwest::Client, reqwest::Url), BadUrl> {
    let bad = |why: String| BadUrl { url: url.to_owned(), why };
    let parsed = reqwest::Url::parse(url).map_err(|error| bad(error.to_string()))?;
    if !matches!(parsed.scheme(), "http" | "https") || !parsed.has_host() {
        return Err(bad("it is no http or https URL".to_owned()));
    }
    let client = reqwest::Client::builder()
        .timeout(timeout)
        .connect_timeout(timeout)
        // Whoever answers there could send us, and the credentials of others, anywhere.
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .user_agent(concat!("wtn/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| bad(error.to_string()))?;
    Ok((client, parsed))
}

/// What went wrong, without the URL, which may hold a secret.
fn sentence(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
