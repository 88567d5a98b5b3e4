//! Networks with faults: name servers that fail, and machines with one version of IP. Each job has a network of its own.

use std::process::Command;

use super::hosts::Hosts;
use super::job::{FOOTPLATE, Job};
use super::running::{Running, noting, with_notes};

/// Starts footplate as root of a network and of mounts of its own, after these commands of the shell.
fn start_within(job: &Job, commands: &str) -> Running {
    let mut unshare = Command::new("unshare");
    unshare.args(["--user", "--map-root-user", "--net", "--mount", "sh", "-ec"]);
    let script = format!("PATH=$PATH:/usr/sbin:/sbin\nip link set lo up\n{commands}\nexec \"$0\" train");
    Running::of(
        job,
        job.within({
            unshare.arg(script).arg(FOOTPLATE);
            unshare
        }),
    )
}

/// Starts footplate in the network of another one.
fn start_beside(job: &Job, other: &Running) -> Running {
    let mut nsenter = Command::new("nsenter");
    nsenter.args(["--user", "--net", "--preserve-credentials", "--target", &other.pid().to_string()]);
    nsenter.arg(FOOTPLATE).arg("train");
    Running::of(job, job.within(nsenter))
}

/// A name server at 127.0.0.1 that answers each question with this code, or not at all without one. It ends when its file is
/// removed. It is no child of footplate, which would end it with the script.
const NAME_SERVER: &str = r#"
import os, socket, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
print("ready", flush=True)
server.settimeout(1)
while os.path.exists(sys.argv[0]):
    try:
        question, asker = server.recvfrom(512)
    except TimeoutError:
        continue
    if len(sys.argv) > 1:
        end = question.index(b"\0", 12) + 5
        flags = bytes([0x81, 0x80 | int(sys.argv[1])])
        server.sendto(question[:2] + flags + b"\0\1\0\0\0\0\0\0" + question[12:end], asker)
"#;

#[test]
fn failures_of_the_name_service_are_told_of_uploads() {
    for (code, grace, said) in [
        ("3", "20", "S3 cannot be reached (the name s3.test is not known to the hosts file or DNS); "),
        (
            "2",
            "20",
            "because its name cannot be looked up (the name s3.test cannot be looked up: name server 127.0.0.1 answered ServFail); ",
        ),
        (
            "",
            "20",
            "because its name cannot be looked up (the name s3.test cannot be looked up: name server 127.0.0.1 did not answer); ",
        ),
        // The end cuts the attempts short.
        (
            "",
            "5",
            "there was no more time, and the last attempt failed: the name s3.test cannot be looked up: name server 127.0.0.1 did \
             not answer",
        ),
    ] {
        let script = "import os\nopen(os.environ['SM_OUTPUT_INTERMEDIATE_DIR'] + '/a', 'w').write('x')\n";
        let asked = r#"{"sagemaker_s3_output": "\"s3://out/prefix\"", "sagemaker_region": "\"eu-west-1\""}"#;
        let job = noting(script)
            .hyperparameters(asked)
            .file("server.py", NAME_SERVER)
            .file("resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
            .variable("FOOTPLATE_GRACE_PERIOD", grace)
            .variable("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
            .variable("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
            .variable("AWS_ENDPOINT_URL_S3", "http://s3.test")
            .variable("TRAINING_JOB_NAME", "job-1");
        let commands = format!(
            "mount --bind {} /etc/resolv.conf\nmkfifo {ready}\n(setsid python3 {} {code} >{ready} 2>/dev/null &)\nread line <{ready}",
            job.path("resolv.conf").display(),
            job.path("server.py").display(),
            ready = job.path("ready").display(),
        );
        let ended = start_within(&job, &commands).end(&job).succeeded();
        assert!(ended.stderr.contains(said), "{ended:#?}");
        assert!(ended.stderr.contains(" not uploaded to s3://out/prefix/"), "{ended:#?}");
    }
}

/// Two hosts, of which the first is known by this address only.
fn hosts_of(leader: &str) -> Hosts {
    let script = "print('ran')";
    let job_of = |name: &str| {
        let resources =
            serde_json::json!({"current_host": name, "hosts": [leader, "algo-2"], "network_interface_name": "lo"});
        with_notes(Job::python(script)).file("input/config/resourceconfig.json", resources.to_string())
    };
    Hosts { jobs: vec![job_of(leader), job_of("algo-2")] }.ranks(1)
}

#[test]
fn hosts_meet_by_one_version_of_ip_and_with_bindv6only() {
    let only = "echo 1 >/proc/sys/net/ipv6/bindv6only";
    for (leader, commands) in [("127.0.0.1", only), ("::1", only), ("::1", "ip -4 address flush dev lo")] {
        let hosts = hosts_of(leader);
        let first = start_within(&hosts.jobs[0], commands);
        first.says("footplate ");
        let second = start_beside(&hosts.jobs[1], &first);
        for ended in hosts.end(vec![first, second]) {
            assert!(ended.succeeded().stdout().contains("ran"), "{leader}, {commands}");
        }
    }
}
