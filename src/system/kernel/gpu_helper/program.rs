//! The helper, a program without a standard library: see the folder's documentation. It calls only functions that the
//! present library has, because drivers of different ages have different ones.
#![no_std]
#![no_main]
#![no_builtins]

mod layout;

use core::arch::{asm, global_asm};
use core::ptr::read_volatile;

use layout::{
    BUSY, CLOCK, COUNT, ERROR, FULL, GPU_WORDS, HEADER_WORDS, MAX_CLOCK, MAX_GPUS, MEMORY_BUSY, MEMORY_ERRORS,
    MEMORY_TOTAL, MEMORY_USED, MISSING, NAME, NAME_WORDS, NO_FUNCTION, POWER, POWER_LIMIT, PROCESSOR_TIME, REASONS,
    TEMPERATURE,
};

/// Makes a table of functions that the loader fills. The entry of a function that the library does not have is zero.
macro_rules! functions {
    ($($at:literal $name:ident: $function:literal;)*) => {
        $(const $name: usize = $at;)*
        global_asm!(
            ".pushsection .data.rel.ro,\"aw\"",
            ".balign 8",
            ".globl FUNCTIONS",
            ".hidden FUNCTIONS",
            "FUNCTIONS:",
            $(concat!(".weak ", $function), concat!(".8byte ", $function),)*
            ".popsection",
        );
        unsafe extern "C" {
            static FUNCTIONS: [usize; [$($at),*].len()];
        }
    };
}

functions! {
    0 INIT: "nvmlInit_v2";
    1 GET_COUNT: "nvmlDeviceGetCount_v2";
    2 GET_HANDLE: "nvmlDeviceGetHandleByIndex_v2";
    3 GET_UTILIZATION: "nvmlDeviceGetUtilizationRates";
    4 GET_MEMORY_V2: "nvmlDeviceGetMemoryInfo_v2";
    5 GET_MEMORY: "nvmlDeviceGetMemoryInfo";
    6 GET_POWER: "nvmlDeviceGetPowerUsage";
    7 GET_POWER_LIMIT: "nvmlDeviceGetEnforcedPowerLimit";
    8 GET_TEMPERATURE: "nvmlDeviceGetTemperature";
    9 GET_CLOCK: "nvmlDeviceGetClockInfo";
    10 GET_MAX_CLOCK: "nvmlDeviceGetMaxClockInfo";
    11 GET_REASONS: "nvmlDeviceGetCurrentClocksEventReasons";
    12 GET_OLD_REASONS: "nvmlDeviceGetCurrentClocksThrottleReasons";
    13 GET_ECC: "nvmlDeviceGetTotalEccErrors";
    14 GET_NAME: "nvmlDeviceGetName";
}

/// The result of a function of the library that succeeded.
const SUCCESS: u32 = 0;
/// The sensor of the GPU itself (`NVML_TEMPERATURE_GPU`).
const GPU_SENSOR: usize = 0;
/// The clock of the multiprocessors (`NVML_CLOCK_SM`).
const SM_CLOCK: usize = 1;
/// Uncorrectable errors (`NVML_MEMORY_ERROR_TYPE_UNCORRECTED`) since the driver was loaded (`NVML_VOLATILE_ECC`).
const UNCORRECTED: usize = 1;
const VOLATILE: usize = 0;
/// The version of `nvmlMemory_v2_t`: its size, and 2 in the highest byte.
const MEMORY_VERSION: u32 = 40 | 2 << 24;

/// The clock of the processor time of a process (`CLOCK_PROCESS_CPUTIME_ID`).
const PROCESS_TIME: usize = 2;

/// The answer.
static mut ANSWER: [u64; HEADER_WORDS + MAX_GPUS * GPU_WORDS] = [0; HEADER_WORDS + MAX_GPUS * GPU_WORDS];

#[cfg(target_arch = "x86_64")]
mod calls {
    use super::{asm, global_asm};

    pub const READ: usize = 0;
    pub const WRITE: usize = 1;
    pub const EXIT: usize = 231;
    pub const GET_TIME: usize = 228;

    global_asm!(".globl _start", "_start:", "xor ebp, ebp", "and rsp, -16", "call {main}", main = sym super::main);

    /// Makes a system call.
    ///
    /// # Safety
    /// The arguments must be valid for the call.
    pub unsafe fn call(number: usize, first: usize, second: usize, third: usize) -> isize {
        let result;
        // SAFETY: the caller guarantees valid arguments. The kernel changes no other register.
        unsafe {
            asm!("syscall", inlateout("rax") number => result, in("rdi") first, in("rsi") second, in("rdx") third,
                lateout("rcx") _, lateout("r11") _, options(nostack));
        }
        result
    }
}

#[cfg(target_arch = "aarch64")]
mod calls {
    use super::{asm, global_asm};

    pub const READ: usize = 63;
    pub const WRITE: usize = 64;
    pub const EXIT: usize = 94;
    pub const GET_TIME: usize = 113;

    global_asm!(".globl _start", "_start:", "mov x29, #0", "mov x30, #0", "bl {main}", main = sym super::main);

    /// Makes a system call.
    ///
    /// # Safety
    /// The arguments must be valid for the call.
    pub unsafe fn call(number: usize, first: usize, second: usize, third: usize) -> isize {
        let result;
        // SAFETY: the caller guarantees valid arguments. The kernel changes no other register.
        unsafe {
            asm!("svc 0", in("x8") number, inlateout("x0") first => result, in("x1") second, in("x2") third,
                options(nostack));
        }
        result
    }
}

use calls::{EXIT, GET_TIME, READ, WRITE, call};

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    exit(1)
}

fn exit(code: usize) -> ! {
    loop {
        // SAFETY: the call takes a number.
        unsafe { call(EXIT, code, 0, 0) };
    }
}

/// Calls a function of the library with up to four arguments, numbers or pointers. Returns its result, or
/// [`NO_FUNCTION`] if the library does not have it.
///
/// # Safety
/// The arguments must be valid for the function.
unsafe fn ask(function: usize, arguments: [usize; 4]) -> u32 {
    type Function = unsafe extern "C" fn(usize, usize, usize, usize) -> u32;
    // SAFETY: the loader has filled the table. All functions take at most four arguments in registers; further ones are ignored.
    unsafe {
        let address = read_volatile((&raw const FUNCTIONS).cast::<usize>().add(function));
        if address == 0 {
            return NO_FUNCTION as u32;
        }
        core::mem::transmute::<usize, Function>(address)(arguments[0], arguments[1], arguments[2], arguments[3])
    }
}

/// Returns the 32-bit number that a function writes to the address in its last argument, or [`MISSING`].
///
/// # Safety
/// The arguments must be valid for the function.
unsafe fn number(function: usize, gpu: usize, kind: Option<usize>) -> u64 {
    let mut value = 0_u32;
    let place = &raw mut value as usize;
    // SAFETY: the caller guarantees valid arguments, and the address is that of a local variable.
    let result = unsafe {
        match kind {
            Some(kind) => ask(function, [gpu, kind, place, 0]),
            None => ask(function, [gpu, place, 0, 0]),
        }
    };
    // SAFETY: the library may have written to it.
    if result == SUCCESS { u64::from(unsafe { read_volatile(&raw const value) }) } else { MISSING }
}

/// Reads the state of a GPU into its words.
fn look(gpu: usize, is_full: bool, words: &mut [u64; GPU_WORDS]) {
    // SAFETY: every address is that of a variable with the size that NVML's reference states for the function.
    unsafe {
        let mut rates = [0_u32; 2];
        if ask(GET_UTILIZATION, [gpu, &raw mut rates as usize, 0, 0]) == SUCCESS {
            let rates = read_volatile(&raw const rates);
            (words[BUSY], words[MEMORY_BUSY]) = (u64::from(rates[0]), u64::from(rates[1]));
        }
        // The version, the total, the reserved, the free and the used bytes.
        let mut memory = [u64::from(MEMORY_VERSION), 0, 0, 0, 0];
        // The total, the free and the used bytes. Older drivers count reserved memory as used.
        let mut old_memory = [0_u64; 3];
        if ask(GET_MEMORY_V2, [gpu, &raw mut memory as usize, 0, 0]) == SUCCESS {
            let memory = read_volatile(&raw const memory);
            (words[MEMORY_TOTAL], words[MEMORY_USED]) = (memory[1], memory[4]);
        } else if ask(GET_MEMORY, [gpu, &raw mut old_memory as usize, 0, 0]) == SUCCESS {
            let memory = read_volatile(&raw const old_memory);
            (words[MEMORY_TOTAL], words[MEMORY_USED]) = (memory[0], memory[2]);
        }
        words[POWER] = number(GET_POWER, gpu, None);
        words[TEMPERATURE] = number(GET_TEMPERATURE, gpu, Some(GPU_SENSOR));
        words[CLOCK] = number(GET_CLOCK, gpu, Some(SM_CLOCK));
        let mut reasons = 0_u64;
        let place = &raw mut reasons as usize;
        if ask(GET_REASONS, [gpu, place, 0, 0]) == SUCCESS || ask(GET_OLD_REASONS, [gpu, place, 0, 0]) == SUCCESS {
            words[REASONS] = read_volatile(&raw const reasons);
        }
        if !is_full {
            return;
        }
        words[POWER_LIMIT] = number(GET_POWER_LIMIT, gpu, None);
        words[MAX_CLOCK] = number(GET_MAX_CLOCK, gpu, Some(SM_CLOCK));
        let mut errors = 0_u64;
        if ask(GET_ECC, [gpu, UNCORRECTED, VOLATILE, &raw mut errors as usize]) == SUCCESS {
            words[MEMORY_ERRORS] = read_volatile(&raw const errors);
        }
        let name = words.as_mut_ptr().add(NAME);
        for word in 0..NAME_WORDS {
            name.add(word).write_volatile(0);
        }
        // A name that does not fit is left out.
        ask(GET_NAME, [gpu, name as usize, NAME_WORDS * 8, 0]);
    }
}

/// Fills the answer with the state of all GPUs. Returns the number of words.
fn answer(is_full: bool, answer: &mut [u64]) -> usize {
    let mut count = 0_u32;
    // SAFETY: the address is that of a local variable.
    let error = unsafe { ask(GET_COUNT, [&raw mut count as usize, 0, 0, 0]) };
    // SAFETY: the library may have written to it.
    let count = (unsafe { read_volatile(&raw const count) } as usize).min(MAX_GPUS);
    let (header, gpus) = answer.split_at_mut(HEADER_WORDS);
    header[ERROR] = u64::from(error);
    header[COUNT] = if error == SUCCESS { count as u64 } else { 0 };
    for (at, words) in gpus.as_chunks_mut::<GPU_WORDS>().0.iter_mut().enumerate().take(header[COUNT] as usize) {
        for word in words.iter_mut() {
            *word = MISSING;
        }
        let mut gpu = 0_usize;
        // SAFETY: the address is that of a local variable.
        if unsafe { ask(GET_HANDLE, [at, &raw mut gpu as usize, 0, 0]) } == SUCCESS {
            // SAFETY: the library has written to it.
            look(unsafe { read_volatile(&raw const gpu) }, is_full, words);
        }
    }
    header[PROCESSOR_TIME] = processor_time();
    HEADER_WORDS + header[COUNT] as usize * GPU_WORDS
}

fn processor_time() -> u64 {
    let mut time = [0_u64; 2];
    // SAFETY: the address is that of a local variable with the size of a `timespec`.
    unsafe {
        call(GET_TIME, PROCESS_TIME, &raw mut time as usize, 0);
        let time = read_volatile(&raw const time);
        time[0] * 1_000_000_000 + time[1]
    }
}

extern "C" fn main() -> ! {
    // SAFETY: nothing else uses the answer: there is one thread, and this function runs once.
    let words = unsafe { &mut *(&raw mut ANSWER) };
    // SAFETY: the function takes no arguments.
    let error = unsafe { ask(INIT, [0; 4]) };
    loop {
        let mut request = 0_u8;
        // SAFETY: the address is that of a local variable of one byte.
        if unsafe { call(READ, 0, &raw mut request as usize, 1) } != 1 {
            exit(0);
        }
        // SAFETY: the kernel has written to it.
        let is_full = unsafe { read_volatile(&raw const request) } == FULL;
        let length = if error == SUCCESS {
            answer(is_full, words)
        } else {
            (words[ERROR], words[PROCESSOR_TIME], words[COUNT]) = (u64::from(error), processor_time(), 0);
            HEADER_WORDS
        };
        // SAFETY: the answer has at least this many bytes.
        if unsafe { call(WRITE, 1, words.as_ptr() as usize, length * 8) } != (length * 8) as isize {
            exit(0);
        }
    }
}
