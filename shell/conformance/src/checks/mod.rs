//! The checks, as data: a row, where it is looked at, and the function that looks.

mod auth;
mod events;
mod http;
mod live;
mod others;
mod restart;
mod sdp;
mod sdp_more;
mod session;
mod whep;
mod whip;

use crate::ctx::{Ctx, Door};
use crate::verdict::Outcome;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

type Running = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// One check of one row.
#[derive(Clone)]
pub(crate) struct Check {
    pub row: &'static str,
    pub doors: &'static [Door],
    /// Only where the operator wants the server to be strained.
    pub heavy: bool,
    pub run: fn(Arc<Ctx>) -> Running,
}

const WHIP: &[Door] = &[Door::Whip];
const WHEP: &[Door] = &[Door::Whep];
const BOTH: &[Door] = &[Door::Whip, Door::Whep];

macro_rules! table {
    ($($doors:ident $row:literal $run:path $(, $heavy:ident)?;)*) => {
        vec![$(Check {
            row: $row,
            doors: $doors,
            heavy: false $(|| { let $heavy = true; $heavy })?,
            run: |ctx| Box::pin($run(ctx)),
        }),*]
    };
}

/// All checks, in the order of their rows.
pub(crate) fn all() -> Vec<Check> {
    table! {
        WHIP "HTTP-01" http::http_01_tls;
        BOTH "HTTP-02" http::http_02_media_types;
        BOTH "HTTP-03" http::http_03_wrong_media_types;
        BOTH "HTTP-04" http::http_04_unreadable_or_unacceptable;
        WHIP "HTTP-05" http::http_05_bounded_bodies;
        BOTH "HTTP-06" http::http_06_problem_details;
        BOTH "HTTP-07" http::http_07_get;
        BOTH "HTTP-08" http::http_08_head;
        BOTH "HTTP-09" http::http_09_allow;
        BOTH "HTTP-10" http::http_10_options;
        BOTH "HTTP-11" http::http_11_accept_patch;
        WHIP "HTTP-12" http::http_12_framing;
        WHIP "HTTP-13" http::http_13_contradicting_lengths;
        WHIP "HTTP-14" others::http_14_flood, heavy;
        WHIP "HTTP-15" http::http_15_stall;
        BOTH "HTTP-16" http::http_16_no_store;
        WHIP "HTTP-17" http::http_17_odd_names;
        WHIP "WHIP-01" whip::whip_01_created;
        WHIP "WHIP-02" whip::whip_02_type;
        WHIP "WHIP-03" whip::whip_03_location;
        WHIP "WHIP-04" whip::whip_04_path;
        WHIP "WHIP-05" whip::whip_05_unguessable;
        WHIP "WHIP-06" whip::whip_06_entity_tag;
        WHIP "WHIP-07" whip::whip_07_lines;
        WHIP "WHIP-08" whip::whip_08_length;
        WHIP "WHIP-09" whip::whip_09_broken_offers;
        WHIP "WHIP-10" whip::whip_10_too_many;
        WHIP "WHIP-11" whip::whip_11_no_half_answers;
        WHIP "WHIP-12" whip::whip_12_candidates;
        WHIP "WHIP-13" whip::whip_13_no_candidates;
        WHIP "WHIP-14" whip::whip_14_soon;
        WHIP "WHIP-15" whip::whip_15_second_publisher;
        WHIP "WHIP-16" whip::whip_16_vanished;
        WHIP "WHIP-17" whip::whip_17_after_a_failure;
        BOTH "SESS-01" session::sess_01_trickle;
        BOTH "SESS-02" session::sess_02_broken_fragments;
        BOTH "SESS-03" session::sess_03_no_tag;
        BOTH "SESS-04" session::sess_04_outdated_tag;
        BOTH "SESS-05" session::sess_05_star;
        BOTH "SESS-06" session::sess_06_lists_and_weak_tags;
        BOTH "SESS-07" session::sess_07_odd_tags;
        BOTH "SESS-08" session::sess_08_unusable_candidates;
        BOTH "SESS-09" session::sess_09_unknown_parts;
        BOTH "SESS-10" session::sess_10_pseudo_media_lines;
        BOTH "SESS-11" session::sess_11_levels;
        BOTH "SESS-12" session::sess_12_twice;
        BOTH "SESS-13" session::sess_13_end_of_candidates;
        BOTH "SESS-14" session::sess_14_other_mids;
        BOTH "SESS-15" restart::sess_15_restart;
        BOTH "SESS-16" restart::sess_16_reply;
        BOTH "SESS-17" restart::sess_17_old_ones;
        WHIP "SESS-18" restart::sess_18_media_goes_on;
        BOTH "SESS-19" restart::sess_19_failed_restart;
        BOTH "SESS-20" restart::sess_20_tags;
        BOTH "SESS-21" session::sess_21_half_a_restart;
        BOTH "SESS-22" session::sess_22_grammar;
        BOTH "SESS-23" restart::sess_23_overlapping;
        BOTH "SESS-24" restart::sess_24_missing_half;
        BOTH "SESS-25" session::sess_25_delete;
        BOTH "SESS-26" session::sess_26_delete_and_tags;
        WHIP "SESS-27" live::sess_27_goodbye;
        BOTH "SESS-28" live::sess_28_silence;
        WHIP "SESS-29" auth::sess_29_other_credentials;
        BOTH "SESS-30" session::sess_30_at_once;
        BOTH "SDP-01" sdp::sdp_01_media_lines;
        BOTH "SDP-02" sdp::sdp_02_line_feeds;
        BOTH "SDP-03" sdp::sdp_03_levels;
        WHIP "SDP-04" sdp::sdp_04_bundle_only;
        BOTH "SDP-05" sdp::sdp_05_bundle;
        BOTH "SDP-06" sdp::sdp_06_group;
        BOTH "SDP-07" sdp::sdp_07_ports;
        BOTH "SDP-08" sdp::sdp_08_rtcp_mux;
        BOTH "SDP-09" sdp::sdp_09_mux_only;
        BOTH "SDP-10" sdp::sdp_10_setup;
        BOTH "SDP-11" sdp::sdp_11_fingerprint;
        BOTH "SDP-12" sdp::sdp_12_hashes;
        BOTH "SDP-13" sdp::sdp_13_tls_id;
        BOTH "SDP-14" sdp::sdp_14_lite;
        BOTH "SDP-15" sdp::sdp_15_ice_options;
        BOTH "SDP-16" sdp::sdp_16_candidates;
        BOTH "SDP-17" sdp::sdp_17_first_section;
        WHIP "SDP-18" sdp::sdp_18_public_address;
        WHIP "SDP-19" sdp_more::sdp_19_directions;
        WHIP "SDP-20" sdp_more::sdp_20_one_stream;
        BOTH "SDP-21" sdp_more::sdp_21_formats;
        WHIP "SDP-22" sdp_more::sdp_22_codecs;
        BOTH "SDP-23" sdp_more::sdp_23_h264;
        WHIP "SDP-24" sdp_more::sdp_24_opus;
        WHIP "SDP-25" sdp_more::sdp_25_parameters;
        BOTH "SDP-26" sdp_more::sdp_26_extensions;
        BOTH "SDP-27" sdp_more::sdp_27_feedback;
        BOTH "SDP-28" sdp_more::sdp_28_rtx;
        WHIP "SDP-29" sdp_more::sdp_29_simulcast;
        WHIP "SDP-30" sdp_more::sdp_30_odd_simulcast;
        WHIP "SDP-31" sdp_more::sdp_31_crypto;
        WHIP "SDP-32" sdp_more::sdp_32_data_channel;
        WHIP "SDP-33" sdp_more::sdp_33_lip_sync;
        WHEP "WHEP-01" whep::whep_01_created;
        WHEP "WHEP-02" whep::whep_02_directions;
        WHEP "WHEP-03" whep::whep_03_no_msid;
        WHEP "WHEP-04" whep::whep_04_media_stream;
        WHEP "WHEP-05" whep::whep_05_ssrcs;
        WHEP "WHEP-06" whep::whep_06_missing_kind;
        WHEP "WHEP-07" whep::whep_07_no_common_codec;
        WHEP "WHEP-08" whep::whep_08_codec_order;
        WHEP "WHEP-09" whep::whep_09_idle;
        WHEP "WHEP-10" whep::whep_10_waiting;
        WHEP "WHEP-11" whep::whep_11_unknown;
        WHEP "WHEP-12" whep::whep_12_head;
        WHEP "WHEP-13" whep::whep_13_counter_offer;
        WHEP "WHEP-14" whep::whep_14_proper_offer;
        WHEP "WHEP-15" whep::whep_15_expiry;
        WHEP "WHEP-16" whep::whep_16_answer_by_patch;
        WHEP "WHEP-17" whep::whep_17_first_picture;
        WHEP "WHEP-18" whep::whep_18_grace;
        WHEP "WHEP-19" whep::whep_19_session;
        WHEP "WHEP-20" whep::whep_20_no_renegotiation;
        WHEP "WHEP-21" events::whep_21_link;
        WHEP "WHEP-22" events::whep_22_made;
        WHEP "WHEP-23" events::whep_23_stream;
        WHEP "WHEP-24" events::whep_24_publisher;
        WHEP "WHEP-25" events::whep_25_viewers;
        WHEP "WHEP-26" events::whep_26_ends;
        WHEP "WHEP-27" events::whep_27_both_links;
        WHEP "WHEP-28" events::whep_28_layers;
        WHEP "WHEP-29" events::whep_29_choice;
        BOTH "AUTH-01" auth::auth_01_bearer;
        BOTH "AUTH-02" auth::auth_02_challenges;
        BOTH "AUTH-03" auth::auth_03_first_of_all;
        WHIP "AUTH-04" auth::auth_04_session;
        BOTH "AUTH-05" auth::auth_05_not_wanted;
        WHIP "AUTH-06" auth::auth_06_scopes;
        BOTH "AUTH-08" auth::auth_08_not_shown;
        BOTH "AUTH-09" auth::auth_09_preflight;
        BOTH "AUTH-10" auth::auth_10_readable;
        BOTH "AUTH-11" auth::auth_11_origin_null;
        BOTH "AUTH-12" auth::auth_12_links;
        BOTH "AUTH-13" auth::auth_13_alphabet;
        BOTH "AUTH-14" auth::auth_14_options;
        BOTH "AUTH-15" live::auth_15_unproven;
        BOTH "AUTH-16" live::auth_16_connects_to_nobody;
        WHIP "AUTH-17" live::auth_17_garbage;
        WHIP "LB-01" others::lb_01_redirect;
        WHIP "LB-03" others::lb_03_whole_urls;
        BOTH "LB-04" others::lb_04_no_redirects;
        WHIP "LB-05" others::lb_05_overload, heavy;
        BOTH "EXT-01" others::ext_01_links;
        WHEP "EXT-02" others::ext_02_without;
        BOTH "EXT-03" others::ext_03_names;
        WHEP "EXT-04" events::ext_04_rights;
        BOTH "LIVE-02" live::live_02_integrity;
        WHIP "LIVE-03" live::live_03_bare_requests;
        WHIP "LIVE-04" live::live_04_unknown_address;
        WHIP "LIVE-05" live::live_05_roles;
        WHEP "LIVE-06" live::live_06_moving;
        WHIP "LIVE-07" live::live_07_first_byte;
        WHIP "LIVE-09" live::live_09_wrong_certificate;
        WHIP "LIVE-10" live::live_10_client_hello;
        WHIP "LIVE-12" live::live_12_consent;
        WHEP "LIVE-14" live::live_14_silent_viewer;
        BOTH "LIVE-15" live::live_15_goodbye;
        WHIP "LIVE-16" live::live_16_never_connected;
        WHEP "LIVE-17" live::live_17_told;
        WHIP "LIVE-18" live::live_18_tcp;
        WHIP "LIVE-19" live::live_19_ipv6;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_check_has_a_row_and_no_row_two_checks() {
        let checks = all();
        let rows: BTreeSet<_> = checks.iter().map(|check| check.row).collect();
        assert_eq!(rows.len(), checks.len());
        for row in rows {
            assert!(crate::rows::row(row).is_some(), "{row}");
        }
        let heavy: Vec<_> = checks.iter().filter(|check| check.heavy).map(|check| check.row).collect();
        assert_eq!(heavy, ["HTTP-14", "LB-05"]);
    }
}
