//! Problem details (RFC 9457): every error says what is wrong and what to do. The codes are listed in
//! `docs/problems.md`.

use crate::reply::{SDP, SDPFRAG, Wait};
use crate::{Overload, Reply};
use serde::Serialize;
use wtn_sdp::{FaultKind, SdpFault};

/// One error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// HTTP status.
    pub status: u16,
    /// Stable, for programs: `[a-z_]+`.
    pub code: &'static str,
    /// The kind of error, the same words for the same code.
    pub title: &'static str,
    /// What was wrong this time. Never a secret.
    pub detail: String,
    /// What to do about it.
    pub fix: String,
    headers: Vec<(&'static str, String)>,
    /// Boxed: errors are handed on often, and few have it.
    wait: Option<Box<Wait>>,
}

/// Where the codes are explained.
const TYPE_BASE: &str = "https://github.com/wtn-project/wtn/blob/main/docs/problems.md#";

/// The challenge where no token came (RFC 6750 §3).
const REALM: &str = "Bearer realm=\"wtn\"";
/// The challenge where a wrong one came (RFC 6750 §3.1).
const INVALID: &str = "Bearer realm=\"wtn\", error=\"invalid_token\"";

#[derive(Serialize)]
struct Body<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    code: &'a str,
    detail: &'a str,
    fix: &'a str,
}

impl Problem {
    /// An error of that status.
    pub fn new(
        status: u16,
        code: &'static str,
        title: &'static str,
        detail: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { status, code, title, detail: detail.into(), fix: fix.into(), headers: Vec::new(), wait: None }
    }

    /// With a header that goes with it.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// With `Retry-After`, in seconds.
    #[must_use]
    pub fn retry_after(self, seconds: u32) -> Self {
        self.with("Retry-After", seconds.to_string())
    }

    /// The error as a reply, CORS headers and all.
    pub fn into_reply(self) -> Reply {
        let body = Body {
            r#type: format!("{TYPE_BASE}{}", self.code),
            title: self.title,
            status: self.status,
            code: self.code,
            detail: &self.detail,
            fix: &self.fix,
        };
        // Strings and a number: that cannot fail to be written.
        let json = serde_json::to_vec(&body).unwrap_or_default();
        let reply = Reply::new(self.status).with_body("application/problem+json", json);
        let reply = Reply { wait: self.wait.map(|wait| *wait), ..reply };
        self.headers.into_iter().fold(reply, |reply, (name, value)| reply.with(name, value))
    }

    /// 413. Also for the shell, which sees that a body is too large before the desk could.
    pub fn body_too_large() -> Self {
        Self::new(
            413,
            "body_too_large",
            "Body too large",
            format!("The body has more than {} bytes.", crate::Request::BODY_LEN_MAX),
            "Send the SDP alone; real offers have less than 16 KiB.",
        )
    }

    /// 404. Also for the shell, for paths that are nobody's.
    pub fn not_found() -> Self {
        Self::new(
            404,
            "not_found",
            "Not found",
            "There is nothing at this address: no such session, or it has ended.",
            "Start a new one by POST to /whip/{name} or /whep/{name}.",
        )
    }

    /// 429, for the shell's rate limits.
    pub fn too_many_requests(retry_after_s: u32) -> Self {
        Self::new(
            429,
            "too_many_requests",
            "Too many requests",
            "Requests come faster than this server takes them from one client.",
            "Wait as long as Retry-After says, and twice as long each time after.",
        )
        .retry_after(retry_after_s)
    }

    pub(crate) fn no_token() -> Self {
        Self::new(
            401,
            "no_token",
            "A key is needed",
            "The request has no bearer token.",
            "Send the header \"Authorization: Bearer KEY\". In OBS the key goes into the field Bearer Token.",
        )
        .with("WWW-Authenticate", REALM)
    }

    pub(crate) fn bad_token() -> Self {
        Self::new(
            401,
            "bad_token",
            "Wrong key",
            "The bearer token is not a key of this server.",
            "Check the key for missing characters and blanks.",
        )
        .with("WWW-Authenticate", INVALID)
    }

    pub(crate) fn wrong_scope(detail: &str) -> Self {
        Self::new(403, "wrong_scope", "Not allowed with this key", detail, "Use the key for that.")
            .with("WWW-Authenticate", "Bearer realm=\"wtn\", error=\"insufficient_scope\"")
    }

    pub(crate) fn bad_jwt(detail: &str, fix: &str) -> Self {
        Self::new(401, "bad_token", "Wrong key", detail, fix).with("WWW-Authenticate", INVALID)
    }

    pub(crate) fn key_expired() -> Self {
        Self::new(
            401,
            "key_expired",
            "The key has expired",
            "The key or token was good once.",
            "Get a new one from whoever gave it to you.",
        )
        .with("WWW-Authenticate", INVALID)
    }

    pub(crate) fn denied_by_webhook() -> Self {
        Self::new(
            401,
            "denied_by_webhook",
            "Not let in",
            "The service that decides who may come in (auth.webhook.url) has refused this user, key or address.",
            "Check user, password or token; the service's own log should say more.",
        )
        .with("WWW-Authenticate", INVALID)
    }

    pub(crate) fn webhook_unreachable() -> Self {
        Self::new(
            503,
            "webhook_unreachable",
            "Nobody to ask",
            "The service that decides who may come in (auth.webhook.url) does not answer.",
            "Try again after Retry-After; the operator should see that the service runs.",
        )
        .retry_after(5)
    }

    pub(crate) fn key_set_missing() -> Self {
        Self::new(
            503,
            "key_set_missing",
            "Tokens cannot be checked",
            "The keys that tokens are signed with could not be fetched yet (auth.jwt.jwks_url).",
            "Try again after Retry-After; the operator should see that the URL answers.",
        )
        .retry_after(5)
    }

    pub(crate) fn admin_local_only() -> Self {
        Self::new(
            403,
            "admin_local_only",
            "Only from the server's own machine",
            "This server has no admin keys, so it is administered from its own machine alone, directly and by \
             a loopback address.",
            "Ask http://localhost there, or set auth.admin_keys and send one as bearer token.",
        )
        .with("WWW-Authenticate", REALM)
    }

    pub(crate) fn admin_key_needed() -> Self {
        Self::new(
            401,
            "admin_key_needed",
            "An admin key is needed",
            "The request has no bearer token, and does not come from the server's own machine directly.",
            "Send one of auth.admin_keys: \"Authorization: Bearer KEY\".",
        )
        .with("WWW-Authenticate", REALM)
    }

    pub(crate) fn not_an_admin_key() -> Self {
        Self::new(
            401,
            "not_an_admin_key",
            "Not an admin key",
            "The bearer token is none of auth.admin_keys. Keys that publish or watch do not administer.",
            "Send an admin key; on the server's own machine, none is needed.",
        )
        .with("WWW-Authenticate", INVALID)
    }

    pub(crate) fn bad_name() -> Self {
        Self::new(
            400,
            "bad_name",
            "Not a stream name",
            "A stream name has 1 to 64 letters, digits, and . _ ~ -",
            "Choose another name, for instance /whip/studio-1.",
        )
    }

    pub(crate) fn unknown_stream() -> Self {
        Self::new(
            404,
            "unknown_stream",
            "No such stream",
            "This server has a list of streams, and this name is not on it.",
            "Check the name for typing errors, or make an endpoint of that name.",
        )
    }

    pub(crate) fn method_not_allowed(allow: &'static str) -> Self {
        Self::new(
            405,
            "method_not_allowed",
            "Method not allowed",
            format!("This resource takes {allow}."),
            "POST the offer to /whip/{name} or /whep/{name}; PATCH and DELETE go to the Location of the reply.",
        )
        .with("Allow", allow)
    }

    pub(crate) fn offer_wanted() -> Self {
        Self::new(
            415,
            "wrong_media_type",
            "Wrong media type",
            "The body is not declared as an SDP offer.",
            "Send the header \"Content-Type: application/sdp\".",
        )
        .with("Accept-Post", SDP)
    }

    pub(crate) fn fragment_wanted() -> Self {
        Self::new(
            415,
            "wrong_media_type",
            "Wrong media type",
            "A running session takes trickled candidates only; it cannot be negotiated anew.",
            "Send \"Content-Type: application/trickle-ice-sdpfrag\"; for other media start a new session.",
        )
        .with("Accept-Patch", SDPFRAG)
    }

    pub(crate) fn answer_wanted() -> Self {
        Self::new(
            415,
            "answer_wanted",
            "An answer is wanted",
            "The session waits for the player's answer to the server's offer; nothing else can come first.",
            "Send the SDP answer with \"Content-Type: application/sdp\".",
        )
        .with("Accept-Patch", SDP)
    }

    pub(crate) fn bad_fragment(detail: String) -> Self {
        Self::new(
            400,
            "bad_fragment",
            "Malformed candidates",
            detail,
            "Send a=ice-ufrag, a=ice-pwd, an m= line, a=mid and the a=candidate lines (RFC 8840).",
        )
    }

    pub(crate) fn half_restart() -> Self {
        Self::new(
            400,
            "half_restart",
            "Half an ICE restart",
            "Only one of ice-ufrag and ice-pwd differs from the session's.",
            "Trickle with the credentials of the offer; a restart changes both (RFC 8445 §9).",
        )
    }

    pub(crate) fn no_restart() -> Self {
        Self::new(
            422,
            "ice_restart_off",
            "No ICE restart",
            "The fragment has new ICE credentials, and this server is set to do no ICE restarts.",
            "Go on with the credentials of the offer: the server follows a client to its new address without a \
             restart. Or start a new session.",
        )
    }

    pub(crate) fn no_trickle() -> Self {
        Self::new(
            422,
            "trickle_off",
            "No trickled candidates",
            "The fragment has candidates, and this server is set to take none.",
            "Nothing is lost: the server learns a client's addresses from its checks.",
        )
    }

    pub(crate) fn tag_missing() -> Self {
        Self::new(
            428,
            "tag_missing",
            "If-Match is missing",
            "A PATCH must say which ICE session it belongs to (RFC 9725 §4.3.1).",
            "Send If-Match with the ETag of the 201; browsers can read it, it is exposed.",
        )
    }

    pub(crate) fn tag_outdated() -> Self {
        Self::new(
            412,
            "tag_outdated",
            "If-Match does not match",
            "The entity tag is not the one of this ICE session.",
            "Send the ETag of the 201, or of the 200 if ICE was restarted, in its quotes.",
        )
    }

    pub(crate) fn not_live(retry_after_s: u32) -> Self {
        Self::new(
            409,
            "not_live",
            "Nobody is publishing",
            "The stream has no publisher at the moment.",
            "Start publishing, or try again after Retry-After.",
        )
        .retry_after(retry_after_s)
    }

    pub(crate) fn taken() -> Self {
        Self::new(
            409,
            "stream_taken",
            "Somebody is publishing",
            "The stream already has a publisher, and this server is set to keep the first.",
            "Stop the other encoder, publish under another name, or set second_publisher = \"replace\".",
        )
        .retry_after(5)
    }

    pub(crate) fn crowded_stream() -> Self {
        Self::new(
            429,
            "too_many_connecting",
            "Too many unfinished connections",
            "Too many publishers of this stream have posted an offer and never connected.",
            "Check that UDP reaches the server's media port; then wait as long as Retry-After says.",
        )
        .retry_after(10)
    }

    /// So many viewers from one place are on the way that none of them seems to get through.
    pub(crate) fn crowded_client(wait: Wait) -> Self {
        let problem = Self::new(
            429,
            "too_many_connecting",
            "Too many unfinished connections",
            "Too many players at this address have posted an offer and never connected.",
            "Check that UDP reaches the server's media port; then wait as long as Retry-After says.",
        );
        Self { wait: Some(Box::new(wait)), ..problem.retry_after(2) }
    }

    /// The endpoint has as many viewers as it may have.
    pub(crate) fn too_many_viewers(max: u32) -> Self {
        Self::new(
            503,
            "too_many_viewers",
            "No seat left",
            format!("This stream is limited to {max} viewers, and has them."),
            "Try again after Retry-After, or raise the endpoint's max_viewers.",
        )
        .retry_after(10)
    }

    pub(crate) fn full(what: &str, retry_after_s: u32) -> Self {
        Self::new(
            503,
            "server_full",
            "Server full",
            format!("The server holds as many {what} as it is set to."),
            "Try again after Retry-After, or raise the limit.",
        )
        .retry_after(retry_after_s)
    }

    /// One session more would cost those that run.
    pub(crate) fn overloaded(what: Overload) -> Self {
        let (what, key) = match what {
            Overload::Cpu => ("computing time", "limits.cpu_percent"),
            Overload::Egress => ("outgoing bandwidth", "limits.egress_mbps"),
            Overload::Memory => ("memory", "limits.memory_percent"),
        };
        Self::new(
            503,
            "overloaded",
            "Server at its limit",
            format!("The server has used up its {what}, and takes nobody who would spoil it for those that it has."),
            format!("Try again after Retry-After, use another server, or raise {key} if the machine has more."),
        )
        .retry_after(5)
    }

    pub(crate) fn draining() -> Self {
        Self::new(
            503,
            "draining",
            "Server stops",
            "The server is about to stop and takes no new sessions.",
            "Try again in a moment; if it does not come back, use another server.",
        )
        // A restart is over in less; whoever asks too early asks again.
        .retry_after(2)
    }
}

impl From<SdpFault> for Problem {
    fn from(fault: SdpFault) -> Self {
        let (status, title) = match fault.kind {
            FaultKind::Malformed => (400, "Malformed offer"),
            FaultKind::Unacceptable => (422, "Offer not acceptable"),
        };
        Self::new(status, fault.code, title, fault.sentence, fault.fix)
    }
}
