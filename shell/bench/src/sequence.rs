//! Counts what came of one RTP stream: lost, twice, out of order.

/// How far behind the newest a packet may come and still be told from a repetition.
const WINDOW: u64 = 1024;

/// One SSRC.
#[derive(Clone, Debug)]
pub(crate) struct Sequence {
    /// The newest, extended past the wrap-around.
    newest: u64,
    /// One bit for each of the last [`WINDOW`] numbers.
    seen: [u64; (WINDOW / 64) as usize],
    /// Where the count began.
    from: u64,
    pub received: u64,
    pub duplicates: u64,
    pub reordered: u64,
}

impl Sequence {
    /// Begins with the first packet's number.
    pub fn new(first: u16) -> Self {
        let newest = u64::from(first) + (1 << 16);
        let mut sequence = Self {
            newest,
            seen: [0; (WINDOW / 64) as usize],
            from: newest,
            received: 0,
            duplicates: 0,
            reordered: 0,
        };
        sequence.mark(newest);
        sequence.received = 1;
        sequence
    }

    pub fn on_packet(&mut self, number: u16) {
        let ahead = number.wrapping_sub(self.newest as u16) as i16;
        let number = self.newest.wrapping_add_signed(ahead.into());
        if number > self.newest {
            for skipped in (self.newest + 1..=number).take(WINDOW as usize) {
                self.seen[Self::word(skipped)] &= !Self::bit(skipped);
            }
            self.newest = number;
        } else if number + WINDOW <= self.newest || number < self.from {
            // From before the count, or so old that it says nothing.
            return;
        } else if self.seen[Self::word(number)] & Self::bit(number) != 0 {
            self.duplicates += 1;
            return;
        } else {
            self.reordered += 1;
        }
        self.mark(number);
        self.received += 1;
    }

    /// Packets that should have come since the count began.
    pub fn expected(&self) -> u64 {
        self.newest + 1 - self.from
    }

    /// Begins to count anew, with the next packet.
    pub fn restart(&mut self) {
        self.from = self.newest + 1;
        (self.received, self.duplicates, self.reordered) = (0, 0, 0);
    }

    fn mark(&mut self, number: u64) {
        self.seen[Self::word(number)] |= Self::bit(number);
    }

    fn word(number: u64) -> usize {
        (number % WINDOW / 64) as usize
    }

    fn bit(number: u64) -> u64 {
        1 << (number % 64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(numbers: &[u16]) -> (u64, u64, u64, u64) {
        let mut sequence = Sequence::new(numbers[0]);
        numbers[1..].iter().for_each(|number| sequence.on_packet(*number));
        (sequence.expected(), sequence.received, sequence.duplicates, sequence.reordered)
    }

    #[test]
    fn every_fate_is_told_apart() {
        assert_eq!(of(&[5, 6, 7]), (3, 3, 0, 0));
        assert_eq!(of(&[5, 7, 8]), (4, 3, 0, 0));
        assert_eq!(of(&[5, 7, 6, 8]), (4, 4, 0, 1));
        assert_eq!(of(&[5, 6, 6, 7]), (3, 3, 1, 0));
        assert_eq!(of(&[65_534, 65_535, 0, 1]), (4, 4, 0, 0));
        assert_eq!(of(&[0, 5_000]), (5_001, 2, 0, 0));
    }

    #[test]
    fn a_new_count_forgets_what_was() {
        let mut sequence = Sequence::new(10);
        sequence.on_packet(13);
        sequence.restart();
        assert_eq!((sequence.expected(), sequence.received), (0, 0));
        sequence.on_packet(12);
        sequence.on_packet(14);
        sequence.on_packet(16);
        assert_eq!((sequence.expected(), sequence.received), (3, 2));
    }
}
