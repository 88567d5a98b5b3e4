//! The command line of Open MPI's mpirun, for every launcher that uses it.
//!
//! The options are those that the incumbents give. What only serves ssh is left out; so are credentials, as a command line
//! can be read by everybody.

use super::{Facts, LaunchError, words};
use crate::supervise::keeper;

/// What one launch with mpirun differs in from another.
#[derive(Clone, Debug, Default)]
pub(super) struct Mpirun {
    /// The hosts, in the order of the ranks, each with how many processes it takes: `algo-1:8`.
    pub(super) hosts: Vec<String>,
    /// How many processes there are.
    pub(super) processes: usize,
    /// Whether several hosts are one machine.
    pub(super) is_on_one_machine: bool,
    /// The names of the variables that every rank gets as mpirun has them.
    pub(super) exported: Vec<String>,
    /// The user's own options.
    pub(super) custom: Vec<Vec<u8>>,
}

impl Mpirun {
    /// Whether mpirun says of each piece of its output which rank wrote it, and in no other form than the usual one.
    pub(super) fn is_tagged(&self) -> bool {
        let own = ["timestamp-output", "xml", "output-filename", "output", "merge-stderr-to-stdout", "display"];
        !Custom(&self.custom).names(&own)
    }

    /// Whether footplate may start the ranks in mpirun's place.
    pub(super) fn can_be_kept(&self) -> bool {
        let custom = Custom(&self.custom);
        let is_agent = |name: &&str| name.split_once("_MCA_").is_some_and(|(_, parameter)| custom.sets(parameter));
        let has_agent = keeper::AGENTS.iter().any(is_agent);
        let may_fail = ["orte_abort_on_non_zero_status", "orte_enable_recovery"].iter().any(|name| custom.sets(name))
            || custom.names(&["enable-recovery", "continuous", "recoverable", "runtime-options", "R"]);
        self.is_tagged() && self.maps_by_slot() && !has_agent && !may_fail
    }

    /// Whether the ranks fill the hosts in their order, each to its number.
    pub(super) fn maps_by_slot(&self) -> bool {
        !Custom(&self.custom).names(&[
            "map-by",
            "rank-by",
            "bynode",
            "host",
            "H",
            "hostfile",
            "machinefile",
            "default-hostfile",
            "np",
            "n",
            "c",
            "npernode",
            "N",
            "pernode",
            "ppr",
            "rankfile",
            "rf",
            "nolocal",
            "app",
        ])
    }
}

/// mpirun and all of its options, up to the program that it starts. What the user's own options name is the user's alone:
/// Open MPI would join two values of one parameter.
pub(super) fn mpirun_options(facts: &Facts<'_>, mpirun: &Mpirun) -> Vec<Vec<u8>> {
    let custom = Custom(&mpirun.custom);
    let processes = mpirun.processes.to_string();
    let mut options = words(["mpirun", "--host", &mpirun.hosts.join(","), "-np", &processes, "--allow-run-as-root"]);
    if !custom.names(&["oversubscribe", "nooversubscribe"]) {
        options.extend(words(["--oversubscribe"]));
    }
    // Ranks write their lines in pieces, which mpirun mixes.
    if mpirun.is_tagged() && !custom.names(&["tag-output"]) {
        options.extend(words(["--tag-output"]));
    }
    // Else each rank, with its data loaders, would be bound to one core.
    for (name, value) in [("bind-to", "none"), ("map-by", "slot")] {
        if !custom.names(&[name]) {
            options.extend(words([&format!("--{name}"), value]));
        }
    }
    let interface = Some(facts.job.cluster.network_interface.as_str()).filter(|_| facts.hardware.has_interface);
    for (parameter, value) in [
        ("btl_tcp_if_include", interface),
        ("oob_tcp_if_include", interface),
        ("pml", Some("ob1")),
        // Ranks would share memory with those of hosts that are folders of one machine, and cannot.
        ("btl", Some(if mpirun.is_on_one_machine { "tcp,self" } else { "^openib" })),
        ("orte_abort_on_non_zero_status", Some("1")),
        // Containers without privileges print megabytes of errors otherwise.
        ("btl_vader_single_copy_mechanism", Some("none")),
    ] {
        if let Some(value) = value
            && !custom.sets(parameter)
        {
            options.extend(words(["-mca", parameter, value]));
        }
    }
    for name in &mpirun.exported {
        if !custom.exports(name) {
            options.extend(words(["-x", name]));
        }
    }
    options.extend(mpirun.custom.iter().cloned());
    options
}

/// The user's own options, which are separated by blanks, and the level of `--NCCL_DEBUG`, which is none of mpirun's: the
/// incumbents take it out, and set the variable.
pub(super) fn user_options(text: &str) -> (Vec<Vec<u8>>, Option<String>) {
    let (mut options, mut nccl_debug) = (Vec::new(), None);
    let mut given = text.split_ascii_whitespace();
    while let Some(option) = given.next() {
        match option.strip_prefix("--NCCL_DEBUG") {
            Some("") => nccl_debug = given.next().map(str::to_owned),
            Some(level) if level.starts_with('=') => nccl_debug = Some(level[1..].to_owned()),
            _ => options.push(option.into()),
        }
    }
    (options, nccl_debug)
}

/// The user's options.
struct Custom<'a>(&'a [Vec<u8>]);

impl Custom<'_> {
    /// Whether one of these options is among them, with one or two dashes.
    fn names(&self, names: &[&str]) -> bool {
        let name_of = |word: &[u8]| Some(word.strip_prefix(b"--").or_else(|| word.strip_prefix(b"-"))?.to_vec());
        self.0.iter().filter_map(|word| name_of(word)).any(|name| names.iter().any(|other| other.as_bytes() == name))
    }

    /// Whether a parameter of Open MPI's is among them.
    fn sets(&self, parameter: &str) -> bool {
        self.follows(&["mca", "gmca", "prtemca", "pmixmca"], |word| word == parameter.as_bytes())
    }

    /// Whether a variable is exported by them.
    fn exports(&self, name: &str) -> bool {
        self.follows(&["x"], |word| word.split(|byte| *byte == b'=').next() == Some(name.as_bytes()))
    }

    fn follows(&self, options: &[&str], is_it: impl Fn(&[u8]) -> bool) -> bool {
        self.0.windows(2).any(|pair| Custom(&pair[..1]).names(options) && is_it(&pair[1]))
    }
}

/// mpirun of the image.
pub(super) fn program(facts: &Facts<'_>, what: &str) -> Result<std::path::PathBuf, LaunchError> {
    facts.image.mpirun.clone().ok_or_else(|| {
        LaunchError(format!(
            "the job asks for {what}, and mpirun is not on PATH: install Open MPI in the image, or set \
             FOOTPLATE_LAUNCHER=process"
        ))
    })
}
