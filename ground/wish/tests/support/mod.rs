//! A desk in fake time, and clients that speak to it.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use wtn_media::{Admission, Fingerprint, HashAlgorithm, SessionId};
use wtn_wish::{Desk, DeskConfig, Effect, Ending, Key, Method, Policy, Reply, Request, Resource};

/// The wall clock of every desk.
pub const NOW: u64 = 1_700_000_000;
pub const SDP: &str = "application/sdp";
pub const SDPFRAG: &str = "application/trickle-ice-sdpfrag";
const PROBLEMS: &str = include_str!("../../../../docs/problems.md");

pub fn offers() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../sdp/tests/fixtures/offers")
}

/// A recorded offer.
pub fn offer(name: &str) -> String {
    fs::read_to_string(offers().join(format!("{name}.sdp"))).unwrap()
}

pub fn config() -> DeskConfig {
    let fingerprint = Fingerprint { algorithm: HashAlgorithm::Sha256, digest: vec![7; 32] };
    let candidates = ["[2001:db8::1]:4000", "203.0.113.7:4000", "10.0.0.2:4000"];
    DeskConfig::new(candidates.map(|address| address.parse().unwrap()).to_vec(), 4000, fingerprint)
}

pub fn with_policy(policy: Policy) -> DeskConfig {
    DeskConfig { policy, ..config() }
}

pub fn keys(tokens: &[&str]) -> Vec<Key> {
    tokens.iter().map(|token| Key::new(*token)).collect()
}

/// A desk, its clock and its dice.
pub struct Show {
    pub desk: Desk,
    pub now: Instant,
    dice: u64,
}

/// One request in the making.
pub struct Call<'a> {
    show: &'a mut Show,
    pub request: Request<'a>,
}

impl Show {
    pub fn new(config: DeskConfig) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "an instant to count from; nothing else reads the clock"
        )]
        let now = Instant::now();
        Self { desk: Desk::new(config), now, dice: 1 }
    }

    pub fn open() -> Self {
        Self::new(config())
    }

    pub fn wait(&mut self, time: Duration) {
        self.now += time;
    }

    pub fn call<'a>(&'a mut self, method: Method, path: &'a str) -> Call<'a> {
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        let found = Resource::find(path, query, &self.desk.routes()).unwrap();
        let key = found.authorization(None).map(|key| &*key.into_owned().leak());
        let request = Request {
            family: found.family,
            is_key_in_url: found.key.is_some(),
            authorization: key,
            query,
            base_url: Some("http://203.0.113.7:8080"),
            unix_now: NOW,
            ..Request::new(method, found.resource)
        };
        Call { show: self, request }
    }

    /// POSTs an SDP.
    pub fn post(&mut self, path: &str, body: &str) -> Reply {
        self.call(Method::Post, path).body(SDP, body.as_bytes()).send()
    }

    /// A connected publisher.
    pub fn publish(&mut self, name: &str, fixture: &str) -> Joined {
        let joined = Joined::from(self.post(&format!("/whip/{name}"), &offer(fixture)));
        assert!(self.connect(&joined).is_empty());
        joined
    }

    /// A connected viewer.
    pub fn watch(&mut self, name: &str, fixture: &str) -> Joined {
        let joined = Joined::from(self.post(&format!("/whep/{name}"), &offer(fixture)));
        assert!(self.connect(&joined).is_empty());
        joined
    }

    pub fn connect(&mut self, joined: &Joined) -> Vec<(SessionId, Ending)> {
        let effects = self.desk.on_connected(self.now, joined.id());
        effects.iter().map(ending).collect()
    }

    pub fn end(&mut self, joined: &Joined) {
        self.desk.on_ended(self.now, joined.id());
    }
}

/// A session as its client knows it.
pub struct Joined {
    pub url: String,
    /// With its quotes.
    pub tag: String,
    pub sdp: String,
    pub admission: Admission,
}

impl From<Reply> for Joined {
    #[track_caller]
    fn from(reply: Reply) -> Self {
        assert_eq!(reply.status, 201, "{}", String::from_utf8_lossy(&reply.body));
        let header = |name| reply.header(name).unwrap().to_owned();
        let [Effect::Admit(admission)] = &reply.effects[..] else { panic!("{:?}", reply.effects) };
        Self {
            url: header("Location"),
            tag: header("ETag"),
            sdp: String::from_utf8(reply.body.clone()).unwrap(),
            admission: Admission::clone(admission),
        }
    }
}

impl Joined {
    pub fn id(&self) -> SessionId {
        self.admission.session
    }

    /// A fragment with its credentials and one candidate.
    pub fn fragment(&self) -> String {
        let remote = &self.admission.remote;
        fragment(&remote.ufrag, &remote.pwd)
    }
}

pub fn fragment(ufrag: &str, pwd: &str) -> String {
    format!(
        "a=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n\
         a=candidate:1 1 udp 2122260223 10.0.0.9 4242 typ host\r\n"
    )
}

pub fn ending(effect: &Effect) -> (SessionId, Ending) {
    match effect {
        Effect::End(session, ending) => (*session, *ending),
        other => panic!("{other:?}"),
    }
}

impl<'a> Call<'a> {
    pub fn body(mut self, content_type: &'a str, body: &'a [u8]) -> Self {
        self.request.content_type = Some(content_type);
        self.request.body = body;
        self
    }

    pub fn key(mut self, authorization: &'a str) -> Self {
        self.request.authorization = Some(authorization);
        self
    }

    pub fn if_match(mut self, tag: &'a str) -> Self {
        self.request.if_match = Some(tag);
        self
    }

    /// From that address.
    pub fn from(mut self, client: &str) -> Self {
        self.request.client = Some(client.parse().unwrap());
        self
    }

    pub fn reached_by(mut self, ip: &str) -> Self {
        self.request.reached_by = Some(ip.parse().unwrap());
        self
    }

    /// Sends it, and checks what every reply must have.
    pub fn send(self) -> Reply {
        let dice = &mut self.show.dice;
        // splitmix64: different every time, the same in every run.
        let mut random = |bytes: &mut [u8]| {
            for byte in bytes {
                *dice = dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mut mixed = *dice;
                mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                *byte = (mixed >> 56) as u8;
            }
        };
        let reply = self.show.desk.handle(self.show.now, self.request, &mut random);
        check_every_reply(&reply);
        reply
    }
}

fn check_every_reply(reply: &Reply) {
    assert_eq!(reply.header("Access-Control-Allow-Origin"), Some("*"), "auth_10");
    assert_eq!(reply.header("Cache-Control"), Some("no-store"), "http_16");
    let exposed = reply.header("Access-Control-Expose-Headers").unwrap();
    for name in [
        "Location",
        "Link",
        "ETag",
        "Accept-Post",
        "Accept-Patch",
        "Retry-After",
        "WWW-Authenticate",
        "Access-Control-Allow-Methods",
    ] {
        assert!(exposed.split(", ").any(|known| known == name), "auth_10: {name}");
    }
    let names = reply.headers.iter().map(|(name, _)| name.to_ascii_lowercase());
    let mut names: Vec<_> = names.filter(|name| name != "link").collect();
    names.sort();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "each header once");
    assert!(reply.headers.iter().all(|(_, value)| value.bytes().all(|byte| (32..127).contains(&byte))));
    // 406 is a counter-offer.
    if reply.status >= 400 && reply.status != 406 {
        check_problem(reply);
    }
}

/// http_06: problem details that repeat the status and stand in the list.
fn check_problem(reply: &Reply) {
    assert_eq!(reply.header("Content-Type"), Some("application/problem+json"), "http_06");
    assert!(reply.effects.is_empty());
    let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(body["status"], reply.status);
    for name in ["type", "title", "detail", "fix"] {
        assert!(body[name].as_str().is_some_and(|text| !text.is_empty()), "{name}");
    }
    let code = body["code"].as_str().unwrap();
    assert!(
        PROBLEMS.contains(&format!("<a id=\"{code}\"></a>`{code}`")),
        "{code} is not in docs/problems.md"
    );
    assert!(body["type"].as_str().unwrap().ends_with(&format!("#{code}")));
    let needed = match reply.status {
        401 => Some("WWW-Authenticate"),
        405 => Some("Allow"),
        409 | 429 | 503 => Some("Retry-After"),
        _ => None,
    };
    assert!(needed.is_none_or(|name| reply.header(name).is_some()), "{needed:?}");
}

/// The code of a problem.
pub fn code(reply: &Reply) -> String {
    let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    body["code"].as_str().unwrap().to_owned()
}

#[track_caller]
pub fn refused(reply: &Reply, status: u16, expected: &str) {
    assert_eq!(
        (reply.status, code(reply).as_str()),
        (status, expected),
        "{}",
        String::from_utf8_lossy(&reply.body)
    );
}
