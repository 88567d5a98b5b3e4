//! Hints about programs in other languages: Java, Node, R, Julia, Perl, Ruby.

use super::HintFacts;
use super::facts::HintRow;

/// Returns the hint for a package of another language that is not installed.
pub(super) fn missing_package(facts: &HintFacts<'_>) -> Option<String> {
    let quote = |start: &str| facts.between(start, "’").or_else(|| facts.between(start, "'"));
    let is_of_r = facts.claimed().starts_with("Error") || facts.claims(&["Error in "]).is_some();
    if is_of_r
        && let Some(package) = quote("there is no package called ‘").or_else(|| quote("there is no package called '"))
    {
        return Some(format!(
            "the R package {package} is not in the image; install it there (Rscript -e \"install.packages('{package}')\")"
        ));
    }
    if let Some(module) =
        facts.between("Cannot find module '", "'").or_else(|| facts.between("Cannot find package '", "'"))
        && facts.exception().is_none_or(|name| matches!(name, "Error" | "TypeError" | "SyntaxError" | "Uncaught"))
    {
        return Some(if module.starts_with(['.', '/']) {
            format!("the file {module} is not in the image; add it to the source folder, or correct its path")
        } else {
            format!(
                "the Node package {module} is not installed; add it to package.json and run npm install (npm ci) when the image is built"
            )
        });
    }
    if let Some(package) = facts.between("ArgumentError: Package ", " not found in current path") {
        return Some(format!(
            "the Julia package {package} is not in the image; install it there (julia -e 'using Pkg; Pkg.add(\"{package}\")')"
        ));
    }
    if let Some(module) = facts.between("in @INC (you may need to install the ", " module)") {
        return Some(format!(
            "the Perl module {module} is not in the image; install it there (cpan {module}, or the distribution's package)"
        ));
    }
    facts.claims(&["LoadError"])?;
    let gem =
        facts.between("cannot load such file -- ", " ").or_else(|| facts.between("cannot load such file -- ", ""))?;
    Some(format!(
        "the Ruby library {gem} is not in the image; install its gem there (gem install), or add it to the Gemfile"
    ))
}

/// Returns the hint for an error whose wording states the reason.
pub(super) fn advice(facts: &HintFacts<'_>) -> Option<String> {
    // V8 aborts after its own message, which is not the last line.
    let is_abort = facts.was_killed_by(nix::libc::SIGABRT);
    if is_abort && facts.logged("JavaScript heap out of memory").is_some() {
        return Some(HEAP.to_owned());
    }
    // A thread that Java could not start is a matter of another limit.
    if facts.claims(NO_THREAD).is_some() {
        return None;
    }
    facts.advice(ROWS)
}

/// Java's errors about a thread that it could not start.
const NO_THREAD: &[&str] = &["unable to create native thread", "unable to create new native thread"];

const HEAP: &str = "Node's own limit of the heap was reached, not the container's; raise it (NODE_OPTIONS=--max-old-space-size=8192, in MB), or use less memory";

const ROWS: &[HintRow] = &[
    HintRow {
        wordings: &["E: Unable to locate package ", "E: Package '*' has no installation candidate"],
        hint: "apt knows no such package; run apt-get update directly before (images mostly keep no lists), and check the name in the image's release of \
               the distribution",
    },
    HintRow {
        wordings: &[" is not available for this version of R", " is not available (for R version"],
        hint: "the repository has no such package for the image's R; check the spelling (R distinguishes case), take an older version from the \
               archive, or an image with another R",
    },
    HintRow {
        wordings: &[
            "Couldn't find package \"*\" on the \"npm\" registry",
            "Couldn't find any versions for \"",
            "Could not find a valid gem '",
            "which doesn't match any versions, version solving failed",
            "no matching package named `*` found",
        ],
        hint: "the registry has no such package or version; check the spelling and the version, and which registry is set",
    },
    HintRow { wordings: &["JavaScript heap out of memory", "ERR_WORKER_OUT_OF_MEMORY"], hint: HEAP },
    HintRow {
        wordings: &[
            "java.lang.OutOfMemoryError: Java heap space",
            "java.lang.OutOfMemoryError: GC overhead limit exceeded",
        ],
        hint: "Java's own limit of the heap was reached, not the container's; raise it (java -Xmx…, JAVA_TOOL_OPTIONS=-Xmx…, for Spark spark.driver.memory and \
               spark.executor.memory), or use less memory",
    },
    HintRow {
        wordings: &[
            "java.lang.OutOfMemoryError: Metaspace",
            "java.lang.OutOfMemoryError: Compressed class space",
            "java.lang.OutOfMemoryError: Direct buffer memory",
            "java.lang.OutOfMemoryError: Cannot reserve * bytes of direct buffer memory",
        ],
        hint: "one of Java's own limits of memory was reached; raise it (-XX:MaxMetaspaceSize, -XX:CompressedClassSpaceSize, -XX:MaxDirectMemorySize)",
    },
    HintRow {
        wordings: &[
            "java.lang.OutOfMemoryError: Requested array size exceeds VM limit",
            "java.lang.OutOfMemoryError: Required array length",
            "java.lang.OutOfMemoryError: Required array size too large",
            "java.lang.OutOfMemoryError: Required length exceeds implementation limit",
        ],
        hint: "the program asked for an array that is longer than Java allows (2^31 elements, whatever the heap); split the data (for Spark: more partitions)",
    },
    HintRow {
        wordings: &["java.lang.OutOfMemoryError: Map failed", "java.lang.OutOfMemoryError: * Map failed"],
        hint: "Java could not map a file into memory, which the heap does not limit; map less at a time, or ask for a higher vm.max_map_count",
    },
    HintRow {
        wordings: &["java.lang.OutOfMemoryError"],
        hint: "Java was refused memory; raise its limit (-Xmx, JAVA_TOOL_OPTIONS) within the container's memory, or use less",
    },
    HintRow {
        wordings: &["UnsupportedClassVersionError", "has been compiled by a more recent version of the Java Runtime"],
        hint: "the class was compiled for a newer Java than the image's; install that Java in the image, or compile for the older one (--release)",
    },
    HintRow {
        wordings: &[
            "Java gateway process exited before sending its port number",
            "JAVA_HOME is not set",
            "JAVA_HOME is not defined",
            "No such file or directory: 'java'",
            "java: not found",
            "java: command not found",
            "Unable to locate a Java Runtime",
        ],
        hint: "Java was not found or did not start; install it in the image (apt-get install default-jre-headless) and set JAVA_HOME to it",
    },
    HintRow {
        wordings: &[
            "Unable to access jarfile",
            "Could not find or load main class",
            "java.lang.ClassNotFoundException",
            "java.lang.NoClassDefFoundError",
        ],
        hint: "Java did not find the class or jar; put the jar into the source folder or image, and name it by -jar or -cp (for Spark: --jars)",
    },
];
