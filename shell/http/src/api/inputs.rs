//! What the administration takes, as the OpenAPI document tells it. It is read by `settings` and `keys`, which
//! find every fault; tests hold these descriptions against them.

#![allow(dead_code, reason = "descriptions: only their schemas are used")]

use utoipa::ToSchema;

/// A new endpoint.
#[derive(ToSchema)]
pub(crate) struct NewEndpoint {
    /// 1 to 64 letters, digits, or any of `- . _ ~`.
    #[schema(example = "live", pattern = "^[A-Za-z0-9._~-]{1,64}$")]
    name: String,
    /// Keys to make with it, so that it is never open without them.
    #[schema(max_items = 32)]
    keys: Option<Vec<NewKey>>,
    /// ICE servers to tell its clients of; the server's if left out, none if empty.
    #[schema(max_items = 8)]
    ice_servers: Option<Vec<NewIceServer>>,
    policy: Option<PolicySchema>,
}

/// A change to an endpoint: a JSON merge patch (RFC 7396). What is left out stays, null goes back to the
/// server's default, a list is replaced as a whole.
#[derive(ToSchema)]
pub(crate) struct EndpointChange {
    #[schema(max_items = 8)]
    ice_servers: Option<Vec<NewIceServer>>,
    policy: Option<PolicySchema>,
}

/// Where an endpoint departs from the server's policy; what is left out is the server's.
#[derive(ToSchema)]
#[schema(as = Policy)]
pub(crate) struct PolicySchema {
    /// What a publisher finds whose stream has one already.
    second_publisher: Option<SecondPublisherSchema>,
    /// How long a better input must have been sending, without a pause, before viewers get it again.
    #[schema(minimum = 0, maximum = 3600)]
    hold_down_seconds: Option<u32>,
    /// What a viewer finds while nobody publishes: 409, or an answer at once and the picture later.
    no_publisher: Option<NoPublisherSchema>,
    /// How long viewers are kept when their publisher goes.
    #[schema(minimum = 0, maximum = 3600)]
    grace_seconds: Option<u32>,
    /// The codecs that a publisher may bring; all that are forwarded if left out.
    #[schema(min_items = 1, example = json!(["H264", "opus"]))]
    codecs: Option<Vec<CodecSchema>>,
    /// Viewers at once.
    #[schema(minimum = 1, maximum = 1_000_000)]
    max_viewers: Option<u32>,
    /// What a publisher is told to send at most, all its tracks together.
    #[schema(minimum = 8, maximum = 100_000_000)]
    max_bitrate_kbps: Option<u32>,
    /// Whether a viewer whose offer cannot be answered gets 406 with the server's own offer, rather than 422.
    counter_offer: Option<bool>,
    /// Whether a trickle PATCH without `If-Match` is taken, rather than refused with 428.
    trickle_without_tag: Option<bool>,
    /// Whether the session's URL alone allows PATCH and DELETE.
    session_url_is_capability: Option<bool>,
    /// Whether running sessions end when the key that opened them is revoked or expires.
    end_on_revoke: Option<bool>,
}

/// What a second publisher finds: it takes the stream over, or 409, or it stands by as a backup input.
#[derive(ToSchema)]
#[schema(as = SecondPublisher, rename_all = "lowercase")]
pub(crate) enum SecondPublisherSchema {
    Replace,
    Reject,
    Backup,
}

/// What a viewer finds while nobody publishes.
#[derive(ToSchema)]
#[schema(as = NoPublisher, rename_all = "lowercase")]
pub(crate) enum NoPublisherSchema {
    Refuse,
    Wait,
}

/// A codec, by its name in SDP; case does not count.
#[derive(ToSchema)]
#[schema(as = Codec)]
pub(crate) enum CodecSchema {
    H264,
    H265,
    VP8,
    VP9,
    AV1,
    #[schema(rename = "opus")]
    Opus,
    #[schema(rename = "PCMU")]
    Pcmu,
    #[schema(rename = "PCMA")]
    Pcma,
    G722,
}

/// What a key opens: the WHIP endpoint or the WHEP endpoint.
#[derive(ToSchema)]
#[schema(as = Allows, rename_all = "lowercase")]
pub(crate) enum AllowsSchema {
    Publish,
    Play,
}

/// An ICE server: STUN as it is, TURN with static credentials or with a secret.
#[derive(ToSchema)]
pub(crate) struct NewIceServer {
    #[schema(
        example = "turn:turn.example.com:3478?transport=udp",
        pattern = r#"^(stuns?|turns?):[^\s/?#"<>@]+(\?transport=(udp|tcp))?$"#
    )]
    url: String,
    /// With `credential`: the same for every client.
    #[schema(min_length = 1, max_length = 256)]
    username: Option<String>,
    #[schema(min_length = 1, max_length = 256)]
    credential: Option<String>,
    /// Shared with the TURN server (`static-auth-secret` of coturn): each session gets credentials of its own
    /// that expire.
    #[schema(min_length = 1, max_length = 256)]
    secret: Option<String>,
    /// How long those are good.
    #[schema(minimum = 60, maximum = 604_800)]
    ttl_seconds: Option<u32>,
}

/// A new key.
#[derive(ToSchema)]
pub(crate) struct NewKey {
    allows: AllowsSchema,
    /// What people call it.
    #[schema(min_length = 1, max_length = 64, example = "studio")]
    label: Option<String>,
    /// Seconds since 1970-01-01 UTC, in the future.
    expires_at: Option<u64>,
    /// Instead of `expires_at`: from now on.
    #[schema(minimum = 1)]
    expires_in_seconds: Option<u64>,
    /// A secret of your own, for encoders that have theirs already; a fresh one of 125 random bits if left
    /// out, which is better.
    #[schema(min_length = 16, max_length = 256, pattern = "^[!-~]+$")]
    secret: Option<String>,
}

/// How a key is replaced. The new one allows the same, and has the label and the lifetime of the old one
/// where nothing else is said.
#[derive(ToSchema)]
pub(crate) struct Rotation {
    /// How long the old one still opens; 0: no more.
    #[schema(minimum = 0, maximum = 2_592_000, default = 86_400)]
    overlap_seconds: Option<u64>,
    #[schema(min_length = 1, max_length = 64)]
    label: Option<String>,
    /// Seconds since 1970-01-01 UTC, in the future.
    expires_at: Option<u64>,
    /// Instead of `expires_at`: from now on.
    #[schema(minimum = 1)]
    expires_in_seconds: Option<u64>,
    #[schema(min_length = 16, max_length = 256, pattern = "^[!-~]+$")]
    secret: Option<String>,
}

/// A problem (RFC 9457): what is wrong and what to do about it. `docs/problems.md` lists the codes.
#[derive(ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemSchema {
    r#type: String,
    title: String,
    status: u16,
    /// Stable, for programs.
    #[schema(example = "no_such_endpoint")]
    code: String,
    detail: String,
    fix: String,
    /// With `invalid_fields`: each of them.
    #[schema(required = false)]
    errors: Vec<super::faults::Fault>,
}
