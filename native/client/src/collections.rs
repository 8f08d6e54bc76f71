//! Maps and sets whose iteration order is the same in every run, as the simulation needs.
//!
//! Never use `std::collections::HashMap` here (a lint says so): its order is random, and one random order is enough to
//! make two runs with the same seed differ.

use foldhash::fast::FixedState;

/// A hash map with a fixed seed. Keys from the network are bounded by what the user asked for, so flooding is no concern.
pub type Map<K, V> = hashbrown::HashMap<K, V, FixedState>;

/// A hash set with a fixed seed.
pub type Set<K> = hashbrown::HashSet<K, FixedState>;
