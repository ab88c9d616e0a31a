//! The client's side of WHIP (RFC 9725) and WHEP over HTTP: POST, redirects, PATCH of a counter-offer, DELETE.
//!
//! Status codes are read by class (§4.1), and nothing depends on links or entity tags: every link relation is
//! ignored, as §4.9 allows, since the servers' candidates are reached directly.

mod location;
mod problem;
mod retry;

pub(crate) use retry::Backoff;

use crate::error::ClientError;
use location::{may_send_key, resolve};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Certificate, Method, Response, StatusCode, Url};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

/// Redirects followed for one POST.
pub const REDIRECTS_MAX: usize = 5;
/// For one request with its reply; OBS gives a POST 8 s.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(8);
/// For the DELETE, which somebody waits for who wants to leave.
const DELETE_TIMEOUT: Duration = Duration::from_secs(3);
/// An answer has a few KiB; more is not one.
const BODY_MAX: usize = 256 * 1024;
const SDP: &str = "application/sdp";

/// The HTTP client with its key.
pub(crate) struct Signalling {
    http: reqwest::Client,
    key: Option<HeaderValue>,
}

/// The session resource, and whether it may see the key.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    url: Url,
    with_key: bool,
}

/// What became of an offer.
#[derive(Debug)]
pub(crate) enum Posted {
    /// The session stands.
    Granted(Granted),
    /// A refusal that may pass: 409, 429 or 503, with what `Retry-After` said.
    Later { after: Option<Duration>, error: ClientError },
}

/// A session, and when it came to be.
#[derive(Debug)]
pub(crate) struct Granted {
    pub reply: Reply,
    pub session: Session,
    /// When the POST that succeeded was sent: the last one of a chain of redirects.
    pub posted_at: Instant,
    pub answered_at: Instant,
}

/// The SDP of a grant.
#[derive(Debug)]
pub(crate) enum Reply {
    /// Of a 2xx.
    Answer(String),
    /// Of a 406 (WHEP "Determining Server Response Type"): waits for our answer.
    CounterOffer(String),
}

/// Reads an endpoint's URL.
pub(crate) fn endpoint(url: &str) -> Result<Url, ClientError> {
    let bad = |fault: String| ClientError::BadUrl { url: crate::report::printable(url), fault };
    let parsed = Url::parse(url).map_err(|fault| bad(fault.to_string()))?;
    match parsed.scheme() {
        "http" | "https" if parsed.has_host() => Ok(parsed),
        scheme => Err(bad(format!("{scheme} is not http or https"))),
    }
}

impl Signalling {
    pub fn new(key: Option<&str>, ca: Option<&Path>) -> Result<Self, ClientError> {
        let builder = reqwest::Client::builder();
        let builder = match ca {
            Some(ca) => builder.tls_certs_only(certificates(ca)?),
            None => builder,
        };
        let http = builder
            .redirect(reqwest::redirect::Policy::none())
            .timeout(REQUEST_TIMEOUT)
            .user_agent(concat!("wtn/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|fault| ClientError::NoHttp(innermost(&fault)))?;
        Ok(Self { http, key: key.map(bearer).transpose()? })
    }

    /// Sends an offer, along redirects.
    pub async fn post(&self, endpoint: &Url, offer: &str) -> Result<Posted, ClientError> {
        let mut url = endpoint.clone();
        let mut with_key = true;
        for _ in 0..=REDIRECTS_MAX {
            let posted_at = Instant::now();
            let response = self.send(Method::POST, &url, with_key, Some(offer)).await?;
            let status = response.status();
            if matches!(status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT) {
                let target = target(&response, &url)?;
                with_key = with_key && may_send_key(&url, &target);
                url = target;
                continue;
            }
            return self.read_reply(response, Session { url, with_key }, posted_at).await;
        }
        Err(ClientError::RedirectLoop)
    }

    /// Answers a counter-offer. Any 2xx will do.
    pub async fn patch(&self, session: &Session, answer: &str) -> Result<(), ClientError> {
        let response = self.send(Method::PATCH, &session.url, session.with_key, Some(answer)).await?;
        if response.status().is_success() { Ok(()) } else { Err(refusal(response).await) }
    }

    /// Ends the session. Says whether the server agreed; it may have ended before.
    pub async fn delete(&self, session: &Session) -> bool {
        let deletion = self.send(Method::DELETE, &session.url, session.with_key, None);
        match tokio::time::timeout(DELETE_TIMEOUT, deletion).await {
            Ok(Ok(response)) if response.status().is_success() => true,
            Ok(Ok(response)) => {
                tracing::warn!(status = response.status().as_u16(), "the server did not take the DELETE");
                false
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "the DELETE did not get through");
                false
            }
            Err(_) => {
                tracing::warn!("the server did not answer the DELETE in time");
                false
            }
        }
    }

    async fn send(
        &self,
        method: Method,
        url: &Url,
        with_key: bool,
        sdp: Option<&str>,
    ) -> Result<Response, ClientError> {
        let mut request = self.http.request(method, url.clone()).header(ACCEPT, SDP);
        if let Some(key) = self.key.as_ref().filter(|_| with_key) {
            request = request.header(AUTHORIZATION, key.clone());
        }
        if let Some(sdp) = sdp {
            request = request.header(CONTENT_TYPE, SDP).body(sdp.to_owned());
        }
        request
            .send()
            .await
            .map_err(|fault| ClientError::Unreachable { host: host_of(url), fault: innermost(&fault) })
    }

    async fn read_reply(
        &self,
        response: Response,
        answered_by: Session,
        posted_at: Instant,
    ) -> Result<Posted, ClientError> {
        let status = response.status();
        let is_counter_offer = status == StatusCode::NOT_ACCEPTABLE && is_sdp(response.headers());
        if status.is_success() || is_counter_offer {
            let session = target(&response, &answered_by.url)?;
            // Who gave us the session has seen the key already, or was not to see it.
            let with_key = answered_by.with_key && !location::is_downgrade(&answered_by.url, &session);
            let session = Session { url: session, with_key };
            let body = body(response).await;
            let answered_at = Instant::now();
            let Some(sdp) = body.filter(|sdp| sdp.starts_with("v=0")) else {
                self.delete(&session).await;
                return Err(ClientError::BadReply("its body is not SDP".to_owned()));
            };
            let reply = if is_counter_offer { Reply::CounterOffer(sdp) } else { Reply::Answer(sdp) };
            return Ok(Posted::Granted(Granted { reply, session, posted_at, answered_at }));
        }
        let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let after = after.and_then(|value| retry::read_retry_after(value, SystemTime::now()));
        let may_pass = matches!(status.as_u16(), 409 | 429 | 503);
        let error = refusal(response).await;
        if may_pass { Ok(Posted::Later { after, error }) } else { Err(error) }
    }
}

/// `Authorization: Bearer KEY` (RFC 6750 §2.1), kept out of debug output.
fn bearer(key: &str) -> Result<HeaderValue, ClientError> {
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(ClientError::BadKey);
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {key}")).map_err(|_| ClientError::BadKey)?;
    value.set_sensitive(true);
    Ok(value)
}

/// The `Location` of a reply to `asked`, made absolute (RFC 9110 §10.2.2).
fn target(response: &Response, asked: &Url) -> Result<Url, ClientError> {
    let status = response.status().as_u16();
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let location = location.ok_or_else(|| ClientError::BadReply(format!("{status} without a Location")))?;
    resolve(asked, location)
        .ok_or_else(|| ClientError::BadReply(format!("{status} with an unusable Location")))
}

fn is_sdp(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(SDP)
}

async fn refusal(response: Response) -> ClientError {
    let status = response.status().as_u16();
    let text = body(response).await.unwrap_or_default();
    problem::read(status, &text)
}

/// The body as text, if it arrives whole and is not absurdly long.
async fn body(mut response: Response) -> Option<String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        if bytes.len() + chunk.len() > BODY_MAX {
            return None;
        }
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8(bytes).ok()
}

fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port_or_known_default().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn certificates(file: &Path) -> Result<Vec<Certificate>, ClientError> {
    let bad = |fault: String| ClientError::BadCa { file: file.display().to_string(), fault };
    let text = std::fs::read(file).map_err(|fault| bad(fault.to_string()))?;
    match Certificate::from_pem_bundle(&text) {
        Ok(certificates) if certificates.is_empty() => Err(bad("there is no certificate in it".to_owned())),
        Ok(certificates) => Ok(certificates),
        Err(fault) => Err(bad(innermost(&fault))),
    }
}

/// reqwest wraps the cause that helps ("Connection refused") in several that do not.
fn innermost(fault: &dyn std::error::Error) -> String {
    let mut cause = fault;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_an_http_url_with_a_host() {
        for url in ["http://localhost:8080/whip/a", "https://[::1]/whep/a?token=x"] {
            assert!(endpoint(url).is_ok(), "{url}");
        }
        for url in ["localhost:8080/whip/a", "/whip/a", "ftp://h/a", "http://", ""] {
            let error = endpoint(url).err().map(|error| error.exit_code());
            assert_eq!(error, Some(2), "{url}");
        }
    }

    #[test]
    fn a_key_that_would_break_the_header_is_refused_and_a_good_one_is_hidden() {
        for key in ["", "a b", "a\r\nX: y", "schlüssel"] {
            assert_eq!(bearer(key).err(), Some(ClientError::BadKey), "{key:?}");
        }
        let value = bearer("s3cret").expect("printable");
        assert_eq!(value.as_bytes(), b"Bearer s3cret");
        assert!(!format!("{value:?}").contains("s3cret"));
    }
}
