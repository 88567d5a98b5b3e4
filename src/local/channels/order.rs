//! The order in which a host gets the objects of a channel: shuffled with a seed, and shared between the hosts.

use super::request::ObjectSharing;

/// The rule for the order.
#[derive(Clone, Copy, Debug)]
pub(super) struct EpochOrder {
    pub seed: Option<u64>,
    pub sharing: ObjectSharing,
    pub hosts: usize,
}

impl EpochOrder {
    /// Returns the indexes, below `count`, of the objects that a host gets in an epoch. All hosts shuffle in the same
    /// way, so that their shares of an epoch are disjoint.
    pub fn of_host(&self, count: usize, host: usize, epoch: u64) -> Vec<usize> {
        let mut places: Vec<usize> = (0..count).collect();
        if let Some(seed) = self.seed {
            let mut state = seed.wrapping_add(epoch.wrapping_mul(0xD1B5_4A32_D192_ED03));
            for last in (1..count).rev() {
                let other = next(&mut state) % (last as u64 + 1);
                places.swap(last, usize::try_from(other).unwrap_or_default());
            }
        }
        match self.sharing {
            ObjectSharing::FullyReplicated => places,
            ObjectSharing::ShardedByS3Key => places.into_iter().skip(host).step_by(self.hosts.max(1)).collect(),
        }
    }
}

/// Returns the next number of the generator SplitMix64.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::EpochOrder;
    use crate::local::ObjectSharing::{FullyReplicated, ShardedByS3Key};

    #[test]
    fn the_hosts_share_all_objects_in_every_epoch() {
        for seed in [None, Some(7)] {
            let order = EpochOrder { seed, sharing: ShardedByS3Key, hosts: 3 };
            for epoch in 0..4 {
                let shares: Vec<Vec<usize>> = (0..3).map(|host| order.of_host(10, host, epoch)).collect();
                assert_eq!(shares.iter().map(Vec::len).collect::<Vec<_>>(), [4, 3, 3]);
                let mut all = shares.concat();
                all.sort_unstable();
                assert_eq!(all, (0..10).collect::<Vec<_>>());
            }
        }
        assert_eq!(EpochOrder { seed: None, sharing: ShardedByS3Key, hosts: 3 }.of_host(1, 2, 0), [] as [usize; 0]);
    }

    #[test]
    fn a_seed_gives_each_epoch_another_order_that_can_be_repeated() {
        let order = |seed| EpochOrder { seed, sharing: FullyReplicated, hosts: 2 };
        let epochs: Vec<Vec<usize>> = (0..3).map(|epoch| order(Some(1)).of_host(20, 0, epoch)).collect();
        assert!(epochs[0] != epochs[1] && epochs[1] != epochs[2] && epochs[0] != (0..20).collect::<Vec<_>>());
        assert_eq!(order(Some(1)).of_host(20, 1, 1), epochs[1]);
        assert_ne!(order(Some(2)).of_host(20, 0, 0), epochs[0]);
        assert_eq!(order(None).of_host(3, 0, 5), [0, 1, 2]);
    }
}
