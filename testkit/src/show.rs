//! A whole show in simulated time: a server, publishers and viewers over a seeded network.
//!
//! ```
//! use wtn_testkit::{Link, Script, Show, secs};
//!
//! let mut show = Show::new(42, 3);
//! let camera = show.publish("live", Script::SMALL);
//! show.run(secs(1));
//! let anna = show.watch("live", Link::PERFECT.loss_percent(1.0));
//! show.run(secs(2));
//! assert!(show.publisher(camera).standing().is_connected());
//! assert!(show.viewer(anna).standing().is_connected());
//! ```

use crate::clock::{ms, secs};
use crate::frames::FrameId;
use crate::link::Link;
use crate::network::EndpointId;
use crate::publisher::{Publisher, Script};
use crate::server::Server;
use crate::viewer::Viewer;
use crate::world::{Endpoint, World};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};
use wtn_fanout::LineReport;
use wtn_media::{Codec, LayerSelection, MediaKind, SessionId};
use wtn_wish::{Desk, Effect, Reply};

/// Where the server of every show listens.
const SERVER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 8189);

/// Repairs of what was sent before are over after this.
const REPAIR_TIME: Duration = secs(2);

/// A viewer is at the live edge this long after its POST.
const CATCH_UP_TIME: Duration = secs(4);

/// One simulation.
pub struct Show {
    /// Time and network.
    pub world: World,
    /// The server.
    pub server: Server,
    publishers: Vec<(Publisher, Seat)>,
    viewers: Vec<(Viewer, Seat, Instant)>,
    /// Of the viewers.
    sessions: Vec<SessionId>,
    clients: u16,
    /// What the latest publisher sends, and viewers therefore want.
    script: Script,
}

/// What a 201 told a client.
#[derive(Clone)]
struct Seat {
    location: String,
    answer: String,
}

impl Show {
    /// An empty show on a server with that many shards; everything in it follows from `seed`.
    pub fn new(seed: u64, shards: u16) -> Self {
        let mut world = World::new(seed);
        let id = world.network.attach(SERVER);
        let server = Server::new(world.now(), id, SERVER, shards);
        Self {
            world,
            server,
            publishers: Vec::new(),
            viewers: Vec::new(),
            sessions: Vec::new(),
            clients: 0,
            script: Script::CAMERA,
        }
    }

    /// Starts a publisher of `stream` on a perfect link; the answer is its number here.
    ///
    /// # Panics
    /// If the server refuses it.
    pub fn publish(&mut self, stream: &str, script: Script) -> usize {
        self.publish_over(stream, script, Link::PERFECT.delay(ms(5)))
    }

    /// The same over a line of that kind, both ways.
    ///
    /// # Panics
    /// If the server refuses it.
    pub fn publish_over(&mut self, stream: &str, script: Script, link: Link) -> usize {
        self.publish_edited(stream, script, link, |offer| offer)
    }

    /// The same with an offer that is altered before the server sees it.
    ///
    /// # Panics
    /// If the server refuses it.
    pub fn publish_edited(
        &mut self,
        stream: &str,
        script: Script,
        link: Link,
        edit: impl FnOnce(String) -> String,
    ) -> usize {
        self.script = script;
        let (id, inside) = self.attach(link);
        let now = self.world.now();
        let number = self.publishers.len();
        let mut publisher = Publisher::new(now, id, inside, number as u16, script);
        let reply = self.server.publish(now, stream, &edit(publisher.offer()));
        let seat = accepted(&reply);
        publisher.accept_answer(now, &seat.answer).expect("str0m takes the answer");
        self.publishers.push((publisher, seat));
        number
    }

    /// Starts a viewer of `stream` whose line is `link`, both ways; the answer is its number here.
    ///
    /// # Panics
    /// If the server refuses it.
    pub fn watch(&mut self, stream: &str, link: Link) -> usize {
        self.watch_with(stream, link, &[self.script.video])
    }

    /// The same by a viewer that decodes whatever publishers here can send.
    ///
    /// # Panics
    /// If the server refuses it.
    pub fn watch_all(&mut self, stream: &str, link: Link) -> usize {
        self.watch_with(stream, link, &[Codec::H264, Codec::Vp8])
    }

    fn watch_with(&mut self, stream: &str, link: Link, codecs: &[Codec]) -> usize {
        let (id, inside) = self.attach(link);
        let now = self.world.now();
        let mut viewer = Viewer::new(now, id, inside, codecs, self.script.audio);
        let reply = self.server.watch(now, stream, &viewer.offer());
        let seat = accepted(&reply);
        viewer.accept_answer(now, &seat.answer).expect("str0m takes the answer");
        self.viewers.push((viewer, seat, now));
        self.sessions.extend(self.server.last_session());
        self.viewers.len() - 1
    }

    /// Changes something on the desk: an endpoint, the configuration.
    pub fn arrange(&mut self, change: impl FnOnce(&mut Desk) -> Vec<Effect>) {
        self.server.arrange(self.world.now(), change);
    }

    /// The reply to a publisher who is gone before it reads it.
    pub fn knock(&mut self, stream: &str) -> Reply {
        let (id, inside) = self.attach(Link::CUT);
        let now = self.world.now();
        let offer = Publisher::new(now, id, inside, 0, Script::CAMERA).offer();
        self.server.publish(now, stream, &offer)
    }

    /// What viewers decode from now on, where no publisher has come before them.
    pub fn expect(&mut self, script: Script) {
        self.script = script;
    }

    /// Lets time pass.
    pub fn run(&mut self, duration: Duration) {
        let publishers = self.publishers.iter_mut().map(|(publisher, _)| publisher as &mut dyn Endpoint);
        let viewers = self.viewers.iter_mut().map(|(viewer, ..)| viewer as &mut dyn Endpoint);
        let server = std::iter::once(&mut self.server as &mut dyn Endpoint);
        let mut endpoints: Vec<_> = server.chain(publishers).chain(viewers).collect();
        self.world.run(duration, &mut endpoints);
    }

    /// What viewers still lack of the video frames that `publisher` sent until now, as pairs of viewer and count.
    /// Owed is what was sent once a viewer had time to catch up; a keyframe may take it there past older frames.
    /// The show goes on for two seconds meanwhile, since a loss is noticed by what follows it.
    pub fn lacking(&mut self, publisher: usize) -> Vec<(usize, usize)> {
        let joined: Vec<_> = self.viewers.iter().map(|(_, _, joined)| *joined).collect();
        let camera = &self.publishers[publisher].0;
        let owed: Vec<_> =
            joined.into_iter().map(|joined| camera.sent_since(joined + CATCH_UP_TIME)).collect();
        self.run(REPAIR_TIME);
        self.count_lacking(&owed)
    }

    /// The same for the frames that `publisher` sends within the next second.
    pub fn lacking_lately(&mut self, publisher: usize) -> Vec<(usize, usize)> {
        let since = self.world.now();
        self.run(secs(1));
        let owed = vec![self.publishers[publisher].0.sent_since(since); self.viewers.len()];
        self.run(REPAIR_TIME);
        self.count_lacking(&owed)
    }

    fn count_lacking(&self, owed: &[BTreeSet<FrameId>]) -> Vec<(usize, usize)> {
        let got = self.viewers.iter().map(|(viewer, ..)| viewer.reception(MediaKind::Video).ids());
        let counts = owed.iter().zip(got).map(|(owed, got)| owed.difference(&got).count());
        counts.enumerate().filter(|(_, count)| *count > 0).collect()
    }

    /// A publisher by its number.
    pub fn publisher(&mut self, number: usize) -> &mut Publisher {
        &mut self.publishers[number].0
    }

    /// A viewer by its number.
    pub fn viewer(&mut self, number: usize) -> &mut Viewer {
        &mut self.viewers[number].0
    }

    /// A viewer asks for that of the picture.
    pub fn select(&mut self, number: usize, selection: Option<LayerSelection>) {
        self.server.select(self.world.now(), self.sessions[number], selection);
    }

    /// How a viewer's line looks to the server, if the viewer tells of it.
    pub fn line(&self, number: usize) -> Option<LineReport> {
        self.server.line(self.sessions[number])
    }

    /// Where a publisher sends from.
    pub fn publisher_id(&self, number: usize) -> EndpointId {
        self.publishers[number].0.id()
    }

    /// Where a viewer sends from.
    pub fn viewer_id(&self, number: usize) -> EndpointId {
        self.viewers[number].0.id()
    }

    /// Number of viewers that were started.
    pub fn viewers(&self) -> usize {
        self.viewers.len()
    }

    /// Mutes the session that was opened as the `number`th of this show, publishers and viewers alike.
    pub fn mute(&mut self, number: u64, audio: bool, video: bool) {
        self.server.mute(self.world.now(), SessionId(number), audio, video);
    }

    /// DELETEs a publisher's session.
    pub fn unpublish(&mut self, number: usize) -> Reply {
        self.server.delete(self.world.now(), &self.publishers[number].1.location)
    }

    /// DELETEs a viewer's session.
    pub fn unwatch(&mut self, number: usize) -> Reply {
        self.server.delete(self.world.now(), &self.viewers[number].1.location)
    }

    /// The session URL of a publisher.
    pub fn publisher_url(&self, number: usize) -> String {
        self.publishers[number].1.location.clone()
    }

    /// The session URL of a viewer.
    pub fn viewer_url(&self, number: usize) -> String {
        self.viewers[number].1.location.clone()
    }

    /// A publisher restarts its ICE, as RFC 9725 §4.3.3 has it.
    ///
    /// # Panics
    /// If the server or str0m refuses.
    pub fn restart_publisher(&mut self, number: usize) {
        let (publisher, seat) = &mut self.publishers[number];
        let now = self.world.now();
        seat.restart(&mut self.server, now, &publisher.restart());
        publisher.accept_answer(now, &seat.answer).expect("str0m takes the restart");
    }

    /// A viewer restarts its ICE.
    ///
    /// # Panics
    /// If the server or str0m refuses.
    pub fn restart_viewer(&mut self, number: usize) {
        let (viewer, seat, _) = &mut self.viewers[number];
        let now = self.world.now();
        seat.restart(&mut self.server, now, &viewer.restart());
        viewer.accept_answer(now, &seat.answer).expect("str0m takes the restart");
    }

    fn attach(&mut self, link: Link) -> (EndpointId, SocketAddr) {
        self.clients += 1;
        let [high, low] = self.clients.to_be_bytes();
        let inside = SocketAddr::from(([10, 0, high, low], 5000));
        let id = self.world.network.attach(inside);
        self.world.network.set_links(id, link, link);
        (id, inside)
    }
}

impl Seat {
    /// PATCHes the credentials of `offer`, and puts the server's into the answer.
    fn restart(&mut self, server: &mut Server, now: Instant, offer: &str) {
        let fragment = format!(
            "a=ice-ufrag:{}\r\na=ice-pwd:{}\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n",
            value(offer, UFRAG),
            value(offer, PWD),
        );
        let reply = server.patch(now, &self.location, "application/trickle-ice-sdpfrag", &fragment);
        let body = String::from_utf8_lossy(&reply.body);
        assert_eq!(reply.status, 200, "{body}");
        for name in [UFRAG, PWD] {
            let (before, after) = (value(&self.answer, name).to_owned(), value(&body, name));
            self.answer = self.answer.replace(&format!("{name}{before}\r\n"), &format!("{name}{after}\r\n"));
        }
    }
}

const UFRAG: &str = "a=ice-ufrag:";
const PWD: &str = "a=ice-pwd:";

/// What follows `name` in the first line that begins with it.
fn value<'a>(sdp: &'a str, name: &str) -> &'a str {
    sdp.lines().find_map(|line| line.strip_prefix(name)).expect("SDP with ICE")
}

fn accepted(reply: &Reply) -> Seat {
    let answer = String::from_utf8_lossy(&reply.body).into_owned();
    assert_eq!(reply.status, 201, "{answer}");
    Seat { answer, location: reply.header("Location").expect("a 201 has a Location").to_owned() }
}
