//! Strips of many GPUs: an image with a row for each GPU and a column for each part of the time.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::Crc;
use flate2::write::ZlibEncoder;

use crate::observe::report::thin::Point;

/// The number of columns of a strip.
const COLUMNS: usize = 240;

/// The number of shades. Shade 0 means that nothing is known.
const SHADES: u8 = 16;

/// The colour of known values. A deeper colour means a higher value. It is visible on white and on black.
const BLUE: [u8; 3] = [0x34, 0x72, 0xd9];

const GREY: [u8; 4] = [0x80, 0x80, 0x80, 0x38];

/// Returns an image of rows of values from 0 to 100, over the time from `start` to `end`, as a data URL.
pub(super) fn picture<'a>(rows: impl ExactSizeIterator<Item = &'a [Point]>, (start, end): (f64, f64)) -> String {
    let height = rows.len();
    let mut pixels = Vec::with_capacity(height * (COLUMNS + 1));
    for row in rows {
        // Each row of a PNG begins with the number of its filter. 0 means none.
        pixels.push(0);
        pixels.extend(shades(row, start, end));
    }
    format!("data:image/png;base64,{}", STANDARD.encode(png(&pixels, COLUMNS as u32, height as u32)))
}

/// Returns the shade of each column.
fn shades(row: &[Point], start: f64, end: f64) -> [u8; COLUMNS] {
    let mut sums = [(0.0, 0u32); COLUMNS];
    let column = |time: f64| {
        let share = ((time - start) / (end - start)).clamp(0.0, 1.0);
        ((share * COLUMNS as f64) as usize).min(COLUMNS - 1)
    };
    for (time, value) in row {
        let (sum, count) = &mut sums[column(*time)];
        (*sum, *count) = (*sum + value, *count + 1);
    }
    let mut shades = [0; COLUMNS];
    let known = row.first().zip(row.last()).map(|(first, last)| column(first.0)..=column(last.0));
    let mut before = 0;
    for at in known.into_iter().flatten() {
        // Between two samples, the earlier one applies.
        if let (sum, count @ 1..) = sums[at] {
            let share = (sum / f64::from(count) / 100.0).clamp(0.0, 1.0);
            before = 1 + (share * f64::from(SHADES - 2)).round() as u8;
        }
        shades[at] = before;
    }
    shades
}

/// Returns a PNG of the shades, with one byte for each pixel.
fn png(pixels: &[u8], width: u32, height: u32) -> Vec<u8> {
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    // Each pixel has eight bits, which are an index into the palette.
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 3, 0, 0, 0]].concat();
    chunk(&mut file, b"IHDR", &header);
    let colours = (0..SHADES).flat_map(|shade| if shade == 0 { [GREY[0], GREY[1], GREY[2]] } else { BLUE });
    chunk(&mut file, b"PLTE", &colours.collect::<Vec<u8>>());
    let depth = |shade: u8| (u32::from(shade - 1) * 255 / u32::from(SHADES - 2)) as u8;
    let depths = (0..SHADES).map(|shade| if shade == 0 { GREY[3] } else { depth(shade) });
    chunk(&mut file, b"tRNS", &depths.collect::<Vec<u8>>());
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::best());
    // Writing to memory cannot fail.
    let _ = packed.write_all(pixels);
    chunk(&mut file, b"IDAT", &packed.finish().unwrap_or_default());
    chunk(&mut file, b"IEND", &[]);
    file
}

fn chunk(file: &mut Vec<u8>, kind: &[u8; 4], content: &[u8]) {
    file.extend((content.len() as u32).to_be_bytes());
    let mut sum = Crc::new();
    sum.update(kind);
    sum.update(content);
    file.extend(kind);
    file.extend(content);
    file.extend(sum.sum().to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::{COLUMNS, shades};

    #[test]
    fn the_shade_follows_the_mean_and_holds_until_the_next_sample() {
        let shades = shades(&[(10.0, 0.0), (30.0, 100.0), (30.1, 50.0), (60.0, 100.0)], 0.0, 100.0);
        let at = |second: usize| shades[second * COLUMNS / 100];
        assert_eq!([5, 10, 20, 29, 30, 50, 60, 61, 99].map(at), [0, 1, 1, 1, 12, 12, 15, 0, 0]);
    }
}
