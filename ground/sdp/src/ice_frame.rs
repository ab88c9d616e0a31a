//! What an ICE restart repeats of the answer: `application/trickle-ice-sdpfrag` (RFC 8840 §9), as a reply to PATCH.

use crate::Offer;
use crate::plan::Choice;
use crate::write::{Sdp, candidate_lines, candidates, ice_abilities, line, spaced};
use std::net::SocketAddr;
use wtn_media::{IceCredentials, MediaKind, Mid};

/// The part of an answer that stays when its ICE begins anew: where credentials and candidates belong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IceFrame {
    /// The bundle; empty where nothing is bundled.
    bundle: Vec<Mid>,
    /// The section that speaks for all, and its name if the offer gave it one.
    kind: MediaKind,
    mid: Option<Mid>,
    /// The offer named the ICE option.
    trickle: bool,
}

impl IceFrame {
    pub(crate) fn of(offer: &Offer, choice: &Choice) -> Self {
        let tagged = choice.tagged();
        Self {
            bundle: choice.bundle.clone(),
            kind: tagged.track.kind,
            mid: offer.sections[tagged.index].mid,
            trickle: offer.trickle,
        }
    }

    /// The fragment that tells a client our new credentials and every candidate, by TCP too if `tcp` (RFC 9725 §4.3.3), in the places
    /// and with the abilities that the answer had. CRLF lines, which is what clients split it by.
    pub fn fragment(&self, ice: &IceCredentials, addresses: &[SocketAddr], tcp: bool) -> String {
        let mut sdp = Sdp(String::with_capacity(512));
        ice_abilities(&mut sdp, self.trickle);
        if !self.bundle.is_empty() {
            line!(sdp, "a=group:BUNDLE {}", spaced(&self.bundle));
        }
        // RFC 8840 §4.4: only the kind says anything, and the mid below it.
        line!(sdp, "m={} 9 UDP/TLS/RTP/SAVPF 0", self.kind);
        if let Some(mid) = self.mid {
            line!(sdp, "a=mid:{mid}");
        }
        line!(sdp, "a=ice-ufrag:{}", ice.ufrag);
        line!(sdp, "a=ice-pwd:{}", ice.pwd);
        candidate_lines(&mut sdp, &candidates(addresses), tcp);
        sdp.0
    }
}
