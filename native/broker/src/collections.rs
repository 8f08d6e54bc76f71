//! Hash maps with a fixed seed: the same run iterates in the same order (the simulation depends on it).
//! Not for keys an attacker chooses in bulk: the broker is a development tool on loopback.

use std::hash::Hash;

/// A map with deterministic iteration order for one sequence of operations.
pub type Map<K, V> = hashbrown::HashMap<K, V, foldhash::fast::FixedState>;
/// A set with deterministic iteration order for one sequence of operations.
pub type Set<K> = hashbrown::HashSet<K, foldhash::fast::FixedState>;

/// An empty map (the hasher has no `Default`-free constructor worth repeating everywhere).
pub fn map<K: Eq + Hash, V>() -> Map<K, V> {
    Map::default()
}
