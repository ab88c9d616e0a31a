//! POSTs that another server should take: 307, and the handoff by which that server knows who was let in here.
//!
//! Browsers drop `Authorization` where a redirect leads to another origin (FETCH, "HTTP-redirect fetch"). So the URL
//! itself says that the key was right: until when, at which door, for which stream, signed with a secret that both
//! servers have. The session's URL is then all that is needed to end it.

use super::Desk;
use crate::auth::Door;
use crate::{Reply, Request, SharedSecret, token};
use aws_lc_rs::hmac;
use subtle::ConstantTimeEq as _;

/// How long a client may take to follow.
const HANDOFF_SECONDS: u64 = 30;

/// Query parameters: one with a handoff, one that only tells that the client was redirected.
const HANDOFF: &str = "handoff";
const REDIRECTED: &str = "redirected";

impl Desk {
    /// Where the POST should go instead, if anywhere. Who was redirected once is not sent on: two servers with rules
    /// that point at each other would play ball.
    pub(super) fn redirect(&self, door: Door, name: &str, request: &Request<'_>) -> Option<Reply> {
        if is_redirected(request) {
            return None;
        }
        let rule = self.config.redirects.iter().find(|rule| rule.is_for(name))?;
        let query = match &self.config.handoff_secret {
            Some(secret) => {
                let until = request.unix_now + HANDOFF_SECONDS;
                format!("{HANDOFF}={until}.{}", signature(secret, door, name, until))
            }
            None => format!("{REDIRECTED}=1"),
        };
        let base = rule.to.trim_end_matches('/');
        Some(Reply::new(307).with("Location", format!("{base}/{}/{name}?{query}", path(door))))
    }

    /// Whether another server with our secret has let the client in there, a moment ago.
    pub(super) fn is_handed_over(&self, door: Door, name: &str, request: &Request<'_>) -> bool {
        let (Some(secret), Some(handoff)) = (&self.config.handoff_secret, parameter(request, HANDOFF)) else {
            return false;
        };
        let Some((until, signed)) = handoff.split_once('.') else { return false };
        let Ok(until) = until.parse::<u64>() else { return false };
        let expected = signature(secret, door, name, until);
        let is_right = bool::from(expected.as_bytes().ct_eq(signed.as_bytes()));
        let is_fresh = (request.unix_now..=request.unix_now + 2 * HANDOFF_SECONDS).contains(&until);
        is_right && is_fresh
    }
}

/// Whether the client comes from another server's 307. It then resolves a relative `Location` against the wrong URL:
/// the one that it asked first.
pub(super) fn is_redirected(request: &Request<'_>) -> bool {
    [HANDOFF, REDIRECTED].iter().any(|name| parameter(request, name).is_some())
}

fn parameter<'a>(request: &Request<'a>, name: &str) -> Option<&'a str> {
    let pairs = request.query?.split('&').filter_map(|pair| pair.split_once('='));
    pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// Of what is granted. A name has no line break, so no two grants read the same.
fn signature(secret: &SharedSecret, door: Door, name: &str, until: u64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.bytes());
    let granted = format!("wtn handoff\n{}\n{name}\n{until}", path(door));
    token::to_hex(hmac::sign(&key, granted.as_bytes()).as_ref())
}

fn path(door: Door) -> &'static str {
    match door {
        Door::Publish => "whip",
        Door::Play => "whep",
    }
}
