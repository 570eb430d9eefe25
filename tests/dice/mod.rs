//! Draws for tests that choose at random: the same everywhere for one seed.

/// What `GITEA_TRIAGE_TEST_SEED` says, or another one for each run; printed, so that the run can be repeated.
pub fn seed() -> u64 {
    let given = std::env::var("GITEA_TRIAGE_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().0);
    println!("seed {seed}");
    seed
}

/// splitmix64: quite other draws for the next seed.
pub struct Dice(pub u64);

impl Dice {
    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut drawn = self.0;
        drawn = (drawn ^ (drawn >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        drawn = (drawn ^ (drawn >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((drawn ^ (drawn >> 31)) % limit as u64).unwrap()
    }
}
