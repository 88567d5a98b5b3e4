//! Hints about names and syntax that only other versions of Python or of a library have.

use super::HintFacts;
use super::facts::HintRow;

/// Returns the hint for an error whose wording shows which version is needed.
pub(super) fn advice(facts: &HintFacts<'_>) -> Option<String> {
    facts.advice(ROWS).or_else(|| hidden(facts)).or_else(|| renamed(facts))
}

/// Classes of libraries whose arguments change between releases, grouped by the package whose version must be set.
const RENAMING: &[(&str, &[&str])] = &[
    ("transformers", &["TrainingArguments", "Seq2SeqTrainingArguments", "Seq2SeqTrainer", "BitsAndBytesConfig"]),
    (
        "trl",
        &[
            "SFTConfig",
            "SFTTrainer",
            "DPOConfig",
            "DPOTrainer",
            "GRPOConfig",
            "GRPOTrainer",
            "PPOConfig",
            "PPOTrainer",
            "RewardConfig",
            "RewardTrainer",
        ],
    ),
    ("peft", &["LoraConfig", "PeftConfig"]),
    ("accelerate", &["Accelerator"]),
    ("scikit-learn", &["OneHotEncoder"]),
];

/// Returns the hint for an argument that the installed release of a library does not have.
pub(super) fn renamed(facts: &HintFacts<'_>) -> Option<String> {
    let rest = facts.claimed().strip_prefix("TypeError: ")?;
    let (class, _) = rest.split_once(".__init__() got an unexpected keyword argument '")?;
    let argument = facts.between("got an unexpected keyword argument '", "'")?;
    let (package, _) = RENAMING.iter().find(|(_, classes)| classes.contains(&class))?;
    Some(format!(
        "{class} of the installed {package} has no argument {argument}; it was renamed or removed, or is newer: change the code, or set the \
         version that it was written for in requirements.txt ({package}==…)"
    ))
}

/// Returns the hint for a file of the user that has the name of a module and hides it, so that all names of the module
/// are missing.
fn hidden(facts: &HintFacts<'_>) -> Option<String> {
    let module = facts.between("AttributeError: module '", "' has no attribute '")?;
    let is_name = !module.is_empty() && module.chars().all(|c| c.is_alphanumeric() || c == '_');
    let file = format!("{module}.py");
    let is_file = is_name && OF_PYTHON.contains(&module) && facts.evidence.code_dir.join(&file).is_file();
    is_file.then(|| format!("{file} in the source folder hides Python's own module {module}; rename the file"))
}

/// Modules of Python whose names projects also give to their own files.
const OF_PYTHON: &[&str] = &[
    "abc",
    "ast",
    "asyncio",
    "calendar",
    "code",
    "codecs",
    "collections",
    "copy",
    "csv",
    "datetime",
    "email",
    "enum",
    "glob",
    "gzip",
    "http",
    "inspect",
    "io",
    "json",
    "logging",
    "math",
    "numbers",
    "operator",
    "pickle",
    "platform",
    "profile",
    "queue",
    "random",
    "secrets",
    "select",
    "shutil",
    "signal",
    "socket",
    "ssl",
    "stat",
    "statistics",
    "string",
    "struct",
    "subprocess",
    "tempfile",
    "test",
    "threading",
    "time",
    "token",
    "tokenize",
    "types",
    "typing",
    "uuid",
    "warnings",
    "zipfile",
];

const ROWS: &[HintRow] = &[
    HintRow {
        wordings: &[
            "operator torchvision::*does not exist",
            "Couldn't load custom C++ ops",
            "Detected that PyTorch and torchvision were compiled with different CUDA",
            "Detected that PyTorch and torchaudio were compiled with different CUDA",
            "Detected that PyTorch and TorchAudio were compiled with different CUDA",
        ],
        hint: "torchvision (or torchaudio) was built for another version or CUDA than the installed torch; set versions that belong together in \
               requirements.txt, from one index, and leave torch out of it if the image has it",
    },
    HintRow {
        wordings: &[
            "'DataFrame' object has no attribute 'append'",
            "'Series' object has no attribute 'append'",
            "'DataFrame' object has no attribute 'iteritems'",
            "'Series' object has no attribute 'iteritems'",
            "'DataFrame' object has no attribute 'ix'",
            "'Index' object has no attribute 'is_monotonic'",
            "module 'pandas' has no attribute 'Panel'",
        ],
        hint: "the installed pandas no longer has this name (append is pd.concat, iteritems is items, ix is loc); change the code, or set the \
               pandas that it was written for in requirements.txt (pandas<2)",
    },
    HintRow {
        wordings: &[
            "cannot import name 'Mapping' from 'collections'",
            "cannot import name 'MutableMapping' from 'collections'",
            "cannot import name 'Iterable' from 'collections'",
            "cannot import name 'Sequence' from 'collections'",
            "cannot import name 'Callable' from 'collections'",
            "cannot import name 'Hashable' from 'collections'",
            "module 'collections' has no attribute 'Mapping'",
            "module 'collections' has no attribute 'MutableMapping'",
            "module 'collections' has no attribute 'Iterable'",
            "module 'collections' has no attribute 'Sequence'",
            "module 'collections' has no attribute 'Callable'",
            "module 'collections' has no attribute 'Hashable'",
        ],
        hint: "since Python 3.10 this name is only in collections.abc; import it from there, upgrade the package that imports it, or use an image \
               with an older Python",
    },
    HintRow {
        wordings: &[
            "SyntaxError: f-string: unmatched '['",
            "SyntaxError: f-string: unmatched '('",
            "SyntaxError: f-string expression part cannot include a backslash",
        ],
        hint: "before Python 3.12 an expression in an f-string may have neither the string's own quotes nor a backslash; use other quotes inside, or \
               an image with a newer Python",
    },
];
