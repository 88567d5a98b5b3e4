//! Hints about packages that an installer cannot find, reconcile or build.

use super::HintFacts;
use super::facts::HintRow;

/// Returns the hint for a failed installer that footplate ran, from the installer's error message.
pub(super) fn advice(facts: &HintFacts<'_>) -> Option<String> {
    facts.advice(ROWS_FOR_ANY).or_else(|| facts.advice(ROWS))
}

/// Returns the hint for a failed installer that the script itself ran. Only wordings that no other program uses count.
pub(super) fn advice_for_script(facts: &HintFacts<'_>) -> Option<String> {
    let by_installer = [
        "ERROR: ",
        "npm ERR!",
        "npm error",
        "requirements are unsatisfiable",
        "PackagesNotFoundError",
        "UnsatisfiableError",
    ];
    let is_own = facts.exception().is_none() || facts.claims(&by_installer).is_some();
    facts.advice(ROWS_FOR_ANY).filter(|_| is_own)
}

/// The rows whose wordings no other program uses.
const ROWS_FOR_ANY: &[HintRow] = &[NOT_FOUND, CONFLICT, OTHER_HASH, NO_HASH, MANAGED];

const NOT_FOUND: HintRow = HintRow {
    wordings: &[
        "(from versions: none)",
        "No matching distribution found for",
        "Could not find a version that satisfies the requirement",
        "was not found in the package registry",
        "was not found in the provided package locations",
        "was not found in the cache",
        "there is no version of * requirements are unsatisfiable",
        "there are no versions of * requirements are unsatisfiable",
        "Because only * requirements are unsatisfiable",
        "PackagesNotFoundError",
        "npm error 404",
        "npm ERR! 404",
    ],
    hint: "no index has that package or version; check the spelling and version in the requirements, the Python version, and \
           the index (--index-url, --extra-index-url, --find-links)",
};

const CONFLICT: HintRow = HintRow {
    wordings: &[
        "these package versions have conflicting dependencies",
        "ResolutionImpossible",
        "requirements are unsatisfiable",
        "npm error ERESOLVE",
        "npm ERR! ERESOLVE",
        "UnsatisfiableError",
    ],
    hint: "these requirements exclude each other; loosen or remove one of the version pins in the requirements, or choose \
           versions that agree",
};

const OTHER_HASH: HintRow = HintRow {
    wordings: &["is not the expected one: expected", "Hash mismatch for", "DO NOT MATCH THE HASHES"],
    hint: "the package differs from its hash in the requirements; make the hashes anew (pip-compile --generate-hashes), or \
           pin the version that they belong to",
};

const NO_HASH: HintRow = HintRow {
    wordings: &["--require-hashes mode", "`--require-hashes` mode", "Can't verify hashes for these requirements"],
    hint: "the installer was told to check hashes, by --require-hashes or by a hash of another requirement; give each one a \
           version with == and a hash (pip-compile --generate-hashes), or remove the hashes",
};

const MANAGED: HintRow = HintRow {
    wordings: &["externally-managed-environment", "externally managed"],
    hint: "this Python belongs to the distribution; install into a virtual environment and set FOOTPLATE_PYTHON to its \
           Python, or set PIP_BREAK_SYSTEM_PACKAGES=1",
};

const ROWS: &[HintRow] = &[
    HintRow {
        wordings: &[
            "401 Error",
            "403 Error",
            "401 Unauthorized",
            "403 Forbidden",
            "the credentials",
            "client error (401",
            "client error (403",
        ],
        hint: "the index did not accept the credentials; correct the user and token in its URL (PIP_INDEX_URL, UV_INDEX_URL, \
               pip.conf), or let footplate log in to CodeArtifact (CA_REPOSITORY_ARN)",
    },
    HintRow {
        wordings: &["Requires-Python", "requires a different Python", "does not satisfy Python"],
        hint: "the package, or this version of it, is not for the image's Python version; set another version of the package, \
               or use an image with a Python that it supports",
    },
    HintRow {
        wordings: &[
            "is not a supported wheel on this platform",
            "has no wheels with a matching",
            "not compatible with the current platform",
            "no source distribution",
        ],
        hint: "there is no wheel for this Python version and kind of CPU; set a version that has one, or use an image with \
               another Python",
    },
    HintRow {
        wordings: &["Failed building wheel for", "Failed to build", "build backend returned an error", "(building "],
        hint: "the package was built from source and failed; set a version with a prebuilt wheel for this Python, or build it \
               in the image",
    },
    HintRow {
        wordings: &[
            "Failed to fetch: `",
            "error sending request for url",
            "Could not fetch URL",
            "index could not be reached",
        ],
        hint: UNREACHED,
    },
    HintRow {
        wordings: &["Invalid requirement", "Expected package name", "Couldn't parse requirement"],
        hint: "correct that line of the requirements file",
    },
];

/// Returns the hint for an index that was not reached. It takes precedence over hints about the package.
pub(super) fn unreached(facts: &HintFacts<'_>) -> Option<String> {
    facts.claims(&[
        "index could not be reached",
        "Failed to fetch: `*dns error",
        "Failed to fetch: `*error sending request",
    ])?;
    Some(UNREACHED.to_owned())
}

const UNREACHED: &str = "the package index was not reached; a job in a VPC without NAT, or with network isolation, has no internet: install the \
                         packages in the image, bring wheels in the code (--find-links), or use CodeArtifact";
