//! The table of settings. A new setting is one row here.
//!
//! A row contains, in this order: the setting's name, which is also the field of [`Settings`]; its type; the function
//! that reads a value from text, or returns `None` for a text that the setting does not accept; the accepted values
//! and the default, in words; the documentation. `default` is a value that the row's function reads. `unset`
//! describes what happens without a value.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::parse;
use super::setting::{GivenValue, Setting, SettingError};
use super::values::{
    ArgumentStyle, CodePrecedence, HangTimeout, InstallerChoice, LogPrefix, ProtectedPackages, RequirementsChoice,
    Secret, StackChoice, TensorBoardChoice, TensorflowCluster,
};

/// The maximum number of restarts that a user can request.
const MAX_RESTARTS: u32 = 1000;

macro_rules! settings {
    ($($name:ident: $type:ty = $parse:expr, takes $values:literal, $kind:ident $default:literal, $meaning:literal;)+) => {
        /// The values of all settings.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Settings {
            $(
                #[doc = $meaning]
                pub $name: $type,
            )+
        }

        /// Every setting.
        pub const REGISTRY: [Setting; [$($values),+].len()] = [
            $(Setting { name: stringify!($name), values: $values, default: $default, meaning: $meaning },)+
        ];

        impl Default for Settings {
            fn default() -> Settings {
                Settings { $($name: settings!(@ $kind $default, $type, $parse),)+ }
            }
        }

        impl Settings {
            /// Sets every setting that `given` returns a value for, and leaves the others at their defaults.
            pub(super) fn from_given(
                given: impl Fn(&Setting) -> Option<GivenValue>,
            ) -> Result<Settings, SettingError> {
                let mut settings = Settings::default();
                let [$($name),+] = &REGISTRY;
                $(
                    if let Some(value) = given($name) {
                        let parse: fn(&str) -> Option<$type> = $parse;
                        settings.$name = parse(&value.text).ok_or_else(|| value.refused($name))?;
                    }
                )+
                Ok(settings)
            }
        }
    };
    (@ default $default:literal, $type:ty, $parse:expr) => {{
        let parse: fn(&str) -> Option<$type> = $parse;
        parse($default).expect("a default that the setting takes")
    }};
    (@ unset $described:literal, $type:ty, $parse:expr) => {
        <$type>::default()
    };
}

settings! {
    grace_period: Duration = parse::seconds, takes "seconds", default "110",
        "The grace period: the time that processes have to end after SIGTERM or SIGINT before they are killed. The platform \
         kills the container 120 s after SIGTERM.";

    drain_time: Duration = parse::seconds, takes "seconds", default "1",
        "The time for which processes that the script leaves behind may keep running after it has ended. They then get SIGTERM \
         and, after the same time again, SIGKILL.";

    max_restarts: u32 = |text| text.parse().ok().filter(|count| *count <= MAX_RESTARTS), takes "a number from 0 to 1000", default "0",
        "The number of times that the ranks of all hosts are restarted after a rank has failed or the job has hung. \
         A failure that a restart cannot change, such as a syntax error, is not retried. Works with `process`, \
         `per-gpu`, `torchrun`, `jax`, `tensorflow`, `deepspeed` and `accelerate`.";

    max_preemptions: u32 = |text| text.parse().ok().filter(|count| *count <= MAX_RESTARTS), takes "a number from 0 to 1000", default "0",
        "The number of additional restarts after something outside the job has killed a rank (SIGKILL, SIGTERM, SIGINT, \
         SIGHUP).";

    python: Option<String> = parse::text, takes "a path or a name on PATH",
        unset "virtual environment, python3, python",
        "The Python interpreter that runs the script and installs requirements.";

    arguments: Option<ArgumentStyle> = ArgumentStyle::parse, takes "`toolkit`, `json`, `flags`, `none`", unset "toolkit",
        "The form in which hyperparameters are passed as arguments. `toolkit`: as sagemaker-training does (`--flag True`, null \
         is an empty argument). `json`: as JSON (`--flag true`). `flags`: true is a bare `--flag`, false and null are left out. `none`: no \
         arguments. Jobs of SDK version 3 use `json`.";

    command_arguments: bool = parse::switch, takes "`on`, `off`", default "off",
        "`on`: a command (`SourceCode.command` of SDK version 3, `footplate exec`) gets the hyperparameters as arguments after \
         its own, in the form of `arguments`.";

    launcher: Option<String> = parse::text, takes "the name of a launcher", unset "the launcher that the job requests, or process",
        "The launcher that starts the script: footplate itself, or a program of the image such as torchrun. Hosts in instance \
         groups that are not part of the job's distribution run one process.";

    processes_per_host: Option<usize> = |text| parse::count(text).filter(|count| *count > 0).map(Some), takes "a number from 1 to 1024",
        unset "the number in the job's configuration, or one for each GPU or Neuron core",
        "The number of ranks on each host, for every launcher except `process` and `tensorflow`.";

    gpus: Option<usize> = |text| parse::count(text).map(Some), takes "a number from 0 to 1024", unset "the number that the machine has",
        "The number of GPUs that each host is assumed to have. Use it to try a job for many GPUs on a machine without them.";

    torchrun_arguments: Vec<String> = parse::words, takes "words, quoted as in a shell", unset "none",
        "Additional arguments for torchrun, such as `--max-restarts=3 --tee 3`. They follow footplate's own and override them.";

    deepspeed_arguments: Vec<String> = parse::words, takes "words, quoted as in a shell", unset "none",
        "Arguments for DeepSpeed's launcher, such as `--bind_cores_to_rank`. With any argument except `--no_local_rank`, the \
         image's launcher starts the ranks of each host. Otherwise footplate starts them.";

    accelerate_arguments: Vec<String> = parse::words, takes "words, quoted as in a shell", unset "none",
        "Additional arguments for `accelerate launch`, such as `--mixed_precision bf16 --config_file accelerate.yaml`. They follow \
         footplate's own and override them.";

    ray_arguments: Vec<String> = parse::words, takes "words, quoted as in a shell", unset "none",
        "Additional arguments for `ray start` on every host, such as `--num-cpus=8 --resources '{\"big\": 1}'`. They follow \
         footplate's own and override them.";

    ray_head_group: Option<String> = parse::text, takes "an instance group", unset "that of the first host",
        "The instance group whose first host is Ray's head and runs the script, such as one without GPUs.";

    dask_arguments: Vec<String> = parse::words, takes "words, quoted as in a shell", unset "none",
        "Additional arguments for the Dask worker on every host, such as `--nthreads=4 --memory-limit=8GB`. They follow \
         footplate's own and override them.";

    tensorflow_cluster: Option<TensorflowCluster> = TensorflowCluster::parse, takes "`toolkit`, `coordinator`",
        unset "coordinator",
        "The layout under `tensorflow-ps`. `toolkit`: the script runs on every host, with a `master` in TF_CONFIG. \
         `coordinator`: the script is TensorFlow 2's coordinator on the first host.";

    log_prefix: LogPrefix = LogPrefix::parse, takes "`auto`, `on`, `off`", default "auto",
        "The prefix `[host:rank]` of each line of the script. `auto`: only if footplate relays the lines of several \
         ranks.";

    progress_interval: Option<Duration> = |text| parse::seconds(text).map(|time| Some(time).filter(|time| !time.is_zero())),
        takes "seconds", default "0",
        "If greater than 0, a progress bar that redraws its line with `\\r` is logged as separate lines, at most one per this \
         interval. 0 relays progress bars unchanged.";

    record: bool = parse::switch, takes "`on`, `off`", default "on",
        "The run record, `output/data/footplate/<host>/run.json`. `off`: no record is written.";

    report: bool = parse::switch, takes "`on`, `off`", default "off",
        "The report, an HTML page made from the run record, the resources and the metrics. `on`: the master host writes \
         `output/data/footplate/report.html` at the end of the job. `footplate report` writes it at any time.";

    resource_interval: Duration = parse::seconds, takes "seconds", default "5",
        "The interval at which the use of processors, memory, disks, networks and GPUs is recorded. 0 turns this off.";

    metrics: Option<String> = parse::text, takes "a file name", unset "only the job's definitions",
        "A file with additional metric definitions, relative to the code folder: a list such as `[{\"Name\": \"loss\", \"Regex\": \
         \"loss: (\\\\S+)\"}]`.";

    tensorboard: TensorBoardChoice = TensorBoardChoice::parse, takes "`off`, `on`, a folder", default "off",
        "An event file for TensorBoard with the job's metrics and its use of resources. `on`: in the folder that \
         tensorboardoutputconfig.json names, or in `/opt/ml/output/tensorboard`.";

    hang_timeout: HangTimeout = HangTimeout::parse, takes "`off`, seconds, `auto`", default "off",
        "The job counts as hung, and ends with exit code 124, after this time without output from any rank and without a new \
         checkpoint. `auto`: five times the longest silence so far, but at least ten minutes, and at least an hour before the \
         first metric.";

    stacks: StackChoice = StackChoice::parse, takes "`auto`, `signal`, `off`", default "auto",
        "The way in which the stacks of ranks are read after a hang, on SIGQUIT and for `footplate stacks`. `auto`: from the \
         memory of Python, or else from /proc. `signal`: as `auto`, but a Python whose memory cannot be read prints its stacks \
         on a signal. For this, footplate puts a folder of its own at the beginning of `PYTHONPATH`.";

    log_rules: Option<String> = parse::text, takes "a file name", unset "none",
        "A file with rules about log lines, relative to the code folder, in the schema of HyperPod's log monitoring: a list such as \
         `[{\"name\": \"loss\", \"logPattern\": \"loss: (.+)\", \"expectedRecurringFrequencyInSeconds\": 300}]`.";

    requirements: RequirementsChoice = RequirementsChoice::parse, takes "`on`, `off`, a file name", default "on",
        "The requirements that are installed before the start. `on`: requirements.txt, if the code folder has one. A file \
         name: that file in the code folder, which can also be a pyproject.toml or a uv.lock.";

    installer: InstallerChoice = InstallerChoice::parse, takes "`auto`, `uv`, `pip`", default "auto",
        "The program that installs requirements. `auto`: uv if the image has it and it can do all that pip would do, otherwise \
         pip.";

    uv: Option<String> = parse::text, takes "a path or a name on PATH", unset "on PATH, or beside Python",
        "The uv program that installs requirements.";

    protected_packages: ProtectedPackages = ProtectedPackages::parse, takes "`off`, `on`, `name,…`", default "off",
        "Packages that requirements must leave at the image's version. `on`: torch, tensorflow, jax, numpy and the packages that \
         belong to them.";

    code_precedence: CodePrecedence = CodePrecedence::parse, takes "`supplied`, `baked-in`", default "supplied",
        "The code that is used if the image has code in its code folder and the job supplies code too. sagemaker-training \
         silently keeps the code of the image.";

    master_port: u16 = parse::port, takes "a port from 1 to 65535", default "7777",
        "MASTER_PORT, the port on the master host at which the ranks of a distributed job meet.";

    cluster_port: Option<u16> = |text| if text == "off" { Some(None) } else { parse::port(text).map(Some) },
        takes "a port from 1 to 65535, `off`", default "7778",
        "The port on the master host to which the hosts of a job connect, so that they start and fail together. `off`: they do \
         not connect.";

    cluster_key: Option<Secret> = |text| Some(Some(Secret::parse(text)?)),
        takes "a secret of at least 16 bytes, such as one from `head -c 32 /dev/urandom | base64`",
        unset "derived from the job's configuration",
        "The secret by which the hosts prove to each other that they belong to the same job. It must be the same on all hosts. \
         Set it as a secret variable if others who know the job's whole configuration can reach its network.";

    cluster_timeout: Duration = parse::seconds, takes "seconds", default "900",
        "The time for which a launcher that needs every host waits for a host that has not joined.";

    min_hosts: Option<usize> = |text| parse::count(text).filter(|count| *count > 0).map(Some), takes "a number from 1 to 1024",
        unset "every host",
        "Under `ray` and `dask`, the number of hosts with which the job starts after `cluster_timeout`, and with which it \
         continues after others are lost. The master host and the host of the script are always needed.";

    service_time: Duration = parse::seconds, takes "seconds", default "300",
        "The time in which a service of an engine, such as a Ray worker, must become ready, at most `cluster_timeout`.";

    service_log: bool = |text| if parse::is_on(text) { Some(true) } else if parse::is_off(text) { Some(false) } else { None },
        takes "`on`, `off`", default "on",
        "The output of services in the log. `off`: only the last 200 lines of each stream are kept, in \
         `output/data/footplate/<host>/<service>.log`.";

    host_addresses: BTreeMap<String, IpAddr> = parse::addresses, takes "`host=address,…`",
        unset "the addresses to which the hosts' names resolve",
        "The addresses of hosts that are neither in the hosts file nor in DNS.";
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{REGISTRY, Settings};
    use crate::job::settings::setting::GivenValue;
    use crate::job::settings::{LogPrefix, ProtectedPackages, RequirementsChoice, SettingError};

    /// Sets one setting, as the command line would.
    fn set(name: &str, text: &str) -> Result<Settings, SettingError> {
        Settings::from_given(|setting| {
            (setting.name == name).then(|| GivenValue { text: text.to_owned(), place: format!("--set {name}") })
        })
    }

    #[test]
    fn every_setting_of_the_registry_can_be_set() {
        for setting in &REGISTRY {
            let value = match setting.name {
                "arguments" => "json",
                "launcher" => "mpi",
                "log_prefix" => "on",
                "record" | "service_log" => "off",
                "report" => "on",
                "tensorflow_cluster" => "toolkit",
                "command_arguments" => "on",
                "installer" => "uv",
                "code_precedence" => "baked-in",
                "host_addresses" => "algo-1=127.0.0.2, algo-2=::1",
                "cluster_key" => "sixteen bytes or",
                "stacks" => "signal",
                _ => "7",
            };
            let set = set(setting.name, value).expect(setting.name);
            assert_ne!(set, Settings::default(), "{} changes nothing", setting.name);
        }
    }

    #[test]
    fn values_beyond_what_a_setting_takes_are_refused() {
        for (name, texts) in [
            ("grace_period", &["-1", "soon", "inf", "NaN", "1000000001"][..]),
            ("processes_per_host", &["0", "1025", "x", "-1"]),
            ("gpus", &["1025", "many"]),
            ("max_restarts", &["1001", "-1"]),
            ("master_port", &["0", "65536", "off"]),
            ("cluster_port", &["0", "65536", "on"]),
            ("torchrun_arguments", &["--tee '3"]),
            ("installer", &["conda"]),
            ("log_prefix", &["maybe"]),
            ("host_addresses", &["algo-1", "algo-1=x", "algo-1=127.0.0.1 algo-2=127.0.0.2"]),
        ] {
            for text in texts {
                let error = set(name, text).expect_err(text).to_string();
                assert!(error.starts_with(&format!("--set {name} is {text:?}, but takes ")), "{error}");
            }
        }
    }

    #[test]
    fn a_number_out_of_range_is_refused_with_the_range() {
        for (name, text, range) in [
            ("max_restarts", "1001", "from 0 to 1000"),
            ("max_preemptions", "-1", "from 0 to 1000"),
            ("processes_per_host", "0", "from 1 to 1024"),
            ("min_hosts", "1025", "from 1 to 1024"),
            ("gpus", "1025", "from 0 to 1024"),
            ("master_port", "0", "from 1 to 65535"),
            ("cluster_port", "65536", "from 1 to 65535"),
        ] {
            let error = set(name, text).expect_err(text).to_string();
            assert!(error.contains(range), "{error}");
        }
    }

    #[test]
    fn a_short_key_is_refused_without_being_shown() {
        for short in ["hunter2", "fifteen bytes o", "  fifteen bytes o  "] {
            let error = set("cluster_key", short).expect_err(short).to_string();
            let said =
                "--set cluster_key is ******, but takes a secret of at least 16 bytes, such as one from `head -c 32 ";
            assert!(error.starts_with(said), "{error}");
            assert!(!error.contains(short.trim()), "{error}");
        }
    }

    #[test]
    fn the_least_and_the_greatest_values_are_taken() {
        assert_eq!(set("grace_period", " 0 ").expect("0").grace_period, Duration::ZERO);
        assert_eq!(set("grace_period", "1e9").expect("30 years").grace_period, Duration::from_secs(1_000_000_000));
        assert_eq!(set("processes_per_host", "1").expect("1").processes_per_host, Some(1));
        assert_eq!(set("processes_per_host", "1024").expect("1024").processes_per_host, Some(1024));
        assert_eq!(set("gpus", "0").expect("0").gpus, Some(0));
        assert_eq!(set("master_port", "65535").expect("a port").master_port, 65535);
        assert_eq!(set("cluster_port", "off").expect("off").cluster_port, None);
        assert_eq!(set("progress_interval", "0").expect("0").progress_interval, None);
        assert_eq!(
            set("progress_interval", "0.5").expect("a time").progress_interval,
            Some(Duration::from_millis(500))
        );
        assert_eq!(set("host_addresses", " , ").expect("none").host_addresses.len(), 0);
    }

    #[test]
    fn on_and_off_are_taken_in_all_their_spellings() {
        for on in ["on", "true", "True", "1", "yes"] {
            assert_eq!(set("log_prefix", on).expect(on).log_prefix, LogPrefix::On);
            assert_eq!(set("requirements", on).expect(on).requirements, RequirementsChoice::Default);
            assert_eq!(set("protected_packages", on).expect(on).protected_packages, ProtectedPackages::Frameworks);
        }
        for off in ["off", "false", "False", "0", "no"] {
            assert_eq!(set("requirements", off).expect(off).requirements, RequirementsChoice::Off);
            assert_eq!(set("protected_packages", off).expect(off).protected_packages, ProtectedPackages::Nothing);
        }
        let named = ProtectedPackages::Packages(vec!["torch".to_owned(), "numpy".to_owned()]);
        assert_eq!(set("protected_packages", "torch, numpy,").expect("names").protected_packages, named);
    }

    #[test]
    fn the_defaults_are_those_that_the_contracts_ask_for() {
        let defaults = Settings::default();
        assert_eq!(defaults.grace_period, Duration::from_secs(110));
        assert_eq!(defaults.drain_time, Duration::from_secs(1));
        assert_eq!(defaults.progress_interval, None);
        assert_eq!((defaults.master_port, defaults.cluster_port), (7777, Some(7778)));
        assert_eq!(defaults.cluster_timeout, Duration::from_secs(900));
        assert_eq!(defaults.requirements, RequirementsChoice::Default);
    }
}
