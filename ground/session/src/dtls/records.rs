//! The outside of DTLS 1.2 records (RFC 6347 §4.1): what must be known before dimpl may see a datagram.

pub(super) const HEADER_LEN: usize = 13;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
pub(super) const HANDSHAKE_HEADER_LEN: usize = 12;
const CLIENT_HELLO: u8 = 1;

/// Removes alerts of epoch 0, which anybody can forge and of which one would end the handshake; answers the
/// length that is left. The price: a peer's real refusal is noticed by time-out only.
pub(super) fn drop_clear_alerts(datagram: &mut [u8]) -> usize {
    let (mut read, mut kept) = (0, 0);
    while read < datagram.len() {
        let end = end(datagram, read);
        if !is_clear_alert(&datagram[read..end]) {
            datagram.copy_within(read..end, kept);
            kept += end - read;
        }
        read = end;
    }
    kept
}

/// Where the record that starts there ends; a broken one takes all the rest.
pub(super) fn end(datagram: &[u8], start: usize) -> usize {
    match datagram.get(start + 11..start + HEADER_LEN) {
        Some(&[high, low]) => {
            let end = start + HEADER_LEN + usize::from(u16::from_be_bytes([high, low]));
            end.min(datagram.len())
        }
        _ => datagram.len(),
    }
}

fn is_clear_alert(record: &[u8]) -> bool {
    record.first() == Some(&ALERT) && record.get(3..5).is_none_or(|epoch| epoch == [0, 0])
}

/// The handshake message, or the fragment of one, in a record of epoch 0.
pub(super) fn clear_handshake(record: &[u8]) -> Option<&[u8]> {
    let is_clear = record.first() == Some(&HANDSHAKE) && record.get(3..5)? == [0, 0];
    let message = record.get(HEADER_LEN..end(record, 0))?;
    (is_clear && message.len() >= HANDSHAKE_HEADER_LEN).then_some(message)
}

/// The random of the ClientHello that the datagram begins with, cut short by zeros if its fragment is: what
/// tells one handshake attempt from another.
pub(super) fn client_hello_random(datagram: &[u8]) -> Option<[u8; 32]> {
    let (header, body) = clear_handshake(datagram)?.split_at(HANDSHAKE_HEADER_LEN);
    if header[0] != CLIENT_HELLO || header[6..9] != [0; 3] {
        return None;
    }
    let mut random = [0; 32];
    let present = body.get(2..).unwrap_or_default();
    let len = present.len().min(random.len());
    random[..len].copy_from_slice(&present[..len]);
    Some(random)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u8, epoch: u8, body: &[u8]) -> Vec<u8> {
        let mut record = vec![kind, 0xFE, 0xFD, 0, epoch, 0, 0, 0, 0, 0, 1, 0, body.len() as u8];
        record.extend_from_slice(body);
        record
    }

    #[test]
    fn only_alerts_in_clear_are_dropped() {
        let (alert, sealed_alert) = (record(ALERT, 0, &[2, 40]), record(ALERT, 1, &[9; 26]));
        let (hello, finished) = (record(HANDSHAKE, 0, &[1; 20]), record(HANDSHAKE, 1, &[7; 40]));
        let parts = [&alert, &hello, &alert, &alert, &sealed_alert, &finished, &alert];
        let mut datagram: Vec<u8> = parts.into_iter().flatten().copied().collect();
        let len = drop_clear_alerts(&mut datagram);
        assert_eq!(datagram[..len], [hello, sealed_alert, finished].concat());
    }

    #[test]
    fn a_cut_alert_is_dropped_and_other_cut_records_are_left_to_dimpl() {
        for len in 1..20 {
            let mut alert = record(ALERT, 0, &[0; 7]);
            assert_eq!(drop_clear_alerts(&mut alert[..len]), 0, "{len}");
            let mut hello = record(HANDSHAKE, 0, &[0; 7]);
            assert_eq!(drop_clear_alerts(&mut hello[..len]), len);
        }
    }

    #[test]
    fn a_client_hello_is_known_by_its_random() {
        let hello = |offset: u8, body: &[u8]| {
            let header = [1, 0, 0, 200, 0, 0, 0, 0, offset, 0, 0, body.len() as u8];
            record(HANDSHAKE, 0, &[&header, body].concat())
        };
        let body: Vec<u8> = (0..60).collect();
        let random = client_hello_random(&hello(0, &body)).unwrap();
        assert_eq!(random[..], body[2..34]);
        assert_eq!(client_hello_random(&hello(0, &body[..4])).unwrap()[..3], [2, 3, 0], "cut short");
        assert_eq!(client_hello_random(&hello(0, &[])), Some([0; 32]));
        assert_eq!(client_hello_random(&hello(50, &body)), None, "not its beginning");
        assert_eq!(client_hello_random(&record(HANDSHAKE, 1, &hello(0, &body)[13..])), None);
        for len in 0..25 {
            assert_eq!(client_hello_random(&hello(0, &body)[..len]), None, "{len}");
        }
    }
}
