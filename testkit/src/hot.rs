//! One publisher and many viewers at the live edge, for benchmarks: frames of equal packets go in, one pass at a time.
//! And the bare limit beside it, which seals as many packets of the same size with as many keys.

use crate::clock::{ms, secs};
use crate::link::Link;
use crate::network::Delivery;
use crate::publisher::Script;
use crate::show::Show;
use crate::world::Endpoint;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
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
}

impl HotStream {
    /// Everybody is connected and has caught up.
    pub fn new(viewers: usize) -> Self {
        let script = Script {
            audio: false,
            keyframe_every: 0,
            key_packets: FRAME_PACKETS as u16,
            delta_packets: FRAME_PACKETS as u16,
            payload_len: PAYLOAD_LEN,
            ..Script::CAMERA
        };
        let mut show = Show::new(1, 1);
        let camera = show.publish("live", script);
        show.run(ms(500));
        for _ in 0..viewers {
            show.watch("live", Link::PERFECT);
        }
        show.run(secs(4));
        Self { show, camera }
    }

    /// The datagrams of the publisher's next frame.
    ///
    /// # Panics
    /// If the publisher has ended.
    pub fn frame(&mut self) -> Vec<Delivery> {
        let show = &mut self.show;
        let (to, destination) = (show.server.id(), show.server.address());
        let source = show.world.network.outside(show.publisher_id(self.camera));
        loop {
            let next = show.publisher(self.camera).next_timeout().expect("it goes on");
            show.world.advance_to(next);
            let publisher = show.publisher(self.camera);
            publisher.handle_timeout(next);
            let sent: Vec<_> =
                std::iter::from_fn(|| publisher.poll_transmit()).map(|(_, bytes)| bytes).collect();
            let (media, rest): (Vec<_>, Vec<_>) =
                sent.into_iter().partition(|bytes| bytes.len() > PAYLOAD_LEN);
            let deliver = |bytes| Delivery { to, source, destination, bytes };
            // Its reports and checks, outside of what is measured.
            let now = show.world.now();
            show.server.pass_discarding(now, &mut rest.into_iter().map(deliver).collect::<Vec<_>>());
            if media.len() == FRAME_PACKETS {
                return media.into_iter().map(deliver).collect();
            }
        }
    }

    /// One pass of the shard over what [`Self::frame`] gave.
    pub fn pass(&mut self, frame: &mut [Delivery], egress: &mut dyn Egress) {
        self.show.server.pass_into(self.show.world.now(), frame, egress);
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
