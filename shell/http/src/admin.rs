//! Who may use the administration, as far as HTTP shows it.

use crate::connections::Ends;
use crate::refusals::Attempt;
use crate::routes::{text, unix_now};
use crate::signalling::Signalling;
use http::request::Parts;
use http::{HeaderName, header};
use std::time::Instant;
use wtn_wish::{AdminRequest, Problem};

/// Any of them: a proxy speaks, for whoever it may be.
const FORWARDED: [HeaderName; 4] = [
    header::FORWARDED,
    header::VIA,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-real-ip"),
];

/// Whether the request may administer the server; every route of the administration asks this first, before it
/// looks at anything else.
///
/// # Errors
/// 401 or 403, with what to do.
pub(crate) fn may_administer(signalling: &Signalling, head: &Parts) -> Result<(), Problem> {
    let headers = &head.headers;
    let host = head.uri.authority().map(|authority| authority.as_str());
    let request = AdminRequest {
        client: head.extensions.get::<Ends>().map(|ends| ends.remote.ip()),
        is_forwarded: FORWARDED.iter().any(|name| headers.contains_key(name)),
        host: host.or_else(|| text(headers, header::HOST)),
        origin: text(headers, header::ORIGIN),
        authorization: text(headers, header::AUTHORIZATION),
    };
    let mut front = signalling.front();
    front.desk.may_administer(&request).inspect_err(|problem| {
        let who = Attempt {
            door: "admin",
            stream: "",
            client: request.client,
            user_agent: text(headers, header::USER_AGENT),
            unix_now: unix_now(),
        };
        front.note_attempt(Instant::now(), &who, &problem.clone().into_reply(), false);
    })
}
