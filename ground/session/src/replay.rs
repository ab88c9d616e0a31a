//! Which packets were seen already (RFC 3711 §3.3.2): a sliding window of bits behind the highest index.

/// A window of `64 * WORDS` indices. Bit `i` of the ring stands for the index that is `i` modulo its size.
#[derive(Clone, Debug, PartialEq, Eq)]
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// The same as a set and a highest index.
    fn check(indices: impl IntoIterator<Item = u64>) {
        let mut indices = indices.into_iter();
        let first = indices.next().unwrap();
        let mut window = ReplayWindow::<2>::starting_at(first);
        let (mut seen, mut highest) = (BTreeSet::from([first]), first);
        for index in indices {
            let fresh = index + 128 > highest && !seen.contains(&index);
            assert_eq!(window.accepts(index), fresh, "{index} after {highest}");
            if fresh {
                window.insert(index);
                seen.insert(index);
                highest = highest.max(index);
            }
            assert_eq!(window.highest(), highest);
        }
    }

    #[test]
    fn in_order_and_twice() {
        check((0..500).flat_map(|index| [index, index]));
    }

    #[test]
    fn the_edges_of_the_window() {
        check([1000, 873, 872, 873, 1001, 874, 873, 1000, 1001]);
    }

    #[test]
    fn jumps_of_every_size_forget_what_they_pass() {
        for jump in [1, 2, 63, 64, 65, 127, 128, 129, 255, 256, 10_000] {
            check((0..50).flat_map(|step| {
                let at = 5_000 + step * jump;
                [at, at - 64, at - 127, at - 128, at - 1, at]
            }));
        }
    }

    #[test]
    fn any_order_agrees_with_a_set() {
        let mut state = 7_u64;
        check((0..20_000).map(|step| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            1_000 + step / 2 + (state >> 33) % 200
        }));
    }
}
