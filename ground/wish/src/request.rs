//! One HTTP request, as far as WHIP and WHEP look at it.

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
}

/// One request. Header values as they came; where a header is repeated, its first.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// Method.
    pub method: Method,
    /// Resource.
    pub resource: Resource<'a>,
    /// `Content-Type`.
    pub content_type: Option<&'a str>,
    /// `Authorization`.
    pub authorization: Option<&'a str>,
    /// `If-Match`; where there is none, a request header `ETag`, which is what Eyevinn's client sends.
    pub if_match: Option<&'a str>,
    /// `Origin`. Every origin is welcome; no cookie opens anything here.
    pub origin: Option<&'a str>,
    /// The body, already bounded by the shell to [`BODY_LEN_MAX`](Self::BODY_LEN_MAX) and one byte more.
    pub body: &'a [u8],
    /// By which of our addresses the client reached us: the host of its URL if that is an IP literal, else
    /// the local address of the connection. It becomes the first candidate.
    pub reached_by: Option<IpAddr>,
}

impl Request<'_> {
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

impl<'a> Resource<'a> {
    /// By the path of the URL, without its query. `None`: the path is none of ours.
    ///
    /// The last segment is percent-decoded, once (RFC 3986 §2.4); what is no UTF-8 then becomes a name that
    /// the desk refuses.
    pub fn from_path(path: &'a str) -> Option<Self> {
        let (place, name) = path.strip_prefix('/')?.split_once('/')?;
        let name = decode(name);
        match place {
            "whip" => Some(Self::WhipEndpoint(name)),
            "whep" => Some(Self::WhepEndpoint(name)),
            "session" => Some(Self::Session(name)),
            _ => None,
        }
    }
}

fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = (first == b'%').then(|| hex_byte(after)).flatten();
        bytes.push(escaped.unwrap_or(first));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

fn hex_byte(text: &[u8]) -> Option<u8> {
    let digit = |index: usize| char::from(*text.get(index)?).to_digit(16);
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}
