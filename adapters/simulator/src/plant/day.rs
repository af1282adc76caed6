//! Sun and loads over the simulated hour. Pure and deterministic: the seed decides everything.

use std::f64::consts::PI;

const SUNRISE: f64 = 6.0;
const SUNSET: f64 = 20.0;
const PEAK_W: f64 = 6_000.0;
const LEAST_LOAD_W: f64 = 300.0;
const MOST_LOAD_W: f64 = 3_000.0;

/// One home's weather and habits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Day {
    seed: u64,
}

impl Day {
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// What the sun offers at an hour since the first midnight, W, 0 to 6000.
    pub fn sun(self, hour: f64) -> i64 {
        let of_day = hour.rem_euclid(24.0);
        if !(SUNRISE..SUNSET).contains(&of_day) {
            return 0;
        }
        let bell = (PI * (of_day - SUNRISE) / (SUNSET - SUNRISE)).sin().max(0.0).powf(1.3);
        // Clouds pass within a quarter of an hour and take up to 70 %.
        let cloud = ((self.noise(1, hour * 4.0) - 0.55) / 0.3).clamp(0.0, 1.0);
        (PEAK_W * bell * (1.0 - 0.7 * cloud)).round() as i64
    }

    /// What the home draws, W, 300 to 3000.
    pub fn load(self, hour: f64) -> i64 {
        let of_day = hour.rem_euclid(24.0);
        let hill =
            |middle: f64, width: f64, height: f64| height * (-((of_day - middle) / width).powi(2)).exp();
        let habits = hill(7.5, 1.2, 700.0) + hill(12.5, 1.0, 500.0) + hill(19.5, 2.0, 1_100.0);
        let flicker = 120.0 * self.noise(2, hour * 20.0);
        // A kettle, an oven: on for some minutes.
        let appliance = if self.noise(3, hour * 6.0) > 0.72 { 1_400.0 } else { 0.0 };
        (LEAST_LOAD_W + habits + flicker + appliance).clamp(LEAST_LOAD_W, MOST_LOAD_W).round() as i64
    }

    /// Smooth noise from 0 to 1, with a new value at each whole `x`.
    fn noise(self, stream: u64, x: f64) -> f64 {
        let (left, between) = (x.floor(), x - x.floor());
        let ease = between * between * (3.0 - 2.0 * between);
        let (a, b) = (self.dice(stream, left as i64), self.dice(stream, left as i64 + 1));
        a + (b - a) * ease
    }

    /// A number from 0 to 1 for each place: splitmix64.
    fn dice(self, stream: u64, place: i64) -> f64 {
        let mut z = self.seed ^ stream.rotate_left(56) ^ (place as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}
