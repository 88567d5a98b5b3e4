//! Has a release linked without what only unwinding needs, with equal functions once, and with the code that every job runs
//! side by side, and builds the helper that samples NVIDIA GPUs (src/system/kernel/gpu_helper).
//! The helper needs no C compiler and no C library: the linker is the one that comes with rustc, and the library that the helper
//! names is an empty one. For a target that rustc does not use its own linker for, the linker that cargo is told links the helper.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of the helper.
const FOLDER: &str = "src/system/kernel/gpu_helper";

/// The linker's scripts of a release: one leaves out what only unwinding needs, and one puts the code that every job runs side by
/// side. `release/order` writes the second.
const SCRIPTS: [&str; 2] = ["release/no-unwinding.ld", "release/order.ld"];

/// The library of NVIDIA's driver.
const LIBRARY: &str = "libnvidia-ml.so.1";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={FOLDER}/program.rs");
    println!("cargo::rerun-if-changed={FOLDER}/layout.rs");
    if env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        // A release ends at a panic: nothing searches its frames, so neither they nor their index are needed.
        println!("cargo::rustc-link-arg-bins=-Wl,--no-eh-frame-hdr");
        let folder = env::current_dir().expect("cargo sets it");
        for script in SCRIPTS {
            println!("cargo::rerun-if-changed={script}");
            println!("cargo::rustc-link-arg-bins=-Wl,-T,{}", folder.join(script).display());
        }
        if links_with_lld() {
            // Equal functions, such as those of generics with different types, become one: nothing compares their addresses.
            println!("cargo::rustc-link-arg-bins=-Wl,--icf=all");
        }
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let program = out.join("gpu-helper");
    let built = build(&out, &program, &Linker::of_rustc()).or_else(|problem| match Linker::of_cargo() {
        Some(linker) => build(&out, &program, &linker).map_err(|other| format!("{problem}; {other}")),
        None => Err(problem),
    });
    if let Err(problem) = built {
        println!("cargo::warning=GPUs will be sampled by nvidia-smi only: the helper cannot be built ({problem})");
        std::fs::write(&program, "").expect("the folder of the build can be written to");
    }
}

/// Returns true if rustc links the binary with the LLD that comes with it. Its default on this target is LLD since 1.90, but a
/// distribution's rustc may lack it.
fn links_with_lld() -> bool {
    const TARGET: &str = "x86_64-unknown-linux-gnu";
    if env::var("TARGET").as_deref() != Ok(TARGET) || env::var_os("RUSTC_LINKER").is_some() {
        return false;
    }
    let rustc = env::var_os("RUSTC").expect("cargo sets it");
    let sysroot =
        Command::new(rustc).args(["--print", "sysroot"]).output().map(|output| output.stdout).unwrap_or_default();
    let sysroot = PathBuf::from(String::from_utf8_lossy(&sysroot).trim().to_owned());
    sysroot.join("lib/rustlib").join(TARGET).join("bin/gcc-ld/ld.lld").exists()
}

/// A linker for the helper.
struct Linker {
    /// The options of rustc's code generation.
    options: Vec<String>,
    /// The text before an argument that is for the linker itself.
    prefix: &'static str,
}

impl Linker {
    /// Returns the linker that comes with rustc.
    fn of_rustc() -> Linker {
        let options = ["linker=rust-lld", "linker-flavor=ld.lld", "link-self-contained=no"];
        Linker { options: options.map(str::to_owned).to_vec(), prefix: "" }
    }

    /// Returns the compiler that cargo is told to link with; `None` if it is told none.
    fn of_cargo() -> Option<Linker> {
        let linker = format!("linker={}", env::var("RUSTC_LINKER").ok()?);
        let options = ["linker-flavor=gcc", "link-arg=-nostdlib", "link-arg=-nostartfiles", "link-arg=-Wl,-z,norelro"];
        let options = [linker].into_iter().chain(options.map(str::to_owned)).collect();
        Some(Linker { options, prefix: "-Wl," })
    }
}

fn build(out: &Path, program: &Path, linker: &Linker) -> Result<(), String> {
    let loader = match env::var("CARGO_CFG_TARGET_ARCH").expect("cargo sets it").as_str() {
        "x86_64" => "/lib64/ld-linux-x86-64.so.2",
        "aarch64" => "/lib/ld-linux-aarch64.so.1",
        other => return Err(format!("no NVIDIA driver is known for {other}")),
    };
    // The empty library is needed for its name alone.
    let (empty, library) = (out.join("empty.rs"), out.join(LIBRARY));
    let source = "#![no_std]\n#[panic_handler]\nfn panic(_: &core::panic::PanicInfo<'_>) -> ! { loop {} }\n";
    std::fs::write(&empty, source).map_err(|error| error.to_string())?;
    let for_linker = |text: String| format!("{}{text}", linker.prefix);
    let name = for_linker(format!("-soname={LIBRARY}"));
    compile(&empty, &library, "cdylib", linker, &[name])?;
    let loader = for_linker(format!("--dynamic-linker={loader}"));
    let needs = [for_linker("--no-as-needed".to_owned()), library.display().to_string(), loader];
    compile(&Path::new(FOLDER).join("program.rs"), program, "bin", linker, &needs)
}

fn compile(source: &Path, output: &Path, kind: &str, linker: &Linker, needs: &[String]) -> Result<(), String> {
    let mut command = Command::new(env::var_os("RUSTC").expect("cargo sets it"));
    command.arg(source).arg("-o").arg(output).arg("--target").arg(env::var_os("TARGET").expect("cargo sets it"));
    command.args(["--edition", "2024", "--crate-type", kind, "--crate-name", "gpu_helper"]);
    let options = [
        "panic=abort",
        "opt-level=s",
        "lto=fat",
        "strip=symbols",
        "target-feature=-crt-static",
        "relocation-model=pic",
    ];
    let arguments = needs.iter().map(|argument| format!("link-arg={argument}"));
    for option in options.map(str::to_owned).into_iter().chain(linker.options.iter().cloned()).chain(arguments) {
        command.arg("-C").arg(option);
    }
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().replace('\n', " "))
    }
}
