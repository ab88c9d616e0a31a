//! Which URL leads where: wtn's own, and those of other servers, so that people move here by changing a host
//! name. `docs/aliases.md` has the whole list.

use crate::Resource;
use std::borrow::Cow;

/// Whose URLs are understood besides our own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Routes {
    /// `/{name}/whip`, `/{name}/whep`, as MediaMTX has them.
    pub mediamtx: bool,
    /// `/api/whip`, `/api/whep`, where the bearer names the stream, as Broadcast Box has them.
    pub broadcast_box: bool,
    /// `/whip/endpoint/{name}`, `/whep/endpoint/{name}`, as Meetecho's Simple WHIP and WHEP Servers have them.
    pub janus: bool,
    /// `/webrtc/whip?streamid=`, `/webrtc/whep?streamid=`, as lalmax has them.
    pub lalmax: bool,
    /// `/pub/{appID}/{streamID}`, `/sub/{appID}/{streamID}`, as TALWTN has them.
    pub talwtn: bool,
}

impl Default for Routes {
    /// All that work without more ado; TALWTN's need an app and its key.
    fn default() -> Self {
        Self { mediamtx: true, broadcast_box: true, janus: true, lalmax: true, talwtn: false }
    }
}

/// Whose kind of URL a request came by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Family {
    /// Our own.
    #[default]
    Wtn,
    /// MediaMTX.
    Mediamtx,
    /// Broadcast Box: the desk takes the stream's name out of the bearer token.
    BroadcastBox,
    /// Simple WHIP Server.
    Janus,
    /// lalmax.
    Lalmax,
    /// TALWTN: the stream's name is `{appID}+{streamID}`, which no other family can reach.
    Talwtn,
}

impl Family {
    /// The pattern of its endpoints, for metrics: names and keys are no labels.
    pub const fn pattern(self) -> &'static str {
        match self {
            Self::Wtn => "/whip/{*name}",
            Self::Mediamtx => "/{name}/whip",
            Self::BroadcastBox => "/api/whip",
            Self::Janus => "/whip/endpoint/{name}",
            Self::Lalmax => "/webrtc/whip",
            Self::Talwtn => "/pub/{app}/{stream}",
        }
    }
}

/// Where a URL leads.
#[derive(Clone, PartialEq, Eq)]
pub struct Found<'a> {
    /// To what.
    pub resource: Resource<'a>,
    /// By whose kind of URL.
    pub family: Family,
    /// The key that stands in the URL itself, for clients that cannot send headers.
    pub key: Option<Cow<'a, str>>,
}

/// Shows no key.
impl std::fmt::Debug for Found<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let has_key = self.key.is_some();
        let Self { resource, family, .. } = self;
        f.debug_struct("Found")
            .field("resource", resource)
            .field("family", family)
            .field("has_key", &has_key)
            .finish()
    }
}

impl Found<'_> {
    /// What the request's `Authorization` counts as: a key in the URL was put there on purpose and wins over a
    /// header, which some clients send whether or not they have anything to put in (`Bearer undefined`).
    pub fn authorization<'h>(&self, header: Option<&'h str>) -> Option<Cow<'h, str>> {
        match &self.key {
            Some(key) => Some(Cow::Owned(format!("Bearer {key}"))),
            None => header.map(Cow::Borrowed),
        }
    }
}

/// The names under which a key may stand in the query: ours, a short one, MediaMTX'.
const KEY_IN_QUERY: [&str; 3] = ["token", "key", "jwt"];
/// What stands between name and key in `/whip/{name}/key/{key}`.
const KEY_IN_PATH: &str = "/key/";

impl<'a> Resource<'a> {
    /// By path and query of the URL. `None`: the path is none of ours. Paths of pages come first; the caller has
    /// looked for those.
    pub fn find(path: &'a str, query: Option<&'a str>, routes: &Routes) -> Option<Found<'a>> {
        let query = Query(query.unwrap_or_default());
        let in_query =
            || KEY_IN_QUERY.iter().find_map(|name| query.value(name)).filter(|key| !key.is_empty());
        let mut parts = path.strip_prefix('/')?.split('/');
        let found = |resource, family| Some(Found { resource, family, key: in_query() });
        match [parts.next()?, parts.next().unwrap_or_default(), parts.next().unwrap_or_default()] {
            ["whip" | "whep", "endpoint", name] if routes.janus && !name.is_empty() => {
                let path = path.replacen("/endpoint/", "/", 1);
                let (resource, key) = owned(&path)?;
                Some(Found { resource, family: Family::Janus, key: key.or_else(in_query) })
            }
            ["whip" | "whep", ..] => {
                let (resource, key) = with_key_in_path(path)?;
                Some(Found { resource, family: Family::Wtn, key: key.or_else(in_query) })
            }
            ["session", ..] => found(Self::from_path(path)?, Family::Wtn),
            ["api", "whip", ""] if routes.broadcast_box => {
                found(Self::WhipEndpoint("".into()), Family::BroadcastBox)
            }
            ["api", "whep", ""] if routes.broadcast_box => {
                found(Self::WhepEndpoint("".into()), Family::BroadcastBox)
            }
            ["webrtc", "whip", ""] if routes.lalmax => {
                found(Self::WhipEndpoint(query.value("streamid").unwrap_or_default()), Family::Lalmax)
            }
            ["webrtc", "whep", ""] if routes.lalmax => {
                found(Self::WhepEndpoint(query.value("streamid").unwrap_or_default()), Family::Lalmax)
            }
            [door @ ("pub" | "sub"), app, stream]
                if routes.talwtn && !app.is_empty() && !stream.is_empty() =>
            {
                // More segments belong to no stream: they make the name one that the desk refuses.
                let rest = parts.map(|part| format!("/{part}")).collect::<String>();
                let name = Cow::Owned(format!("{}+{}{rest}", decode(app), decode(stream)));
                let resource =
                    if door == "pub" { Self::WhipEndpoint(name) } else { Self::WhepEndpoint(name) };
                Some(Found { resource, family: Family::Talwtn, key: query.value("Token") })
            }
            [name, "whip", ""] if routes.mediamtx && !name.is_empty() => {
                found(Self::WhipEndpoint(decode(name)), Family::Mediamtx)
            }
            [name, "whep", ""] if routes.mediamtx && !name.is_empty() => {
                found(Self::WhepEndpoint(decode(name)), Family::Mediamtx)
            }
            _ => None,
        }
    }

    /// By the path of one of our own URLs. `None`: it is none.
    ///
    /// What stands behind the first segment is percent-decoded, once (RFC 3986 §2.4); what is no UTF-8 then
    /// becomes a name that the desk refuses.
    pub fn from_path(path: &'a str) -> Option<Self> {
        let (place, name) = path.strip_prefix('/')?.split_once('/')?;
        match place {
            "whip" => Some(Self::WhipEndpoint(decode(name))),
            "whep" => Some(Self::WhepEndpoint(decode(name))),
            "session" => Some(Self::of_session(name)),
            _ => None,
        }
    }

    /// A session, or what hangs below it.
    fn of_session(path: &'a str) -> Self {
        match path.split_once('/') {
            Some((session, "events")) => Self::Events(decode(session)),
            Some((session, "layer")) => Self::Layer(decode(session)),
            Some((session, below)) => match below.strip_prefix("events/") {
                Some(stream) => Self::EventStream { session: decode(session), stream: decode(stream) },
                None => Self::Session(decode(path)),
            },
            None => Self::Session(decode(path)),
        }
    }
}

/// `/whip/{name}/key/{key}`, or without the key.
fn with_key_in_path(path: &str) -> Option<(Resource<'_>, Option<Cow<'_, str>>)> {
    match path.split_once(KEY_IN_PATH) {
        Some((endpoint, key)) if !key.is_empty() => Some((Resource::from_path(endpoint)?, Some(decode(key)))),
        _ => Some((Resource::from_path(path)?, None)),
    }
}

/// The same of a path that is not kept.
fn owned<'b>(path: &str) -> Option<(Resource<'b>, Option<Cow<'b, str>>)> {
    let (resource, key) = with_key_in_path(path)?;
    let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
    let resource = match resource {
        Resource::WhipEndpoint(name) => Resource::WhipEndpoint(own(name)),
        Resource::WhepEndpoint(name) => Resource::WhepEndpoint(own(name)),
        Resource::Session(id) => Resource::Session(own(id)),
        Resource::Events(id) => Resource::Events(own(id)),
        Resource::EventStream { session, stream } => {
            Resource::EventStream { session: own(session), stream: own(stream) }
        }
        Resource::Layer(id) => Resource::Layer(own(id)),
    };
    Some((resource, key.map(own)))
}

/// What stands behind the `?`: pairs, as forms write them, but for `+`, which is no space in a key.
#[derive(Clone, Copy)]
pub(crate) struct Query<'a>(pub &'a str);

impl<'a> Query<'a> {
    /// The first value of that name, percent-decoded.
    pub fn value(self, name: &str) -> Option<Cow<'a, str>> {
        self.0.split('&').find_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (key == name).then(|| decode(value))
        })
    }

    /// Whether the value of that name says yes.
    pub fn is_true(self, name: &str) -> bool {
        self.value(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
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

#[cfg(test)]
mod tests {
    use super::*;
    use Resource::{Session, WhepEndpoint, WhipEndpoint};

    const ALL: Routes =
        Routes { mediamtx: true, broadcast_box: true, janus: true, lalmax: true, talwtn: true };
    const NONE: Routes =
        Routes { mediamtx: false, broadcast_box: false, janus: false, lalmax: false, talwtn: false };

    fn find<'a>(url: &'a str, routes: &Routes) -> Option<Found<'a>> {
        let (path, query) = url.split_once('?').map_or((url, None), |(path, query)| (path, Some(query)));
        Resource::find(path, query, routes)
    }

    #[track_caller]
    fn check(url: &str, resource: Resource<'_>, family: Family, key: Option<&str>) {
        let found = find(url, &ALL).unwrap_or_else(|| panic!("{url} leads nowhere"));
        assert_eq!((found.resource, found.family, found.key.as_deref()), (resource, family, key), "{url}");
    }

    #[test]
    fn http_17_paths_name_resources_and_are_decoded_once() {
        let check = |path: &str, expected: Option<Resource<'_>>| {
            assert_eq!(Resource::find(path, None, &ALL).map(|found| found.resource), expected, "{path}")
        };
        check("/whip/live", Some(WhipEndpoint("live".into())));
        check("/whep/a%2F..%2Fb", Some(WhepEndpoint("a/../b".into())));
        check("/whip/%2561", Some(WhipEndpoint("%61".into())));
        check("/whip/%zz%4", Some(WhipEndpoint("%zz%4".into())));
        check("/whip/%FF", Some(WhipEndpoint("\u{fffd}".into())));
        check("/session/0a", Some(Session("0a".into())));
        check("/whip/", Some(WhipEndpoint("".into())));
        check("/whip/a/b", Some(WhipEndpoint("a/b".into())));
        check("/whip", None);
        check("/", None);
        check("/watch/live", None);
    }

    #[test]
    fn whep_21_event_streams_and_the_layer_hang_below_their_session() {
        check("/session/0a/events", Resource::Events("0a".into()), Family::Wtn, None);
        check("/session/0a/layer?token=s3", Resource::Layer("0a".into()), Family::Wtn, Some("s3"));
        let stream =
            |stream: &'static str| Resource::EventStream { session: "0a".into(), stream: stream.into() };
        check("/session/0a/events/1b", stream("1b"), Family::Wtn, None);
        check("/session/0a/events/1b/2c", stream("1b/2c"), Family::Wtn, None);
        for other in ["0a/", "0a/event", "0a/events%2F1b", "0a/layer/1", "0a/sse"] {
            let url = format!("/session/{other}");
            let name = other.replace("%2F", "/");
            check(&url, Session(name.into()), Family::Wtn, None);
        }
    }

    #[test]
    fn auth_07_a_key_may_stand_in_the_query_or_behind_the_name() {
        check("/whip/live?token=s3", WhipEndpoint("live".into()), Family::Wtn, Some("s3"));
        check("/whep/live?x=1&key=a%2Bb+c&y", WhepEndpoint("live".into()), Family::Wtn, Some("a+b+c"));
        check("/live/whep?jwt=e.y.J", WhepEndpoint("live".into()), Family::Mediamtx, Some("e.y.J"));
        check("/whip/live/key/a%2Fb", WhipEndpoint("live".into()), Family::Wtn, Some("a/b"));
        check("/whep/endpoint/live/key/s3", WhepEndpoint("live".into()), Family::Janus, Some("s3"));
        check("/session/0a?token=s3", Session("0a".into()), Family::Wtn, Some("s3"));
        check("/whip/live?token=", WhipEndpoint("live".into()), Family::Wtn, None);
        check("/whip/live/key/", WhipEndpoint("live/key/".into()), Family::Wtn, None);
    }

    #[test]
    fn auth_08_a_key_in_the_url_does_not_show() {
        let found = find("/whip/live/key/s3cret", &ALL).expect("ours");
        assert!(!format!("{found:?}").contains("s3cret"), "{found:?}");
    }

    #[test]
    fn auth_07_a_key_in_the_url_wins_over_a_header_that_says_nothing() {
        let found = find("/whip/live?token=s3", &ALL).expect("ours");
        assert_eq!(found.authorization(Some("Bearer undefined")).as_deref(), Some("Bearer s3"));
        let found = find("/whip/live", &ALL).expect("ours");
        assert_eq!(found.authorization(Some("Bearer s3")).as_deref(), Some("Bearer s3"));
        assert_eq!(found.authorization(None), None);
    }

    #[test]
    fn the_urls_of_other_servers_lead_to_the_same_places() {
        check("/live/whip", WhipEndpoint("live".into()), Family::Mediamtx, None);
        check("/live/whep", WhepEndpoint("live".into()), Family::Mediamtx, None);
        check("/a%20b/whip", WhipEndpoint("a b".into()), Family::Mediamtx, None);
        check("/api/whip", WhipEndpoint("".into()), Family::BroadcastBox, None);
        check("/api/whep", WhepEndpoint("".into()), Family::BroadcastBox, None);
        check("/whip/endpoint/live", WhipEndpoint("live".into()), Family::Janus, None);
        check("/whep/endpoint/live", WhepEndpoint("live".into()), Family::Janus, None);
        check("/webrtc/whip?streamid=live", WhipEndpoint("live".into()), Family::Lalmax, None);
        check("/webrtc/whep?streamid=live&token=s", WhepEndpoint("live".into()), Family::Lalmax, Some("s"));
        check("/webrtc/whip", WhipEndpoint("".into()), Family::Lalmax, None);
        let talwtn = "/pub/app/cam?MuteAudio=false&Token=e.y.J&TokenType=Bearer";
        check(talwtn, WhipEndpoint("app+cam".into()), Family::Talwtn, Some("e.y.J"));
        check("/sub/app/cam", WhepEndpoint("app+cam".into()), Family::Talwtn, None);
        check("/sub/app/cam/x", WhepEndpoint("app+cam/x".into()), Family::Talwtn, None);
    }

    #[test]
    fn our_own_urls_come_first() {
        check("/whip/whep", WhipEndpoint("whep".into()), Family::Wtn, None);
        check("/whip/endpoint", WhipEndpoint("endpoint".into()), Family::Wtn, None);
        check("/session/whip", Session("whip".into()), Family::Wtn, None);
    }

    #[test]
    fn each_family_can_be_switched_off() {
        for url in ["/live/whip", "/api/whep", "/webrtc/whip?streamid=live", "/pub/app/cam"] {
            assert_eq!(find(url, &NONE), None, "{url}");
        }
        let found = find("/whip/endpoint/live", &NONE).map(|found| found.resource);
        assert_eq!(found, Some(WhipEndpoint("endpoint/live".into())), "a name that the desk refuses");
        assert_eq!(find("/pub/app/cam", &Routes::default()), None, "TALWTN needs an app and its key");
    }
}
