//! Requests to a server's `/api/v1`.

use crate::exit::{FAILED, Failure};
use crate::manage::args::ServerArgs;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Method, StatusCode, Url};
use serde_json::Value;
use std::error::Error as _;
use std::fmt::Write as _;
use std::time::Duration;

/// Whoever does not answer by then hangs.
const WITHIN: Duration = Duration::from_secs(30);
/// `EX_UNAVAILABLE`.
const NO_SERVER: u8 = 69;
/// `EX_NOPERM`.
const NOT_PERMITTED: u8 = 77;

/// A running server.
#[derive(Debug)]
pub struct Api {
    http: Client,
    base: Url,
    key: Option<HeaderValue>,
}

impl Api {
    pub fn new(args: &ServerArgs) -> Result<Self, Failure> {
        let unusable = || {
            let text = format!("--server {}: write it like http://localhost:8080", args.server);
            Failure::new(FAILED, text)
        };
        let base: Url = args.server.parse().map_err(|_| unusable())?;
        if !matches!(base.scheme(), "http" | "https") || base.host().is_none() {
            return Err(unusable());
        }
        let key = args.admin_key.as_deref().map(|key| {
            let mut value = HeaderValue::try_from(format!("Bearer {key}"))
                .map_err(|_| Failure::new(FAILED, "the admin key has characters that no key has"))?;
            value.set_sensitive(true);
            Ok::<_, Failure>(value)
        });
        let http = Client::builder()
            // The key is for this server and no other.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(WITHIN)
            .build()
            .map_err(|error| Failure::new(FAILED, error))?;
        Ok(Self { http, base, key: key.transpose()? })
    }

    /// A path on the server as a URL.
    pub fn url(&self, path: &str) -> String {
        self.base.join(path).map_or_else(|_| path.to_owned(), Url::into)
    }

    /// What the server answers; `null` where that is nothing. `segments` are put below `/api/v1`, escaped.
    pub async fn send(
        &self,
        method: Method,
        segments: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["api", "v1"]).extend(segments);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = self.http.request(method, url);
        if let Some(key) = &self.key {
            request = request.header(AUTHORIZATION, key.clone());
        }
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        let answer = request.send().await.map_err(|error| self.no_answer(&error))?;
        let status = answer.status();
        let bytes = answer.bytes().await.map_err(|error| self.no_answer(&error))?;
        let body: Option<Value> = serde_json::from_slice(&bytes).ok();
        match (status.is_success(), body) {
            (true, body) if bytes.is_empty() || body.is_some() => Ok(body.unwrap_or_default()),
            (false, Some(problem)) if problem["code"].is_string() => Err(refused(status, &problem)),
            _ => Err(self.stranger(status)),
        }
    }

    fn no_answer(&self, error: &reqwest::Error) -> Failure {
        let mut cause = error.source();
        while let Some(below) = cause.and_then(|cause| cause.source()) {
            cause = Some(below);
        }
        let cause = cause.map_or_else(|| error.to_string(), ToString::to_string);
        let text = format!(
            "no server answers at {} ({cause}); start one with `wtn`, or say where it is: --server URL",
            self.base
        );
        Failure::new(NO_SERVER, text)
    }

    fn stranger(&self, status: StatusCode) -> Failure {
        let text = format!(
            "what answers at {} is no wtn, or one without this interface (status {status}); say where it is: \
             --server URL",
            self.base
        );
        Failure::new(NO_SERVER, text)
    }
}

fn refused(status: StatusCode, problem: &Value) -> Failure {
    let text = |field: &str| problem[field].as_str().unwrap_or_default();
    let mut said = text("detail").to_owned();
    for fault in problem["errors"].as_array().into_iter().flatten() {
        let part = |name: &str| fault[name].as_str().unwrap_or_default();
        let field = if part("field").is_empty() { "it" } else { part("field") };
        let _ = write!(said, "\n  {field}: {}", part("detail"));
    }
    let separator = if said.contains('\n') { "\n" } else { " " };
    let code = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => NOT_PERMITTED,
        _ => FAILED,
    };
    Failure::new(code, format!("{said}{separator}{} [{}]", text("fix"), text("code")))
}
