//! The memory of another process, and reading values from it.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// The memory of a process with 64-bit addresses and little-endian values.
pub(super) trait Memory {
    /// Fills a buffer with the bytes at an address. `None` if some of them are not mapped.
    fn fill(&self, address: u64, buffer: &mut [u8]) -> Option<()>;

    /// Returns the bytes at an offset from an address.
    fn bytes(&self, base: u64, offset: u64, count: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.fill(base.wrapping_add(offset), &mut bytes)?;
        Some(bytes)
    }

    /// Returns a few bytes at an offset from an address.
    fn array<const N: usize>(&self, base: u64, offset: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(base.wrapping_add(offset), &mut bytes)?;
        Some(bytes)
    }

    /// Returns the value of 64 bits at an offset from an address.
    fn word(&self, base: u64, offset: u64) -> Option<u64> {
        self.array(base, offset).map(u64::from_le_bytes)
    }

    /// Returns the value of 32 bits at an offset from an address.
    fn half(&self, base: u64, offset: u64) -> Option<u32> {
        self.array(base, offset).map(u32::from_le_bytes)
    }

    /// Returns the address at an offset from an address, if it is not null.
    fn pointer(&self, base: u64, offset: u64) -> Option<u64> {
        self.word(base, offset).filter(|pointer| *pointer != 0)
    }
}

/// `/proc/<pid>/mem`.
impl Memory for File {
    fn fill(&self, address: u64, buffer: &mut [u8]) -> Option<()> {
        self.read_exact_at(buffer, address).ok()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::Memory;

    /// A piece of memory that begins at an address.
    pub(in crate::watch::stacks::python) struct Piece {
        pub(in crate::watch::stacks::python) start: u64,
        pub(in crate::watch::stacks::python) bytes: Vec<u8>,
    }

    impl Memory for Piece {
        fn fill(&self, address: u64, buffer: &mut [u8]) -> Option<()> {
            let start = usize::try_from(address.checked_sub(self.start)?).ok()?;
            buffer.copy_from_slice(self.bytes.get(start..start.checked_add(buffer.len())?)?);
            Some(())
        }
    }

    #[test]
    fn values_are_read_whole_or_not_at_all() {
        let memory = Piece { start: 100, bytes: vec![1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0] };
        assert_eq!(memory.half(100, 4), Some(2));
        assert_eq!(memory.word(100, 0), Some(0x2_0000_0001));
        assert_eq!((memory.pointer(100, 4), memory.pointer(100, 8)), (Some(2), None));
        assert_eq!((memory.word(100, 8), memory.word(92, 0), memory.word(u64::MAX, 9)), (None, None, None));
        assert_eq!(memory.bytes(100, 0, 12).map(|bytes| bytes.len()), Some(12));
    }
}
