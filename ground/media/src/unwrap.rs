//! From the 16 or 32 bits on the wire to numbers that never wrap around (RFC 3550 §A.1).
//!
//! Nothing is remembered here: the caller keeps the reference, usually the highest number seen so far.

use crate::{RtpTime, SeqNo};

/// The extended sequence number with these 16 bits that is closest to `reference`; of two equally close
/// ones (32 768 away) the older.
///
/// Below zero there is nothing: the answer is then 0, whose wire bits are not `wire`. A stream whose first
/// reference is at least 65 536 never gets there.
pub fn seq_near(reference: SeqNo, wire: u16) -> SeqNo {
    let step = wire.wrapping_sub(reference.wire()) as i16;
    SeqNo(reference.0.saturating_add_signed(i64::from(step)))
}

/// The extended timestamp with these 32 bits that is closest to `reference`; of two equally close ones
/// the older. Saturates at 0 as [`seq_near`] does.
pub fn time_near(reference: RtpTime, wire: u32) -> RtpTime {
    let step = wire.wrapping_sub(reference.wire()) as i32;
    RtpTime(reference.0.saturating_add_signed(i64::from(step)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_go_on_past_the_wrap_and_come_back_for_late_packets() {
        for (reference, wire, expected) in [
            (65_535, 0, 65_536),
            (65_536, 65_535, 65_535),
            (65_530, 4, 65_540),
            (70_000, 70_000u64 as u16, 70_000),
            (3 << 16, 0x8000, (3 << 16) - 0x8000),
            (3 << 16, 0x7fff, (3 << 16) + 0x7fff),
            (5, 65_535, 0),
            (0, 32_767, 32_767),
        ] {
            assert_eq!(seq_near(SeqNo(reference), wire), SeqNo(expected), "{wire} near {reference}");
        }
        for (reference, wire, expected) in [
            (u64::from(u32::MAX), 10, (1 << 32) + 10),
            (1 << 32, u32::MAX, u64::from(u32::MAX)),
            (9, u32::MAX, 0),
        ] {
            assert_eq!(time_near(RtpTime(reference), wire), RtpTime(expected), "{wire} near {reference}");
        }
    }

    proptest! {
        #[test]
        fn a_step_of_less_than_half_the_circle_is_found(reference in 1u64 << 16..1 << 48, step in -32_768i64..32_768) {
            let wanted = SeqNo(reference.saturating_add_signed(step));
            prop_assert_eq!(seq_near(SeqNo(reference), wanted.wire()), wanted);
        }

        #[test]
        fn a_time_step_of_less_than_half_the_circle_is_found(
            reference in 1u64 << 32..1 << 48,
            step in i64::from(i32::MIN)..=i64::from(i32::MAX),
        ) {
            let wanted = RtpTime(reference.saturating_add_signed(step));
            prop_assert_eq!(time_near(RtpTime(reference), wanted.wire()), wanted);
        }

        #[test]
        fn nothing_overflows_at_the_far_end(reference in u64::MAX - 100_000..=u64::MAX, wire: u16, time: u32) {
            seq_near(SeqNo(reference), wire);
            time_near(RtpTime(reference), time);
        }
    }
}
