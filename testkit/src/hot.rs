//! One publisher and many viewers at the live edge, for benchmarks: frames of equal packets go in, one pass at a time.
//! And the bare limit beside it, which seals as many packets of the same size with as many keys.

use crate::clock::{ms, secs};
use crate::link::Link;
use crate::network::Delivery;
use crate::publisher::Script;
use crate::show::Show;
use crate::world::Endpoint;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use std::time::Duration;
use wtn_engine::Egress;

/// Packets of a frame.
pub const FRAME_PACKETS: usize = 9;
/// Bytes of a packet on its way to a viewer: header, MID, payload and tag.
pub const DATAGRAM_LEN: usize = HEADER_LEN + PAYLOAD_LEN + TAG_LEN;

const PAYLOAD_LEN: usize = 1164;
const HEADER_LEN: usize = 20;
const TAG_LEN: usize = 16;

/// A real publisher (str0m) and real viewers of a real server of one shard.
pub struct HotStream {
    show: Show,
    camera: usize,
    scene: Scene,
}

/// What a pass finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scene {
    /// Packets of one length.
    Equal,
    /// A byte apart, as libwebrtc's rounding makes them.
    Uneven,
    /// The same, and a packet of sound among them.
    UnevenWithSound,
}

impl HotStream {
    /// Everybody is connected and has caught up; packets are equal.
    pub fn new(viewers: usize) -> Self {
        Self::with(viewers, Scene::Equal)
    }

    /// The same with another scene.
    pub fn with(viewers: usize, scene: Scene) -> Self {
        let script = Script {
            audio: scene == Scene::UnevenWithSound,
            keyframe_every: 0,
            key_packets: FRAME_PACKETS as u16,
            delta_packets: FRAME_PACKETS as u16,
            payload_len: PAYLOAD_LEN,
            is_uneven: scene != Scene::Equal,
            ..Script::CAMERA
        };
        let mut show = Show::new(1, 1);
        let camera = show.publish("live", script);
        show.run(ms(500));
        for _ in 0..viewers {
            show.watch("live", Link::PERFECT);
            // Their timers are as far apart as those of a real crowd.
            show.run(ms(3));
        }
        show.run(secs(4));
        Self { show, camera, scene }
    }

    /// The datagrams of the publisher's next frame.
    ///
    /// # Panics
    /// If the publisher has ended.
    pub fn frame(&mut self) -> Vec<Delivery> {
        let (mut frame, mut sound) = (Vec::new(), Vec::new());
        while frame.is_empty() || self.scene == Scene::UnevenWithSound && sound.is_empty() {
            let packets = self.show.next_packets(self.camera, 1);
            let (picture, rest): (Vec<_>, Vec<_>) =
                packets.into_iter().partition(|delivery| delivery.bytes.len() > PAYLOAD_LEN);
            if !picture.is_empty() {
                // One that has to wait for sound is left out.
                self.show.server.pass_discarding(self.show.world.now(), 0, &mut frame);
                frame = picture;
            }
            sound.extend(rest);
        }
        sound.truncate(1);
        frame.splice(FRAME_PACKETS / 2..FRAME_PACKETS / 2, sound);
        // What time demands, outside of what is measured.
        self.show.server.pass_discarding(self.show.world.now(), 0, &mut []);
        frame
    }

    /// One pass of the shard over what [`Self::frame`] gave.
    pub fn pass(&mut self, frame: &mut [Delivery], egress: &mut dyn Egress) {
        self.show.server.pass_into(self.show.world.now(), 0, frame, egress);
    }

    /// The publisher is silent from now on.
    pub fn pause(&mut self) {
        self.show.publisher(self.camera).pause(true);
        self.show.run(secs(2));
    }

    /// Lets the server, and nobody else, live for that long; `call` makes each pass. The answer counts them.
    pub fn idle(&mut self, duration: Duration, mut call: impl FnMut(&mut dyn FnMut())) -> u64 {
        let until = self.show.world.now() + duration;
        let mut passes = 0;
        while let Some(next) = self.show.server.next_timeout().filter(|next| *next < until) {
            self.show.world.advance_to(next);
            let server = &mut self.show.server;
            call(&mut || server.handle_timeout(next));
            while server.poll_transmit().is_some() {}
            passes += 1;
        }
        passes
    }
}

/// Sealing alone: the shared payload into each viewer's slot.
pub struct BareSealing {
    keys: Vec<LessSafeKey>,
    payloads: Vec<Vec<u8>>,
    run: Vec<u8>,
    count: u64,
}

impl BareSealing {
    /// As many keys.
    ///
    /// # Panics
    /// If the cryptographic library refuses a key.
    pub fn new(viewers: usize) -> Self {
        let key = |at: usize| {
            let mut bytes = [7; 32];
            bytes[..8].copy_from_slice(&at.to_le_bytes());
            LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &bytes).expect("a key of 256 bits"))
        };
        Self {
            keys: (0..viewers).map(key).collect(),
            payloads: vec![vec![1; PAYLOAD_LEN]; FRAME_PACKETS],
            run: vec![0; DATAGRAM_LEN * FRAME_PACKETS],
            count: 0,
        }
    }

    /// One frame for everybody, each viewer's run to `send` with the viewer's number.
    ///
    /// # Panics
    /// If the cryptographic library refuses to seal.
    pub fn frame(&mut self, mut send: impl FnMut(usize, &[u8])) {
        for (viewer, key) in self.keys.iter().enumerate() {
            for (payload, slot) in self.payloads.iter().zip(self.run.chunks_mut(DATAGRAM_LEN)) {
                self.count += 1;
                let mut nonce = [0; 12];
                nonce[4..].copy_from_slice(&self.count.to_be_bytes());
                let (header, body) = slot.split_at_mut(HEADER_LEN);
                let (body, tag) = body.split_at_mut(PAYLOAD_LEN);
                let nonce = Nonce::assume_unique_for_key(nonce);
                key.seal_out_of_place_scatter(nonce, Aad::from(&*header), payload, body, &[], tag)
                    .expect("room for all of it");
            }
            send(viewer, &self.run);
        }
    }
}
