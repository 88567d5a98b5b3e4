//! Hosts of one job as containers that find each other by name on a network of their own, as on the platform.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::container::{Container, Ended, job_of};
use crate::images;
use crate::job::Job;

/// The upper bound for the end of all hosts after an event that ends the job, also on a machine that does much else. It is less
/// than the grace period, which they take if one of them hangs.
pub const PROMPT: Duration = Duration::from_secs(90);

/// Python code that checks that its host has little: another user than root, and Docker's 64 MiB of shared memory.
pub const HAS_LITTLE: &str = "assert os.getuid() == 1000\n\
                              shared = os.statvfs('/dev/shm')\n\
                              assert shared.f_blocks * shared.f_frsize == 64 << 20, shared\n";

/// A network for the hosts of one job. As in a subnet without access to the internet, packets to addresses outside it are lost
/// without a word, and names outside it cannot be resolved.
pub struct Network {
    pub name: String,
}

impl Network {
    pub fn new() -> Network {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("footplate-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        images::run(Command::new("docker").args(["network", "create", "--internal", &name]));
        Network { name }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["network", "rm", &self.name]).output();
    }
}

/// The jobs of the hosts algo-1, algo-2 and so on, each with its own folders.
pub struct Hosts {
    pub jobs: Vec<Job>,
    pub image: &'static str,
    pub options: Vec<String>,
}

/// Hosts that run. The order of the fields matters: containers must be removed before their network.
pub struct Started<'a> {
    pub containers: Vec<Container<'a>>,
    pub network: Network,
}

impl Hosts {
    pub fn new(count: usize, image: &'static str, script: &str, options: &[&str]) -> Hosts {
        let names: Vec<String> = (1..=count).map(|n| format!("algo-{n}")).collect();
        let job = |name: &String| {
            let resources = serde_json::json!(
                {"current_host": name, "hosts": names, "network_interface_name": "eth0"}
            );
            job_of("train.py", script).file("input/config/resourceconfig.json", resources.to_string())
        };
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        Hosts { jobs: names.iter().map(job).collect(), image, options }
    }

    /// Returns the hosts with further options of their containers.
    pub fn with_options(mut self, options: &[&str]) -> Hosts {
        self.options.extend(options.iter().map(|option| (*option).to_owned()));
        self
    }

    /// Lets every user write into the folders of the jobs.
    pub fn let_others_write(&self) {
        for job in &self.jobs {
            images::run(Command::new("chmod").args(["-R", "a+rwX"]).arg(job.base()));
        }
    }

    /// Runs as many hosts on one machine, by `footplate local --hosts`, in one container. They share its name and its processors,
    /// and each has an address of its own.
    pub fn on_one_machine(&self) -> Ended {
        let count = self.jobs.len().to_string();
        let job = &self.jobs[0];
        let folders = [
            format!("--volume={}:/code:ro", job.path("code").display()),
            format!("--volume={}:/usr/local/bin/footplate:ro", images::BINARY),
        ];
        let options: Vec<&str> = self.options.iter().chain(&folders).map(String::as_str).collect();
        let mut words =
            vec!["footplate", "local", "--hosts", &count, "--source-dir", "/code", "--entry-point", "train.py"];
        words.extend(["--output-dir", "/tmp/output"]);
        // The settings are the hosts', as variables of the job.
        let variables = self.options.iter().filter_map(|option| option.strip_prefix("--env="));
        words.extend(variables.filter(|name| name.starts_with("FOOTPLATE_")).flat_map(|setting| ["--env", setting]));
        Container::start_without_volume(job, self.image, &options, &words).end()
    }

    pub fn start(&self) -> Started<'_> {
        let network = Network::new();
        let container = |(index, job): (usize, _)| {
            let n = index + 1;
            let (name, alias) = (format!("--hostname=algo-{n}"), format!("--network-alias=algo-{n}"));
            let network = format!("--network={}", network.name);
            let binary = images::mounted_as_train();
            let mut options = vec![name.as_str(), &alias, &network, &binary];
            options.extend(self.options.iter().map(String::as_str));
            Container::start(job, self.image, &options, &["train"])
        };
        // The first host starts last. Until then its name cannot be resolved, as can happen on the platform.
        let mut containers: Vec<Container<'_>> = self.jobs.iter().enumerate().rev().map(container).collect();
        containers.reverse();
        Started { containers, network }
    }
}

impl Started<'_> {
    /// Waits until the ranks of all hosts together have written `count` lines that end with a text. Hosts that have ended write
    /// nothing more.
    #[track_caller]
    pub fn until_written(&self, text: &str, count: usize) {
        let what = format!("{text:?} is written {count} times");
        let is_written = self.containers[0].poll_often(&what, || {
            let logs: Vec<(String, bool)> = self.containers.iter().map(Container::logs_so_far).collect();
            let lines = logs.iter().flat_map(|(logs, _)| logs.lines());
            let is_written = lines.filter(|line| line.ends_with(text)).count() >= count;
            (is_written || logs.iter().all(|(_, have_ended)| *have_ended)).then_some(is_written)
        });
        assert!(is_written, "all have ended before {what}\n{}", all(&self.end()));
    }

    /// Waits until every container has ended, and with it all of its processes.
    pub fn end(&self) -> Vec<Ended> {
        self.containers.iter().map(Container::end).collect()
    }

    /// Stops all hosts at once, as the platform does. They must end within [`PROMPT`].
    #[track_caller]
    pub fn stop(&self) -> Vec<Ended> {
        let begun = Instant::now();
        Container::stop_all(&self.containers, Duration::from_secs(60));
        let ended = self.end();
        assert!(begun.elapsed() < PROMPT, "{:?}\n{}", begun.elapsed(), all(&ended));
        ended
    }

    /// Waits until every container has ended, which must happen within [`PROMPT`].
    #[track_caller]
    pub fn end_in_time(&self) -> Vec<Ended> {
        let begun = Instant::now();
        let ended = self.end();
        let took = begun.elapsed();
        assert!(took < PROMPT, "{took:?}\n{}", all(&ended));
        ended
    }
}

/// Checks that all hosts but a killed one name the killed one, whether or not it was the leader.
#[track_caller]
pub fn host_is_lost(ended: &[Ended], victim: usize) {
    for (n, ended) in ended.iter().enumerate() {
        if n == victim {
            assert_eq!((ended.code, ended.failure.as_deref()), (137, None), "{ended}")
        } else {
            failed(ended, 68, &format!("host algo-{} is lost: its connection ", victim + 1), "")
        }
    }
}

/// Checks the failures after the second host was disconnected: the others name it, and it names the first host, the only
/// one to which it had a connection.
#[track_caller]
pub fn host_is_cut_off(ended: &[Ended]) {
    for (n, ended) in ended.iter().enumerate() {
        let lost = if n == 1 { "algo-1" } else { "algo-2" };
        failed(ended, 68, &format!("host {lost} is lost: nothing was heard from it for 12 s\n"), "");
    }
}

/// Returns a message that shows what every host did.
pub fn all(ended: &[Ended]) -> String {
    ended.iter().zip(1..).map(|(ended, n)| format!("=== algo-{n}: {ended}\n")).collect()
}

/// Checks a failure: its exit code, the start of its text, and another part of the text.
#[track_caller]
pub fn failed(ended: &Ended, code: i32, text: &str, line: &str) {
    assert_eq!(ended.code, code, "{ended}");
    assert!(ended.failure().starts_with(text) && ended.failure().contains(line), "{ended}");
    assert!(!ended.success, "{ended}");
}
