//! `a=rid` and `a=simulcast` (RFC 8851, RFC 8853): which encodings a publisher will send.

use crate::lines::Attribute;
use wtn_media::{PayloadType, Rid};

/// One encoding that a publisher offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OfferedRid {
    pub rid: Rid,
    /// `pt=`: the payload types it is bound to; empty for any.
    pub payload_types: Vec<PayloadType>,
    /// The other restrictions, to be repeated in the answer (RFC 8851 §6.3).
    pub restrictions: String,
}

/// Encodings per track. Three are usual, browsers stop at four.
const RIDS_MAX: usize = 8;

/// Longest restrictions that are repeated; longer ones cost their rid.
const RESTRICTIONS_LEN_MAX: usize = 100;

/// The encodings of a section in the offer's order, which is the order of preference (RFC 8853 §5.2). Empty
/// if there is no simulcast, or if it is ambiguous: two `a=simulcast` lines.
pub(crate) fn read(attributes: &[Attribute<'_>]) -> Vec<OfferedRid> {
    let mut lines = attributes.iter().filter(|attribute| attribute.is("simulcast"));
    let (Some(simulcast), None) = (lines.next(), lines.next()) else { return Vec::new() };
    let Some(list) = send_list(simulcast.value) else { return Vec::new() };
    let rids = rid_lines(attributes);
    let mut chosen: Vec<OfferedRid> = Vec::new();
    for alternatives in list.split(';') {
        // `~` starts a paused one; of several alternatives the first is the best liked.
        let mut names = alternatives.split(',').map(|name| name.trim().trim_start_matches('~'));
        let found = names.find_map(|name| rids.iter().find(|offered| offered.rid.as_str() == name));
        if let Some(found) = found.filter(|found| !chosen.contains(found))
            && chosen.len() < RIDS_MAX
        {
            chosen.push(found.clone());
        }
    }
    chosen
}

/// The list behind `send` of `send 1;2 recv 3` (RFC 8853 §5.1), in either order.
fn send_list(value: &str) -> Option<&str> {
    let mut words = value.split_ascii_whitespace();
    while let Some(direction) = words.next() {
        let list = words.next()?;
        if direction.eq_ignore_ascii_case("send") {
            return Some(list);
        }
    }
    None
}

/// The well-formed `a=rid:<id> send [restrictions]` lines; an id that comes twice is dropped (RFC 8851 §6.2.2).
fn rid_lines(attributes: &[Attribute<'_>]) -> Vec<OfferedRid> {
    let mut rids: Vec<(&str, Option<OfferedRid>)> = Vec::new();
    for attribute in attributes.iter().filter(|attribute| attribute.is("rid")) {
        let (name, rest) = attribute.value.split_once(' ').unwrap_or((attribute.value, ""));
        if let Some((_, duplicate)) = rids.iter_mut().find(|(seen, _)| *seen == name) {
            *duplicate = None;
        } else if rids.len() < 2 * RIDS_MAX {
            rids.push((name, rid_line(name, rest)));
        }
    }
    rids.into_iter().filter_map(|(_, rid)| rid).collect()
}

fn rid_line(name: &str, rest: &str) -> Option<OfferedRid> {
    let rid = Rid::new(name)?;
    let (direction, restrictions) = rest.trim().split_once(' ').unwrap_or((rest.trim(), ""));
    if !direction.eq_ignore_ascii_case("send") {
        return None;
    }
    let is_plain = restrictions.len() <= RESTRICTIONS_LEN_MAX
        && restrictions.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if !is_plain {
        return None;
    }
    let mut payload_types = Vec::new();
    let mut others = Vec::new();
    for restriction in restrictions.split(';').map(str::trim).filter(|text| !text.is_empty()) {
        match restriction.strip_prefix("pt=") {
            Some(list) => {
                let read: Option<Vec<_>> =
                    list.split(',').map(|text| text.trim().parse().ok().and_then(PayloadType::new)).collect();
                payload_types = read?;
            }
            None => others.push(restriction),
        }
    }
    Some(OfferedRid { rid, payload_types, restrictions: others.join(";") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rids(lines: &[&str]) -> Vec<String> {
        let attributes: Vec<_> = lines.iter().map(|line| Attribute::new(line)).collect();
        read(&attributes).into_iter().map(|offered| offered.rid.to_string()).collect()
    }

    #[test]
    fn sdp_29_rids_keep_the_order_of_the_simulcast_line() {
        assert_eq!(
            rids(&["rid:0 send", "rid:1 send", "rid:2 send", "simulcast:send 0;1;2"]),
            ["0", "1", "2"]
        );
        assert_eq!(rids(&["rid:h send", "rid:l send", "simulcast:recv x send l;h"]), ["l", "h"]);
    }

    #[test]
    fn sdp_30_malformed_and_duplicate_rids_are_dropped() {
        assert_eq!(rids(&["rid:a send", "rid:b send", "rid:b send", "simulcast:send a;b"]), ["a"]);
        assert_eq!(rids(&["rid:a send", "rid:b", "rid:c recv", "rid: send", "simulcast:send a;b;c"]), ["a"]);
        assert_eq!(rids(&["rid:a send pt=300", "rid:b send max-fs=\u{7f}", "simulcast:send a;b"]).len(), 0);
    }

    #[test]
    fn sdp_30_two_simulcast_lines_disable_simulcast() {
        assert!(rids(&["rid:a send", "simulcast:send a", "simulcast:send a"]).is_empty());
        assert!(rids(&["rid:a send"]).is_empty());
        assert!(rids(&["rid:a send", "simulcast:recv a"]).is_empty());
        assert!(rids(&["rid:a send", "simulcast:send"]).is_empty());
    }

    #[test]
    fn sdp_30_alternatives_and_paused_ones_are_read() {
        assert_eq!(rids(&["rid:1 send", "rid:2 send", "rid:3 send", "simulcast:send 1,2;~3"]), ["1", "3"]);
        assert_eq!(rids(&["rid:2 send", "rid:3 send", "simulcast:send 1,2;2;~3"]), ["2", "3"]);
    }

    #[test]
    fn restrictions_are_kept_apart_from_payload_types() {
        let attributes =
            ["rid:a send pt=96,97;max-width=1280;max-fps=30", "simulcast:send a"].map(Attribute::new);
        let offered = &read(&attributes)[0];
        assert_eq!(offered.payload_types.len(), 2);
        assert_eq!(offered.restrictions, "max-width=1280;max-fps=30");
    }
}
