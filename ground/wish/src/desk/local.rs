//! Our end of a new session: its secrets, its numbers, and where to reach it.

use super::{Desk, redirect};
use crate::token::{self, Secret};
use crate::{Random, Request};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use wtn_media::Ssrc;
use wtn_sdp::Local;

impl Desk {
    /// Our end of a new session.
    pub(super) fn local(&self, name: &str, reached_by: Option<IpAddr>, random: &mut dyn Random) -> Local {
        let mut bytes = [0; 24];
        random.fill(&mut bytes);
        let (ids, session) = bytes.split_at(16);
        Local {
            ice: token::ice_credentials(random),
            fingerprint: self.config.fingerprint.clone(),
            candidates: self.candidates(reached_by),
            tcp: self.config.tcp,
            sdp_session: session.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte)),
            cname: token::hex::<8>(random),
            tls_id: token::hex::<16>(random),
            msid: name.to_owned(),
            ssrcs: ssrcs(ids),
        }
    }

    /// Where to reach us, best first: the address by which this client did, then all we know.
    pub(super) fn candidates(&self, reached_by: Option<IpAddr>) -> Vec<SocketAddr> {
        let at_port = |ip| SocketAddr::new(ip, self.config.media_port);
        let mut candidates: Vec<SocketAddr> = reached_by
            .map(|ip| ip.to_canonical())
            .filter(is_usable)
            .into_iter()
            .flat_map(|ip| {
                // Who came by ::1 can do the other loopback too, which every client speaks.
                let v4 = (ip.is_loopback() && ip.is_ipv6()).then_some(IpAddr::V4(Ipv4Addr::LOCALHOST));
                v4.into_iter().chain([ip])
            })
            .map(at_port)
            .collect();
        for address in &self.config.candidates {
            if !candidates.contains(address) {
                candidates.push(*address);
            }
        }
        candidates
    }

    /// The URL of a session: a path, the one form that every client resolves (checklist, WHIP-04). It is absolute if
    /// the operator says under which address this server is known, and for clients that were sent here from elsewhere:
    /// they resolve a path against the URL that they asked first.
    pub(super) fn location(&self, secret: Secret, request: &Request<'_>) -> String {
        let base = match &self.config.public_url {
            Some(url) => url,
            None if redirect::is_redirected(request) => request.base_url.unwrap_or_default(),
            None => "",
        };
        format!("{}/session/{}", base.trim_end_matches('/'), secret.text())
    }
}

/// Four different SSRCs, none of them 0, of 16 random bytes.
fn ssrcs(random: &[u8]) -> [(Ssrc, Ssrc); 2] {
    let mut chosen = [0u32; 4];
    for (index, four) in random.chunks_exact(4).take(4).enumerate() {
        let mut ssrc = four.iter().fold(0, |number: u32, byte| (number << 8) | u32::from(*byte));
        while ssrc == 0 || chosen[..index].contains(&ssrc) {
            ssrc = ssrc.wrapping_add(1);
        }
        chosen[index] = ssrc;
    }
    let [audio, audio_rtx, video, video_rtx] = chosen.map(Ssrc);
    [(audio, audio_rtx), (video, video_rtx)]
}

/// An address that a client can send to. Link-local IPv6 would need the client's own zone.
fn is_usable(ip: &IpAddr) -> bool {
    let is_link_local = matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local());
    let is_broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    !ip.is_unspecified() && !ip.is_multicast() && !is_link_local && !is_broadcast
}
