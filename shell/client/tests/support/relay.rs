//! The media side of a small server: ICE-lite, one socket, what the publisher sends goes to every viewer.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::{Duration, Instant};
use str0m::change::SdpOffer;
use str0m::format::PayloadParams;
use str0m::media::{KeyframeRequestKind, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{RtpPacket, RtpWrite};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Publisher,
    Viewer,
}

enum Command {
    Join { id: u32, role: Role, offer: String, answer: Sender<String> },
    Leave { id: u32 },
}

/// Stops when it is dropped.
pub struct Relay {
    commands: Sender<Command>,
    sessions: u32,
    on_air: Arc<AtomicBool>,
}

impl Relay {
    pub fn start() -> Self {
        let (commands, inbox) = channel();
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.set_read_timeout(Some(Duration::from_millis(2))).expect("not zero");
        let on_air = Arc::new(AtomicBool::new(false));
        let room = Room { socket, peers: Vec::new(), on_air: on_air.clone() };
        std::thread::spawn(move || room.run(&inbox));
        Self { commands, sessions: 0, on_air }
    }

    /// Whether packets of a publisher have come: who joins now, joins in the middle.
    pub fn is_on_air(&self) -> bool {
        self.on_air.load(Ordering::Relaxed)
    }

    /// The session's number and the answer.
    pub fn join(&mut self, role: Role, offer: &str) -> (u32, String) {
        self.sessions += 1;
        let (answer, answered) = channel();
        let join = Command::Join { id: self.sessions, role, offer: offer.to_owned(), answer };
        self.commands.send(join).expect("the room is open");
        (self.sessions, answered.recv().expect("an answer"))
    }

    pub fn leave(&mut self, id: u32) {
        self.commands.send(Command::Leave { id }).expect("the room is open");
    }
}

struct Room {
    socket: UdpSocket,
    peers: Vec<Peer>,
    on_air: Arc<AtomicBool>,
}

struct Peer {
    id: u32,
    role: Role,
    rtc: Rtc,
    mids: Vec<(MediaKind, Mid)>,
}

#[derive(Default)]
struct Post {
    packets: Vec<(PayloadParams, RtpPacket)>,
    keyframe_wanted: bool,
}

impl Room {
    fn run(mut self, inbox: &Receiver<Command>) {
        let here = self.socket.local_addr().expect("bound");
        let mut buffer = [0; 2048];
        loop {
            match inbox.try_recv() {
                Ok(command) => self.on_command(here, command),
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => return,
            }
            let received = self.socket.recv_from(&mut buffer).ok();
            let now = Instant::now();
            let mut post = Post::default();
            if let Some((len, source)) = received
                && let Ok(receive) = Receive::new(Protocol::Udp, source, here, &buffer[..len])
            {
                let input = Input::Receive(now, receive);
                if let Some(peer) = self.peers.iter_mut().find(|peer| peer.rtc.accepts(&input)) {
                    let _ = peer.rtc.handle_input(input);
                    peer.drain(&self.socket, &mut post);
                }
            }
            for peer in &mut self.peers {
                let _ = peer.rtc.handle_input(Input::Timeout(now));
                peer.drain(&self.socket, &mut post);
            }
            self.deliver(now, &post);
        }
    }

    fn on_command(&mut self, here: SocketAddr, command: Command) {
        match command {
            Command::Join { id, role, offer, answer } => {
                let config = RtcConfig::new().set_ice_lite(true).set_rtp_mode(true);
                let mut rtc = config.build(Instant::now());
                rtc.add_local_candidate(Candidate::host(here, "udp").expect("an address"));
                let offer = SdpOffer::from_sdp_string(&offer).expect("an offer");
                let sdp = rtc.sdp_api().accept_offer(offer).expect("a usable offer").to_sdp_string();
                let mut peer = Peer { id, role, rtc, mids: Vec::new() };
                peer.drain(&self.socket, &mut Post::default());
                self.peers.push(peer);
                answer.send(sdp).expect("somebody waits");
            }
            Command::Leave { id } => self.peers.retain(|peer| peer.id != id),
        }
    }

    fn deliver(&mut self, now: Instant, post: &Post) {
        self.on_air.fetch_or(!post.packets.is_empty(), Ordering::Relaxed);
        for peer in &mut self.peers {
            match peer.role {
                Role::Viewer => {
                    post.packets.iter().for_each(|(format, packet)| peer.forward(now, *format, packet))
                }
                Role::Publisher if post.keyframe_wanted => peer.ask_for_keyframe(),
                Role::Publisher => {}
            }
            peer.drain(&self.socket, &mut Post::default());
        }
    }
}

impl Peer {
    fn drain(&mut self, socket: &UdpSocket, post: &mut Post) {
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Transmit(transmit)) => {
                    let _ = socket.send_to(&transmit.contents, transmit.destination);
                }
                Ok(Output::Event(Event::MediaAdded(added))) => self.mids.push((added.kind, added.mid)),
                Ok(Output::Event(Event::KeyframeRequest(_))) => post.keyframe_wanted = true,
                // As every server does for a viewer who joins in the middle.
                Ok(Output::Event(Event::Connected)) => post.keyframe_wanted |= self.role == Role::Viewer,
                Ok(Output::Event(Event::RtpPacket(packet))) => {
                    let params = self.rtc.codec_config().params();
                    let params = params.iter().find(|params| params.pt() == packet.header.payload_type);
                    post.packets.push((*params.expect("a negotiated format"), packet));
                }
                Ok(Output::Event(_)) => {}
                Ok(Output::Timeout(_)) | Err(_) => return,
            }
        }
    }

    /// Under the number that the viewer has for the publisher's format.
    fn forward(&mut self, now: Instant, format: PayloadParams, packet: &RtpPacket) {
        let kind = format.spec().codec.kind();
        let Some((_, mid)) = self.mids.iter().find(|(of, _)| *of == kind) else { return };
        let Some(pt) = self.rtc.codec_config().match_params(format).map(|params| params.pt()) else { return };
        if let Some(stream) = self.rtc.direct_api().stream_tx_by_mid(*mid, None) {
            let header = &packet.header;
            let seq = u64::from(header.sequence_number).into();
            let write = RtpWrite::new(pt, seq, header.timestamp, now, packet.payload.clone());
            stream.write_rtp(write.marker(header.marker).nackable(kind == MediaKind::Video));
        }
        let _ = self.rtc.handle_input(Input::Timeout(now));
    }

    fn ask_for_keyframe(&mut self) {
        if let Some((_, mid)) = self.mids.iter().find(|(of, _)| *of == MediaKind::Video)
            && let Some(stream) = self.rtc.direct_api().stream_rx_by_mid(*mid, None)
        {
            stream.request_keyframe(KeyframeRequestKind::Pli);
        }
    }
}
