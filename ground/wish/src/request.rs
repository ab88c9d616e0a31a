//! One HTTP request, as far as WHIP and WHEP look at it.

use crate::Family;
use crate::auth::Verdict;
use std::borrow::Cow;
use std::net::IpAddr;

/// The method of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `GET`.
    Get,
    /// `HEAD`.
    Head,
    /// `OPTIONS`.
    Options,
    /// `POST`.
    Post,
    /// `PATCH`.
    Patch,
    /// `DELETE`.
    Delete,
    /// Any other: 405.
    Other,
}

impl Method {
    /// By its name, which is case-sensitive (RFC 9110 §9.1).
    pub fn from_name(name: &str) -> Self {
        match name {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "OPTIONS" => Self::Options,
            "POST" => Self::Post,
            "PATCH" => Self::Patch,
            "DELETE" => Self::Delete,
            _ => Self::Other,
        }
    }
}

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resource<'a> {
    /// `/whip/{name}`: publish here. The name as the client sent it, percent-decoded; the desk judges it.
    WhipEndpoint(Cow<'a, str>),
    /// `/whep/{name}`: watch here.
    WhepEndpoint(Cow<'a, str>),
    /// `/session/{id}`: one session, WHIP or WHEP.
    Session(Cow<'a, str>),
    /// `/session/{id}/events`: where a WHEP session's event streams are made.
    Events(Cow<'a, str>),
    /// `/session/{id}/events/{stream}`: one of them.
    EventStream {
        /// The session's part of the URL.
        session: Cow<'a, str>,
        /// The event stream's own.
        stream: Cow<'a, str>,
    },
    /// `/session/{id}/layer`: which layer of the picture a WHEP session gets.
    Layer(Cow<'a, str>),
}

impl Resource<'_> {
    /// Whether it is a session, or hangs below one.
    pub const fn is_sessions(&self) -> bool {
        !matches!(self, Self::WhipEndpoint(_) | Self::WhepEndpoint(_))
    }
}

/// One request. Header values as they came; where a header is repeated, its first.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// Method.
    pub method: Method,
    /// Resource.
    pub resource: Resource<'a>,
    /// By whose kind of URL it came.
    pub family: Family,
    /// Whether the credential in `authorization` stood in the URL: its client sends no headers, and none to the
    /// session's URL either.
    pub is_key_in_url: bool,
    /// `Content-Type`.
    pub content_type: Option<&'a str>,
    /// `Authorization`, or what stands for it ([`Found::authorization`](crate::Found::authorization)).
    pub authorization: Option<&'a str>,
    /// `If-Match`; where there is none, a request header `ETag`, which is what Eyevinn's client sends.
    pub if_match: Option<&'a str>,
    /// `Origin`. Every origin is welcome; no cookie opens anything here.
    pub origin: Option<&'a str>,
    /// Whether this is a preflight of CORS: OPTIONS with `Origin` and `Access-Control-Request-Method`. It never has
    /// credentials, and asks only what it may ask.
    pub is_preflight: bool,
    /// Scheme and authority by which the client reached us, such as `http://192.0.2.7:8080`; `None` if it said
    /// nothing usable.
    pub base_url: Option<&'a str>,
    /// What stands behind the `?` of the URL, as it came.
    pub query: Option<&'a str>,
    /// Who asks: the other end of the connection.
    pub client: Option<IpAddr>,
    /// `User-Agent`, for whoever reads what was rejected, and for the webhook.
    pub user_agent: Option<&'a str>,
    /// The wall clock, in seconds since 1970-01-01 UTC: keys and tokens expire by it.
    pub unix_now: u64,
    /// The body, already bounded by the shell to [`BODY_LEN_MAX`](Self::BODY_LEN_MAX) and one byte more.
    pub body: &'a [u8],
    /// By which of our addresses the client reached us: the host of its URL if that is an IP literal, else
    /// the local address of the connection. It becomes the first candidate, the only one that FFmpeg tries:
    /// so `None` where it says nothing about media's way, which is behind a reverse proxy, and for the local
    /// address (not a literal) once the operator has named public addresses.
    pub reached_by: Option<IpAddr>,
    /// The answer to what `Desk::question` asked about this request; `None` if it asked
    /// nothing.
    pub verdict: Option<Verdict>,
}

impl<'a> Request<'a> {
    /// A request without headers and body.
    pub const fn new(method: Method, resource: Resource<'a>) -> Self {
        Self {
            method,
            resource,
            family: Family::Wtn,
            is_key_in_url: false,
            content_type: None,
            authorization: None,
            if_match: None,
            origin: None,
            is_preflight: false,
            base_url: None,
            query: None,
            client: None,
            unix_now: 0,
            user_agent: None,
            body: b"",
            reached_by: None,
            verdict: None,
        }
    }

    /// Longest body that is read; a longer one is 413. The shell may refuse by `Content-Length` alone, with
    /// [`Problem::body_too_large`](crate::Problem::body_too_large).
    pub const BODY_LEN_MAX: usize = wtn_sdp::OFFER_LEN_MAX;
}

/// A source of random bytes fit for secrets.
pub trait Random {
    /// Fills `bytes`.
    fn fill(&mut self, bytes: &mut [u8]);
}

impl<F: FnMut(&mut [u8])> Random for F {
    fn fill(&mut self, bytes: &mut [u8]) {
        self(bytes);
    }
}

/// Whether `text` may name a stream: 1 to 64 of RFC 3986's unreserved characters, so that no URL needs to
/// escape it.
pub fn is_stream_name(text: &str) -> bool {
    const LEN_MAX: usize = 64;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    // `.` and `..` are steps in a path.
    (1..=LEN_MAX).contains(&text.len()) && text.bytes().all(is_plain) && text != "." && text != ".."
}

/// Whether a `Content-Type` is `wanted`: case and parameters do not count (RFC 9110 §8.3.1).
pub(crate) fn is_media_type(content_type: Option<&str>, wanted: &str) -> bool {
    let essence = content_type.and_then(|value| value.split(';').next()).unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_17_odd_names_are_no_stream_names() {
        for good in ["a", "Studio-1_b.c~d", &"x".repeat(64), "..."] {
            assert!(is_stream_name(good), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a b", "a\0", "ä", "%61", &"x".repeat(65)] {
            assert!(!is_stream_name(bad), "{bad}");
        }
    }

    #[test]
    fn http_02_media_types_in_any_case_and_with_parameters() {
        for good in ["application/sdp", "Application/SDP; charset=utf-8", " application/sdp ;x"] {
            assert!(is_media_type(Some(good), "application/sdp"), "{good}");
        }
        for bad in [None, Some(""), Some("text/plain"), Some("application/sdpx")] {
            assert!(!is_media_type(bad, "application/sdp"), "{bad:?}");
        }
    }
}
