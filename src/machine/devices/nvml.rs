//! Reader of the answers of footplate's helper, which calls NVIDIA's library NVML.

use super::{GpuState, Slowdown};
use crate::system::kernel::gpu_helper::layout::{
    BUSY, CLOCK, COUNT, ERROR, GPU_WORDS, HEADER_WORDS, MAX_CLOCK, MAX_GPUS, MEMORY_BUSY, MEMORY_ERRORS, MEMORY_TOTAL,
    MEMORY_USED, MISSING, NAME, NO_FUNCTION, POWER, POWER_LIMIT, PROCESSOR_TIME, REASONS, TEMPERATURE,
};

/// The size of a word, in bytes.
const WORD: usize = size_of::<u64>();

/// An answer of the helper.
#[derive(Clone, Debug, PartialEq)]
pub struct NvmlAnswer {
    /// The processor time that the helper has used so far, in nanoseconds.
    pub processor_time: u64,
    /// The GPUs, or the error of the library.
    pub gpus: Result<Vec<GpuState>, NvmlError>,
}

/// An error of NVIDIA's library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("NVIDIA's library answers with error {code}{}", meaning(*code))]
pub struct NvmlError {
    /// The number of the error.
    pub code: u64,
}

/// Returns the meaning of the errors that a container can run into (`nvmlReturn_t`).
fn meaning(error: u64) -> &'static str {
    match error {
        4 => " (no permission)",
        9 => " (the driver is not loaded)",
        12 => " (a library of the driver is missing)",
        NO_FUNCTION => " (it lacks a function)",
        15 => " (the GPU has fallen off the bus)",
        18 => " (the driver and its library have different versions)",
        _ => "",
    }
}

/// Takes the first whole answer from `bytes`, if there is one.
pub fn take(bytes: &mut Vec<u8>) -> Option<NvmlAnswer> {
    let words: Vec<u64> = bytes.as_chunks::<WORD>().0.iter().map(|word| u64::from_ne_bytes(*word)).collect();
    let (header, rest) = words.split_at_checked(HEADER_WORDS)?;
    let count = usize::try_from(header[COUNT]).unwrap_or(MAX_GPUS).min(MAX_GPUS);
    let gpus = rest.get(..count * GPU_WORDS)?;
    let states = gpus.as_chunks::<GPU_WORDS>().0.iter().zip(0..).map(|(words, index)| state(index, words)).collect();
    let gpus = if header[ERROR] == 0 { Ok(states) } else { Err(NvmlError { code: header[ERROR] }) };
    let answer = NvmlAnswer { processor_time: header[PROCESSOR_TIME], gpus };
    bytes.drain(..(HEADER_WORDS + count * GPU_WORDS) * WORD);
    Some(answer)
}

fn state(index: u32, words: &[u64; GPU_WORDS]) -> GpuState {
    let known = |at: usize| Some(words[at]).filter(|word| *word != MISSING);
    let number = |at: usize| known(at).map(|word| word as f64);
    let watts = |at: usize| number(at).map(|milliwatts| (milliwatts / 100.0).round() / 10.0);
    let name: Vec<u8> =
        words[NAME..].iter().flat_map(|word| word.to_ne_bytes()).take_while(|byte| *byte != 0).collect();
    GpuState {
        index,
        name: known(NAME).and_then(|_| String::from_utf8(name).ok()).filter(|name| !name.is_empty()),
        busy: number(BUSY),
        memory_busy: number(MEMORY_BUSY),
        memory_used: known(MEMORY_USED),
        memory_total: known(MEMORY_TOTAL),
        power: watts(POWER),
        power_limit: watts(POWER_LIMIT),
        temperature: number(TEMPERATURE),
        clock: number(CLOCK),
        max_clock: number(MAX_CLOCK),
        slowed: known(REASONS).map(Slowdown::among).unwrap_or_default(),
        memory_errors: known(MEMORY_ERRORS),
    }
}

#[cfg(test)]
mod tests {
    use super::{GPU_WORDS, GpuState, MISSING, NvmlError, Slowdown, take};

    fn bytes(words: &[u64]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_ne_bytes()).collect()
    }

    #[test]
    fn answers_are_taken_whole_and_one_after_the_other() {
        let mut gpu = [MISSING; GPU_WORDS];
        gpu[..9].copy_from_slice(&[97, 40, 5 << 30, 80 << 30, 412_340, 700_000, 61, 1410, 0x04]);
        gpu[11] = u64::from_ne_bytes(*b"NVIDIA H");
        gpu[12] = u64::from_ne_bytes(*b"100\0\0\0\0\0");
        let mut given = bytes(&[0, 1234, 2]);
        given.extend(bytes(&gpu));
        given.extend(bytes(&[MISSING; GPU_WORDS]));
        let whole = given.len();
        given.extend(bytes(&[9, 5, 0]));
        let mut cut = given[..whole - 1].to_vec();
        assert_eq!((take(&mut cut), cut.len()), (None, whole - 1));
        let answer = take(&mut given).expect("an answer");
        assert_eq!(answer.processor_time, 1234);
        let gpus = answer.gpus.expect("GPUs");
        assert_eq!(
            gpus[0],
            GpuState {
                name: Some("NVIDIA H100".into()),
                busy: Some(97.0),
                memory_busy: Some(40.0),
                memory_used: Some(5 << 30),
                memory_total: Some(80 << 30),
                power: Some(412.3),
                power_limit: Some(700.0),
                temperature: Some(61.0),
                clock: Some(1410.0),
                slowed: vec![Slowdown::PowerCap],
                ..GpuState::default()
            }
        );
        assert_eq!(gpus[1], GpuState { index: 1, ..GpuState::default() });
        assert_eq!(take(&mut given).map(|answer| answer.gpus), Some(Err(NvmlError { code: 9 })));
        assert_eq!(
            NvmlError { code: 9 }.to_string(),
            "NVIDIA's library answers with error 9 (the driver is not loaded)"
        );
        assert_eq!(take(&mut given), None);
    }

    #[test]
    fn an_answer_with_a_senseless_count_does_no_harm() {
        let mut given = bytes(&[0, 0, u64::MAX]);
        assert_eq!(take(&mut given), None);
        given.extend(vec![0; 16 * GPU_WORDS * 8]);
        assert_eq!(take(&mut given).and_then(|answer| answer.gpus.ok()).map(|gpus| gpus.len()), Some(16));
    }
}
