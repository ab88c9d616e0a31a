//! Which packets were seen already (RFC 3711 §3.3.2): a sliding window of bits behind the highest index.

/// A window of `64 * WORDS` indices. Bit `i` of the ring stands for the index that is `i` modulo its size.
#[derive(Clone, Debug)]
pub(crate) struct ReplayWindow<const WORDS: usize> {
    highest: u64,
    seen: [u64; WORDS],
}

impl<const WORDS: usize> ReplayWindow<WORDS> {
    const SIZE: u64 = 64 * WORDS as u64;

    /// A window that has seen this index and none before.
    pub fn starting_at(index: u64) -> Self {
        let mut window = Self { highest: index, seen: [0; WORDS] };
        window.mark(index);
        window
    }

    pub fn highest(&self) -> u64 {
        self.highest
    }

    /// False if the index was seen, or is too old to tell.
    pub fn accepts(&self, index: u64) -> bool {
        index > self.highest
            || (self.highest - index < Self::SIZE && self.seen[Self::word(index)] & Self::bit(index) == 0)
    }

    /// Remembers an index. Only for packets that proved authentic, or a forger could move the window.
    pub fn insert(&mut self, index: u64) {
        if index > self.highest {
            if index - self.highest >= Self::SIZE {
                self.seen = [0; WORDS];
            } else {
                for passed in self.highest + 1..index {
                    self.seen[Self::word(passed)] &= !Self::bit(passed);
                }
            }
            self.highest = index;
        }
        self.mark(index);
    }

    fn mark(&mut self, index: u64) {
        self.seen[Self::word(index)] |= Self::bit(index);
    }

    fn word(index: u64) -> usize {
        ((index / 64) % WORDS as u64) as usize
    }

    fn bit(index: u64) -> u64 {
        1 << (index % 64)
    }
}
