//! What the administration shows: never a secret, but for the one time that it is made.

use crate::registry::Known;
use serde::Serialize;
use utoipa::ToSchema;
use wtn_store::{Allows, Digest, StoredEndpoint, StoredKey};
use wtn_wish::{EndpointKey, IceServer, PolicyOverrides};

/// One endpoint.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Endpoint)]
pub(crate) struct EndpointView {
    /// The name of its stream.
    #[schema(example = "live")]
    pub name: String,
    /// Where it is kept, and so who can change it.
    pub origin: Origin,
    /// The path of its WHIP endpoint.
    #[schema(example = "/whip/live")]
    pub whip: String,
    /// The path of its WHEP endpoint.
    #[schema(example = "/whep/live")]
    pub whep: String,
    /// Seconds since 1970-01-01 UTC; null for one of the configuration.
    pub created_at: Option<u64>,
    /// Seconds since 1970-01-01 UTC, of the last change to it or to its keys; null for one of the
    /// configuration.
    pub changed_at: Option<u64>,
    /// Its keys, without their secrets. Without any that allow publishing (or playing), the server's own keys
    /// for that hold.
    pub keys: Vec<KeyView>,
    /// ICE servers that its clients are told of; null: the server's.
    pub ice_servers: Option<Vec<IceServerView>>,
    /// Where it departs from the server's policy.
    #[schema(value_type = super::inputs::PolicySchema)]
    pub policy: PolicyOverrides,
}

/// Where an endpoint is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Origin {
    /// In the configuration file, which this interface does not change.
    Config,
    /// In the server's store: made and changed by this interface.
    Store,
}

/// A key, without its secret.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Key)]
pub(crate) struct KeyView {
    /// Names it within its endpoint.
    #[schema(example = "k7m2pqp4")]
    pub id: String,
    /// What it opens.
    #[schema(value_type = super::inputs::AllowsSchema)]
    pub allows: Allows,
    /// What people call it.
    pub label: Option<String>,
    /// Seconds since 1970-01-01 UTC; null for one of the configuration.
    pub created_at: Option<u64>,
    /// Seconds since 1970-01-01 UTC from which on it opens nothing; null: never.
    pub expires_at: Option<u64>,
}

/// An ICE server, without its secrets.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = IceServer)]
pub(crate) struct IceServerView {
    #[schema(example = "turn:turn.example.com:3478?transport=udp")]
    pub url: String,
    pub username: Option<String>,
    /// Which credentials clients get.
    pub credentials: Credentials,
    /// How long those of their own are good.
    pub ttl_seconds: Option<u32>,
}

/// Which credentials clients get for an ICE server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Credentials {
    /// None.
    None,
    /// All the same ones.
    Static,
    /// Each session its own, which expire.
    Own,
}

/// An endpoint that was just made.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct CreatedEndpoint {
    #[serde(flatten)]
    pub endpoint: EndpointView,
    /// The secrets of its keys, in their order: shown now and never again.
    pub secrets: Vec<FreshSecret>,
}

/// A secret, the only time that it is shown.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct FreshSecret {
    /// The key's id.
    pub id: String,
    /// The bearer token.
    #[schema(example = "k7m2p-qp4xa-0c9vn-h3w5t-zz81d")]
    pub secret: String,
}

/// A key that was just made.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct CreatedKey {
    #[serde(flatten)]
    pub key: KeyView,
    /// The bearer token: shown now and never again.
    #[schema(example = "k7m2p-qp4xa-0c9vn-h3w5t-zz81d")]
    pub secret: String,
}

/// A key in the place of another.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct RotatedKey {
    #[serde(flatten)]
    pub fresh: CreatedKey,
    /// The old key, and until when it opens; null if it does so no more.
    pub replaces: Option<KeyView>,
}

/// One page of endpoints.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct EndpointPage {
    /// By name.
    pub endpoints: Vec<EndpointView>,
    /// What to send as `after` for the next page; null: this is the last.
    pub next: Option<String>,
}

/// All keys of an endpoint.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct KeyList {
    /// In the order in which they were made.
    pub keys: Vec<KeyView>,
}

impl EndpointView {
    /// Its entity tag, with the quotes: another for every other content.
    pub fn tag(&self) -> String {
        let json = serde_json::to_string(self).unwrap_or_default();
        let digest = Digest::of(&json).0;
        let digits: String = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        format!("\"{digits}\"")
    }
}

impl From<&Known> for EndpointView {
    fn from(known: &Known) -> Self {
        match known {
            Known::Stored(stored) => stored.into(),
            Known::Config(endpoint) => {
                let keys = |keys: &[EndpointKey], allows| {
                    let view = |key: &EndpointKey| KeyView {
                        id: key.id.clone(),
                        allows,
                        label: key.label.clone(),
                        created_at: None,
                        expires_at: key.expires_at,
                    };
                    keys.iter().map(view).collect::<Vec<_>>()
                };
                let publish = keys(&endpoint.publish_keys, Allows::Publish);
                let play = keys(&endpoint.play_keys, Allows::Play);
                Self {
                    created_at: None,
                    changed_at: None,
                    keys: [publish, play].concat(),
                    ..Self::bare(&endpoint.name, Origin::Config, &endpoint.ice_servers, &endpoint.policy)
                }
            }
        }
    }
}

impl From<&StoredEndpoint> for EndpointView {
    fn from(stored: &StoredEndpoint) -> Self {
        Self {
            created_at: Some(stored.created_at),
            changed_at: Some(stored.changed_at),
            keys: stored.keys.iter().map(KeyView::from).collect(),
            ..Self::bare(&stored.name, Origin::Store, &stored.ice_servers, &stored.policy)
        }
    }
}

impl EndpointView {
    fn bare(
        name: &str,
        origin: Origin,
        ice_servers: &Option<Vec<IceServer>>,
        policy: &PolicyOverrides,
    ) -> Self {
        let ice_servers = ice_servers.as_ref();
        Self {
            name: name.to_owned(),
            origin,
            whip: format!("/whip/{name}"),
            whep: format!("/whep/{name}"),
            created_at: None,
            changed_at: None,
            keys: Vec::new(),
            ice_servers: ice_servers.map(|servers| servers.iter().map(IceServerView::from).collect()),
            policy: policy.clone(),
        }
    }
}

impl From<&StoredKey> for KeyView {
    fn from(key: &StoredKey) -> Self {
        Self {
            id: key.id.clone(),
            allows: key.allows,
            label: key.label.clone(),
            created_at: Some(key.created_at),
            expires_at: key.expires_at,
        }
    }
}

impl From<&IceServer> for IceServerView {
    fn from(server: &IceServer) -> Self {
        let credentials = match (&server.secret, &server.credential) {
            (Some(_), _) => Credentials::Own,
            (None, Some(_)) => Credentials::Static,
            (None, None) => Credentials::None,
        };
        Self {
            url: server.url.clone(),
            username: server.username.clone(),
            credentials,
            ttl_seconds: server.ttl_seconds,
        }
    }
}
