//! A histogram of times or sizes: 16 steps per power of two, so that a percentile is at most 6 % off.
//!
//! It only grows; a window is what two of them differ by. Not shared: whoever owns it counts without a lock.

/// Steps per power of two.
const STEPS: u64 = 16;
const STEP_BITS: u32 = STEPS.trailing_zeros();
/// Larger values count as this: 12 days in microseconds.
const MOST: u64 = (1 << 40) - 1;

/// How often each value came, roughly.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// As long as the largest value needs.
    counts: Vec<u64>,
    count: u64,
    sum: u64,
}

impl Histogram {
    /// Counts a value.
    pub fn record(&mut self, value: u64) {
        let at = step_of(value.min(MOST));
        if at >= self.counts.len() {
            self.counts.resize(at + 1, 0);
        }
        self.counts[at] += 1;
        self.count += 1;
        self.sum += value.min(MOST);
    }

    /// How many values there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The sum of them.
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// What came since it was `earlier`.
    pub fn since(&self, earlier: &Histogram) -> Histogram {
        let before = earlier.counts.iter().copied().chain(std::iter::repeat(0));
        let counts = self.counts.iter().zip(before).map(|(now, before)| now.saturating_sub(before)).collect();
        let (count, sum) = (self.count.saturating_sub(earlier.count), self.sum.saturating_sub(earlier.sum));
        Histogram { counts, count, sum }
    }

    /// Adds all that another one has.
    pub fn merge(&mut self, other: &Histogram) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (own, more) in self.counts.iter_mut().zip(&other.counts) {
            *own += more;
        }
        self.count += other.count;
        self.sum += other.sum;
    }

    /// The value that this share of all values, 0 to 1, does not exceed; 0 when there are none.
    pub fn at(&self, share: f64) -> u64 {
        let rank = ((share * self.count as f64).ceil() as u64).max(1);
        let mut passed = 0;
        for (step, count) in self.counts.iter().enumerate() {
            passed += count;
            if passed >= rank {
                return last_of(step);
            }
        }
        0
    }

    /// The least value, as exact as the step it fell in; 0 when there are none.
    pub fn min(&self) -> u64 {
        self.counts.iter().position(|count| *count > 0).map_or(0, first_of)
    }

    /// The largest value, as exact as the step it fell in; 0 when there are none.
    pub fn max(&self) -> u64 {
        self.counts.iter().rposition(|count| *count > 0).map_or(0, last_of)
    }

    /// How many values are at most this, as exact as its step: for cumulative buckets.
    pub fn up_to(&self, value: u64) -> u64 {
        self.counts.iter().enumerate().take_while(|(step, _)| last_of(*step) <= value).map(|(_, count)| count).sum()
    }
}

fn step_of(value: u64) -> usize {
    if value < STEPS {
        return value as usize;
    }
    let shift = u64::BITS - 1 - value.leading_zeros() - STEP_BITS;
    ((u64::from(shift) + 1) * STEPS + ((value >> shift) - STEPS)) as usize
}

fn first_of(step: usize) -> u64 {
    let step = step as u64;
    match (step / STEPS).checked_sub(1) {
        None => step,
        Some(shift) => (STEPS + step % STEPS) << shift,
    }
}

fn last_of(step: usize) -> u64 {
    first_of(step + 1) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_lie_side_by_side_and_have_what_falls_in_them() {
        let mut expected = 0;
        for step in 0..500 {
            assert_eq!(first_of(step), expected, "step {step}");
            assert_eq!((step_of(first_of(step)), step_of(last_of(step))), (step, step));
            assert!(last_of(step) - first_of(step) <= first_of(step) / STEPS, "at most 1/16 wide");
            expected = last_of(step) + 1;
        }
        let mut histogram = Histogram::default();
        histogram.record(u64::MAX);
        assert!(histogram.max() >= MOST);
    }

    #[test]
    fn percentiles_are_those_of_the_values() {
        let mut histogram = Histogram::default();
        (1..=10_000).for_each(|value| histogram.record(value));
        for (share, exact) in [(0.5, 5_000.0), (0.75, 7_500.0), (0.99, 9_900.0), (1.0, 10_000.0)] {
            let found = histogram.at(share) as f64;
            assert!(found >= exact && found <= exact * 1.0625, "{share}: {found}");
        }
        assert_eq!((histogram.min(), histogram.count(), histogram.sum()), (1, 10_000, 50_005_000));
        assert_eq!(Histogram::default().at(0.5), 0);
    }

    #[test]
    fn a_window_is_what_came_since() {
        let mut histogram = Histogram::default();
        histogram.record(5);
        let before = histogram.clone();
        histogram.record(9);
        histogram.record(70_000);
        let window = histogram.since(&before);
        assert_eq!((window.count(), window.sum(), window.min()), (2, 70_009, 9));
        assert_eq!(window.up_to(9), 1);
        let mut both = before;
        both.merge(&window);
        assert_eq!(both, histogram);
    }
}
