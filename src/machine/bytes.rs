//! Sizes for people to read.

use std::fmt;

/// A number of bytes that is displayed in the largest suitable binary unit: `512 bytes`, `3.4 MiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // From this amount on, one decimal would display as 1024.0, so the next unit is used.
        const NEXT_UNIT: f64 = 1023.95;
        match self.0 {
            1 => return f.write_str("1 byte"),
            0..1024 => return write!(f, "{} bytes", self.0),
            _ => {}
        }
        let mut amount = self.0 as f64 / 1024.0;
        let mut unit = "KiB";
        for larger in ["MiB", "GiB", "TiB", "PiB", "EiB"] {
            if amount < NEXT_UNIT {
                break;
            }
            (amount, unit) = (amount / 1024.0, larger);
        }
        write!(f, "{amount:.1} {unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::Bytes;

    #[test]
    fn a_size_is_written_in_the_unit_that_suits_it() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (512, "512 bytes"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            ((1 << 20) - 1, "1.0 MiB"),
            (5 << 20, "5.0 MiB"),
            (64 << 20, "64.0 MiB"),
            (17_072_495_001, "15.9 GiB"),
            (3 << 50, "3.0 PiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(Bytes(bytes).to_string(), text, "{bytes}");
        }
    }
}
