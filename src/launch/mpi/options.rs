//! The command line of Open MPI's mpirun, for every engine that uses it.
//!
//! The options are those of the programs that footplate replaces, except those that are only needed for ssh. They
//! contain no credentials, because every user of the machine can read a command line.

use crate::launch::input::{LaunchInput, words};

/// The variables that name the program with which mpirun's daemons start each rank: for Open MPI 4, and for the PRRTE
/// of Open MPI 5.
pub const FORK_AGENTS: [&str; 2] = ["OMPI_MCA_orte_fork_agent", "PRTE_MCA_odls_base_exec_agent"];

/// The parts of mpirun's command line that differ between launches.
#[derive(Clone, Debug, Default)]
pub(super) struct MpirunCommand {
    /// The hosts in the order of the ranks, each with its number of ranks, such as `algo-1:8`.
    pub(super) hosts: Vec<String>,
    /// The number of ranks on all hosts.
    pub(super) processes: usize,
    /// True if the launch has several hosts that are all on one machine.
    pub(super) is_on_one_machine: bool,
    /// The names of the variables that mpirun passes on to every rank.
    pub(super) exported: Vec<String>,
    /// The user's own options.
    pub(super) custom: Vec<Vec<u8>>,
}

impl MpirunCommand {
    /// Returns true if mpirun tags each piece of its output with the rank that wrote it, in the default form.
    pub(super) fn is_tagged(&self) -> bool {
        let own = ["timestamp-output", "xml", "output-filename", "output", "merge-stderr-to-stdout", "display"];
        !Custom(&self.custom).names(&own)
    }

    /// Returns true if footplate may be the keeper of the ranks. This holds if the hosts of the ranks are known, the
    /// user has not set an agent, and no option lets ranks fail without ending the job.
    pub(super) fn can_be_kept(&self) -> bool {
        let custom = Custom(&self.custom);
        let is_agent = |name: &&str| name.split_once("_MCA_").is_some_and(|(_, parameter)| custom.sets(parameter));
        let has_agent = FORK_AGENTS.iter().any(is_agent);
        let may_fail = ["orte_abort_on_non_zero_status", "orte_enable_recovery"].iter().any(|name| custom.sets(name))
            || custom.names(&["enable-recovery", "continuous", "recoverable", "runtime-options", "R"]);
        self.is_tagged() && self.maps_by_slot() && !has_agent && !may_fail
    }

    /// Returns true if the ranks fill the hosts one after another, each up to its number of ranks.
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

/// Returns the word `mpirun` and all of its options, up to the program that mpirun starts. An option that the user
/// sets is left out here, because Open MPI would join two values of one parameter.
pub(super) fn mpirun_options(input: &LaunchInput<'_>, mpirun: &MpirunCommand) -> Vec<Vec<u8>> {
    let custom = Custom(&mpirun.custom);
    let processes = mpirun.processes.to_string();
    let mut options = words(["mpirun", "--host", &mpirun.hosts.join(","), "-np", &processes, "--allow-run-as-root"]);
    if !custom.names(&["oversubscribe", "nooversubscribe"]) {
        options.extend(words(["--oversubscribe"]));
    }
    // Ranks write their lines in pieces, and mpirun mixes the pieces.
    if mpirun.is_tagged() && !custom.names(&["tag-output"]) {
        options.extend(words(["--tag-output"]));
    }
    // By default, mpirun binds each rank, with its data loaders, to one core.
    for (name, value) in [("bind-to", "none"), ("map-by", "slot")] {
        if !custom.names(&[name]) {
            options.extend(words([&format!("--{name}"), value]));
        }
    }
    let interface = Some(input.job.cluster.network_interface.as_str()).filter(|_| input.hardware.has_interface);
    for (parameter, value) in [
        ("btl_tcp_if_include", interface),
        ("oob_tcp_if_include", interface),
        ("pml", Some("ob1")),
        // Ranks on different hosts cannot share memory, although mpirun treats hosts on one machine as a single host.
        ("btl", Some(if mpirun.is_on_one_machine { "tcp,self" } else { "^openib" })),
        ("orte_abort_on_non_zero_status", Some("1")),
        // In containers without privileges, each copy would print an error, which gives megabytes of errors.
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

/// Splits the user's own options at blanks. The level of `--NCCL_DEBUG`, which is not an option of mpirun, is
/// returned separately, because the programs that footplate replaces take it out and set the variable.
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

/// The user's own options of mpirun.
struct Custom<'a>(&'a [Vec<u8>]);

impl Custom<'_> {
    /// Returns true if the user gives one of these options, with one or two dashes.
    fn names(&self, names: &[&str]) -> bool {
        let name_of = |word: &[u8]| Some(word.strip_prefix(b"--").or_else(|| word.strip_prefix(b"-"))?.to_vec());
        self.0.iter().filter_map(|word| name_of(word)).any(|name| names.iter().any(|other| other.as_bytes() == name))
    }

    /// Returns true if the user sets this parameter of Open MPI.
    fn sets(&self, parameter: &str) -> bool {
        self.follows(&["mca", "gmca", "prtemca", "pmixmca"], |word| word == parameter.as_bytes())
    }

    /// Returns true if the user exports this variable.
    fn exports(&self, name: &str) -> bool {
        self.follows(&["x"], |word| word.split(|byte| *byte == b'=').next() == Some(name.as_bytes()))
    }

    /// Returns true if the user gives one of these options, followed by a word for which `is_it` returns true.
    fn follows(&self, options: &[&str], is_it: impl Fn(&[u8]) -> bool) -> bool {
        self.0.windows(2).any(|pair| Custom(&pair[..1]).names(options) && is_it(&pair[1]))
    }
}
