//! The one list of settings.

/// One thing that can be set.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its name: `grace_period` is the variable FOOTPLATE_GRACE_PERIOD and the hyperparameter `footplate_grace_period`.
    pub name: &'static str,
    /// The values that it takes.
    pub values: &'static str,
    /// What holds if it is not set.
    pub default: &'static str,
    /// What it does.
    pub meaning: &'static str,
}

impl Setting {
    /// The environment variable.
    pub fn variable(&self) -> String {
        format!("FOOTPLATE_{}", self.name.to_uppercase())
    }
}

/// Every setting.
pub const REGISTRY: [Setting; 20] = [
    Setting {
        name: "grace_period",
        values: "seconds",
        default: "110",
        meaning: "How long processes may run on after SIGTERM or SIGINT before they are killed. The platform kills the \
                  container 120 s after SIGTERM.",
    },
    Setting {
        name: "drain_time",
        values: "seconds",
        default: "1",
        meaning: "How long processes that the script leaves behind may run on after its end; then they get SIGTERM, and \
                  as long again later SIGKILL.",
    },
    Setting {
        name: "python",
        values: "a path or a name on PATH",
        default: "virtual environment, python3, python",
        meaning: "The Python interpreter that runs the script and installs requirements.",
    },
    Setting {
        name: "arguments",
        values: "`toolkit`, `json`, `flags`, `none`",
        default: "toolkit",
        meaning: "How hyperparameters become arguments. `toolkit`: as sagemaker-training (`--flag True`, null is an empty \
                  argument). `json`: as JSON (`--flag true`). `flags`: true is a bare `--flag`, false and null give \
                  nothing. `none`: no arguments. Jobs of SDK version 3 have `json`.",
    },
    Setting {
        name: "launcher",
        values: "`process`, `per-gpu`, `torchrun`, `mpi`, `smddp`, `xla`",
        default: "what the job asks for, else process",
        meaning: "What starts the script: one process a host, one for each GPU or Neuron core, or the image's own torchrun, \
                  mpirun, smddprun (smdistributed data parallel) or xla_spawn (PyTorch/XLA). Hosts of instance groups that \
                  the job's distribution leaves out run one process.",
    },
    Setting {
        name: "processes_per_host",
        values: "a number",
        default: "what the job says, else one for each GPU or Neuron core",
        meaning: "How many ranks each host has, for every launcher but `process`.",
    },
    Setting {
        name: "gpus",
        values: "a number",
        default: "what the machine has",
        meaning: "How many GPUs each host is taken to have: to try a job of many GPUs on a machine without.",
    },
    Setting {
        name: "torchrun_arguments",
        values: "words, quoted as in a shell",
        default: "none",
        meaning: "Further arguments of torchrun, after footplate's own and stronger than these: `--max-restarts=3 --tee 3`.",
    },
    Setting {
        name: "log_prefix",
        values: "`auto`, `on`, `off`",
        default: "auto",
        meaning: "Whether each line of the script begins with `[host:rank]`. `auto`: where there are several ranks whose lines footplate passes on.",
    },
    Setting {
        name: "progress_interval",
        values: "seconds",
        default: "0",
        meaning: "If more than 0, progress bars that redraw one line with `\\r` become lines, at most one in so many \
                  seconds. 0 passes them on as they are.",
    },
    Setting {
        name: "requirements",
        values: "`on`, `off`, a file name",
        default: "on",
        meaning: "Whether requirements.txt, or another file in the code folder (also a pyproject.toml or a uv.lock), is \
                  installed before the start.",
    },
    Setting {
        name: "installer",
        values: "`auto`, `uv`, `pip`",
        default: "auto",
        meaning: "What installs requirements. `auto`: uv where the image has it and it can do as pip would, else pip.",
    },
    Setting {
        name: "uv",
        values: "a path or a name on PATH",
        default: "on PATH, beside Python",
        meaning: "The uv that installs requirements.",
    },
    Setting {
        name: "protected_packages",
        values: "`off`, `on`, `name,…`",
        default: "off",
        meaning: "Packages that requirements must leave at the image's version. `on`: torch, tensorflow, jax, numpy and what \
                  belongs to them.",
    },
    Setting {
        name: "code_precedence",
        values: "`supplied`, `baked-in`",
        default: "supplied",
        meaning: "Which code wins where the image has code in its code folder and the job supplies some, too. \
                  sagemaker-training silently keeps the baked-in code.",
    },
    Setting {
        name: "master_port",
        values: "a port",
        default: "7777",
        meaning: "MASTER_PORT, the port that the ranks of a distributed job meet at on the master host.",
    },
    Setting {
        name: "cluster_port",
        values: "a port, `off`",
        default: "7778",
        meaning: "The port on the master host at which the hosts of a job meet each other, to start and to fail together. \
                  `off`: they do not.",
    },
    Setting {
        name: "cluster_key",
        values: "a secret",
        default: "derived from the job's configuration",
        meaning: "What hosts prove to each other to have. Set it as a secret variable where others who know the job's whole \
                  configuration can reach its network.",
    },
    Setting {
        name: "cluster_timeout",
        values: "seconds",
        default: "900",
        meaning: "How long a launch that needs every host waits for one that has not come.",
    },
    Setting {
        name: "host_addresses",
        values: "`host=address,…`",
        default: "what the hosts' names resolve to",
        meaning: "The addresses of hosts, where the hosts file and DNS do not know them.",
    },
];
