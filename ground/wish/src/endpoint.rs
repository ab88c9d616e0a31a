//! What an endpoint is: a name, the keys that open it, the ICE servers it announces, and its policy.
//!
//! These are the values that the configuration file, the HTTP API and the store share; serde reads and writes
//! them the same way in all three.

use crate::{Key, SecondPublisher};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;
use wtn_media::Codec;

/// One named endpoint: what its publishers and viewers may do, as far as that differs from the server's defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The name of its stream, as in `/whip/{name}`: 1 to 64 of RFC 3986's unreserved characters.
    pub name: String,
    /// Who may publish; empty: the server's publish keys.
    pub publish_keys: Vec<EndpointKey>,
    /// Who may watch; empty: the server's play keys.
    pub play_keys: Vec<EndpointKey>,
    /// ICE servers to announce; `None`: the server's.
    pub ice_servers: Option<Vec<IceServer>>,
    /// Where it departs from the server's policy.
    pub policy: PolicyOverrides,
}

/// A key of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointKey {
    /// Names the key in the API and in logs; no secret. Unique within the endpoint.
    pub id: String,
    /// What people call it.
    pub label: Option<String>,
    /// The secret.
    pub key: Key,
    /// Seconds since 1970-01-01 UTC from which on it opens nothing.
    pub expires_at: Option<u64>,
}

/// An ICE server that clients are told of (RFC 9725 §4.6).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IceServer {
    /// `stun:`, `turn:` or `turns:` (RFC 7064, RFC 7065).
    pub url: String,
    /// Static credentials, for TURN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Static credentials, for TURN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// Instead of both: the secret shared with the TURN server, of which each session gets credentials of
    /// its own that expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// How long such credentials are good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<u32>,
}

/// What an endpoint does where RFC 9725 leaves the choice to the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What happens to a second publisher.
    pub second_publisher: SecondPublisher,
    /// How long a better input must have been sending before it is shown again, in seconds; 0 to 3600.
    pub hold_down_seconds: u32,
    /// What a viewer finds while nobody publishes.
    pub no_publisher: NoPublisher,
    /// How long viewers are kept when their publisher goes, in seconds; 0 to 3600.
    pub grace_seconds: u32,
    /// The codecs a publisher may bring; `None`: all that wtn forwards.
    pub codecs: Option<Vec<Codec>>,
    /// Viewers at once; `None`: as many as the server takes.
    pub max_viewers: Option<u32>,
    /// What a publisher is told to send of video at most, all its encodings together, in kbit/s.
    pub max_bitrate_kbps: Option<u32>,
    /// Whether a viewer whose offer cannot be answered gets 406 with our offer, or 422.
    pub counter_offer: bool,
    /// Whether a trickle PATCH without `If-Match` is taken (204) rather than refused (428).
    pub trickle_without_tag: bool,
    /// Whether the session URL alone allows PATCH and DELETE.
    pub session_url_is_capability: bool,
    /// Whether running sessions end when the key or token that opened them is revoked or expires.
    pub end_on_revoke: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            second_publisher: SecondPublisher::Replace,
            hold_down_seconds: 10,
            no_publisher: NoPublisher::Refuse,
            grace_seconds: 10,
            codecs: None,
            max_viewers: None,
            max_bitrate_kbps: None,
            counter_offer: false,
            trickle_without_tag: false,
            session_url_is_capability: false,
            end_on_revoke: false,
        }
    }
}

/// What a viewer finds while nobody publishes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NoPublisher {
    /// 409 with `Retry-After` (draft-ietf-wish-whep, "Session Management").
    #[default]
    Refuse,
    /// 201 at once; the picture comes with the publisher.
    Wait,
}

/// The parts of a [`Policy`] that are set; the rest is inherited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyOverrides {
    /// [`Policy::second_publisher`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second_publisher: Option<SecondPublisher>,
    /// [`Policy::hold_down_seconds`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold_down_seconds: Option<u32>,
    /// [`Policy::no_publisher`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_publisher: Option<NoPublisher>,
    /// [`Policy::grace_seconds`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace_seconds: Option<u32>,
    /// [`Policy::codecs`], by their names in SDP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub codecs: Option<Vec<String>>,
    /// [`Policy::max_viewers`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_viewers: Option<u32>,
    /// [`Policy::max_bitrate_kbps`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bitrate_kbps: Option<u32>,
    /// [`Policy::counter_offer`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counter_offer: Option<bool>,
    /// [`Policy::trickle_without_tag`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trickle_without_tag: Option<bool>,
    /// [`Policy::session_url_is_capability`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_url_is_capability: Option<bool>,
    /// [`Policy::end_on_revoke`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_on_revoke: Option<bool>,
}

/// Hides what is secret.
impl fmt::Debug for IceServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IceServer").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Policy {
    /// How long viewers stay while nobody publishes; `None`: as long as they like. Whoever may wait for a
    /// publisher at the start may do so in the middle.
    pub fn grace(&self) -> Option<Duration> {
        match self.no_publisher {
            NoPublisher::Wait => None,
            NoPublisher::Refuse => Some(Duration::from_secs(self.grace_seconds.into())),
        }
    }

    /// This policy, with what `overrides` sets put over it.
    #[must_use]
    pub fn with(&self, overrides: &PolicyOverrides) -> Self {
        let codecs = overrides.codecs.as_ref();
        Self {
            second_publisher: overrides.second_publisher.unwrap_or(self.second_publisher),
            hold_down_seconds: overrides.hold_down_seconds.unwrap_or(self.hold_down_seconds),
            no_publisher: overrides.no_publisher.unwrap_or(self.no_publisher),
            grace_seconds: overrides.grace_seconds.unwrap_or(self.grace_seconds),
            codecs: codecs.map(|names| named(names)).or_else(|| self.codecs.clone()),
            max_viewers: overrides.max_viewers.or(self.max_viewers),
            max_bitrate_kbps: overrides.max_bitrate_kbps.or(self.max_bitrate_kbps),
            counter_offer: overrides.counter_offer.unwrap_or(self.counter_offer),
            trickle_without_tag: overrides.trickle_without_tag.unwrap_or(self.trickle_without_tag),
            session_url_is_capability: overrides
                .session_url_is_capability
                .unwrap_or(self.session_url_is_capability),
            end_on_revoke: overrides.end_on_revoke.unwrap_or(self.end_on_revoke),
        }
    }
}

fn named(names: &[String]) -> Vec<Codec> {
    Codec::ALL
        .into_iter()
        .filter(|codec| names.iter().any(|name| codec.name().eq_ignore_ascii_case(name)))
        .collect()
}
