//! Uploads of intermediate output to moto's server, also with faults between it and footplate.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use nix::sys::signal::Signal;

use super::job::{FOOTPLATE, Job, eventually};
use super::running::{Running, nothing_survives, noting};
use super::servers::{Fault, Relay, Server};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

/// The destination of the files of these jobs.
const PREFIX: &str = "some/prefix/job-1/output/intermediate";

/// The beginning of the scripts in this file.
const BEGIN: &str = r#"
import os, signal, sys
from notes import note, wait_for
os.chdir(os.environ["SM_OUTPUT_INTERMEDIATE_DIR"])
def write(path, text):
    with open(path, "w") as file:
        file.write(text)
"#;

/// Starts moto's server with the bucket.
fn server() -> Server {
    let server = Server::moto();
    server.send("PUT", "/out", b"");
    server
}

/// Returns a job whose intermediate output goes to the server at this URL.
fn job(url: &str, script: &str) -> Job {
    asking(noting(&format!("{BEGIN}{script}")), "s3://out/some/prefix/")
        .variable("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        .variable("AWS_SECRET_ACCESS_KEY", SECRET)
        .variable("AWS_ENDPOINT_URL_S3", url)
        .variable("TRAINING_JOB_NAME", "job-1")
}

/// Sets the hyperparameter `sagemaker_s3_output` of a job.
fn asking(job: Job, output: &str) -> Job {
    let json = |text: &str| serde_json::json!(text).to_string();
    let hyperparameters =
        serde_json::json!({"sagemaker_s3_output": json(output), "sagemaker_region": json("eu-west-1"), "lr": "1"});
    job.hyperparameters(&hyperparameters.to_string())
}

fn object(server: &Server, name: &str) -> Option<String> {
    Some(String::from_utf8_lossy(&server.get("out", &format!("{PREFIX}/{name}"))?).into_owned())
}

/// Waits until an object has this content.
#[track_caller]
fn arrives(server: &Server, running: &Running, name: &str, content: &str) {
    eventually(&format!("{name}: {content:?} in S3; {}", running.stderr()), || {
        (object(server, name).as_deref() == Some(content)).then_some(())
    });
}

#[test]
fn files_are_uploaded_while_the_script_runs() {
    let server = server();
    let script = r#"
write("a.txt", "one")
wait_for("folder")
os.makedirs("new/deep")
write("new/deep/b.txt", "two")
wait_for("rename")
os.mkdir("../elsewhere")
write("../elsewhere/c", "three")
os.rename("../elsewhere/c", "new/c é+%.txt")
os.rename("new", "renamed")
wait_for("again")
write("a.txt", "one, again")
write("renamed/deep/late", "four")
os.symlink("a.txt", "link")
os.link("a.txt", "hard")
wait_for("end")
write("empty", "")
"#;
    let job = job(&server.url(), script);
    let running = Running::start(&job, ["train"]);
    arrives(&server, &running, "a.txt", "one");
    running.tell("folder");
    arrives(&server, &running, "new/deep/b.txt", "two");
    running.tell("rename");
    arrives(&server, &running, "renamed/deep/b.txt", "two");
    arrives(&server, &running, "renamed/c%20%C3%A9%2B%25.txt", "three");
    running.tell("again");
    for (name, content) in
        [("a.txt", "one, again"), ("renamed/deep/late", "four"), ("link", "one, again"), ("hard", "one, again")]
    {
        arrives(&server, &running, name, content);
    }
    running.tell("end");
    let ended = running.end(&job).succeeded();
    assert_eq!(object(&server, "empty").as_deref(), Some(""));
    assert!(ended.stderr.contains(&format!(" to s3://out/{PREFIX}/")), "{}", ended.stderr);
    assert!(!ended.stderr.contains("not uploaded"), "{}", ended.stderr);
}

#[test]
fn a_link_is_uploaded_while_another_file_is_written_constantly() {
    let server = server();
    let script = r#"
import time
write("a", "x")
os.link("a", "hard")
while not os.path.exists(os.environ["NOTES"] + ".end"):
    write("log", "y")
    time.sleep(0.05)
"#;
    let job = job(&server.url(), script);
    let running = Running::start(&job, ["train"]);
    arrives(&server, &running, "hard", "x");
    running.tell("end");
    running.end(&job).succeeded();
}

#[test]
fn a_large_file_is_uploaded_in_parts() {
    let server = server();
    let relay = Relay::start(server.port, |number, _| match number {
        1 => Fault::Close,
        2 => Fault::Answer("503 Slow Down", "", "<Error><Code>SlowDown</Code></Error>"),
        _ => Fault::None,
    });
    let script = "import random\nopen('large', 'wb').write(random.Random(1).randbytes(20_000_000))\nsys.exit(3)";
    let job = job(&relay.url(), script);
    let ended = job.train();
    assert_eq!(ended.code(), 3, "{ended:#?}");
    let whole = fs::read(job.path("output/intermediate/large")).expect("read");
    assert!(server.get("out", &format!("{PREFIX}/large")) == Some(whole), "{}", ended.stderr);
    let requests = relay.requests();
    let parts: Vec<bool> =
        (1..=3).map(|part| requests.iter().any(|head| head.contains(&format!("partNumber={part}&")))).collect();
    assert_eq!(parts, [true; 3], "{requests:#?}");
    assert!(requests.iter().all(|head| head.contains("/eu-west-1/s3/aws4_request")), "{requests:#?}");
    assert!(ended.stderr.contains("uploaded 1 file (19.1 MiB)"), "{}", ended.stderr);
}

#[test]
fn a_file_that_shrinks_during_its_upload_is_uploaded_as_it_is_then() {
    let server = server();
    let place: Arc<OnceLock<PathBuf>> = Arc::default();
    let file = Arc::clone(&place);
    let relay = Relay::start(server.port, move |_, head| {
        let file = file.get().expect("a job");
        if head.contains("?uploads") && fs::metadata(file).expect("it is there").len() > 9_000_000 {
            let file = fs::File::options().write(true).open(file).expect("opened");
            file.set_len(9_000_000).expect("made shorter");
        }
        Fault::None
    });
    let script = "open('large', 'wb').write(bytes(20_000_000))\nwait_for('end')";
    let job = job(&relay.url(), script);
    place.set(job.path("output/intermediate/large")).expect("set once");
    let running = Running::start(&job, ["train"]);
    running.says("became shorter while it was uploaded; it is tried again");
    eventually("the shorter file in S3", || {
        (server.get("out", &format!("{PREFIX}/large"))?.len() == 9_000_000).then_some(())
    });
    running.tell("end");
    let ended = running.end(&job).succeeded();
    assert!(!ended.stderr.contains("not uploaded to s3://out/some/prefix/job-1/output/intermediate/: "), "{ended:#?}");
    let taken_back = |head: &String| head.starts_with("DELETE ") && head.contains("uploadId=");
    assert!(relay.requests().iter().any(taken_back), "{:#?}", relay.requests());
}

#[test]
fn a_file_that_changes_during_its_upload_is_retried() {
    let server = server();
    // S3 answers this if a body is not the one that was signed.
    let mismatch =
        "<Error><Code>XAmzContentSHA256Mismatch</Code><Message>The provided does not match.</Message></Error>";
    let relay = Relay::start(server.port, move |number, _| match number {
        0 => Fault::Answer("400 Bad Request", "", mismatch),
        _ => Fault::None,
    });
    let job = job(&relay.url(), "write('a', 'one')\nwait_for('end')");
    let running = Running::start(&job, ["train"]);
    running.says("it was written to while it was uploaded (XAmzContentSHA256Mismatch");
    arrives(&server, &running, "a", "one");
    running.tell("end");
    running.end(&job).succeeded();
}

#[test]
fn without_inotify_the_folder_is_scanned() {
    let server = server();
    // The limit of the namespace applies to footplate and the script.
    let script = "
import ctypes
assert ctypes.CDLL(None).inotify_init() == -1
os.makedirs('new/deep')
write('new/deep/a', 'one')
wait_for('again')
write('new/deep/a', 'another')
wait_for('rename')
os.rename('new', 'renamed')
wait_for('end')
write('last', 'x')
";
    let job = job(&server.url(), script);
    let mut unshare = Command::new("unshare");
    unshare.args(["--user", "--map-root-user", "sh", "-ec"]);
    unshare.arg("echo 0 > /proc/sys/user/max_inotify_instances; exec \"$0\" train").arg(FOOTPLATE);
    let running = Running::of(&job, job.within(unshare));
    arrives(&server, &running, "new/deep/a", "one");
    running.tell("again");
    arrives(&server, &running, "new/deep/a", "another");
    running.tell("rename");
    arrives(&server, &running, "renamed/deep/a", "another");
    running.tell("end");
    let ended = running.end(&job).succeeded();
    assert_eq!(object(&server, "last").as_deref(), Some("x"), "{ended:#?}");
}

#[test]
fn thousands_of_files_are_uploaded_before_the_end() {
    let server = server();
    let script = "
os.mkdir('many')
for number in range(2000):
    write(f'many/{number:04}', str(number))
";
    let ended = job(&server.url(), script).train().succeeded();
    for half in 0..2 {
        assert_eq!(server.keys("out", &format!("{PREFIX}/many/{half}")).len(), 1000, "{}", ended.stderr);
    }
    assert_eq!(object(&server, "many/1234").as_deref(), Some("1234"));
    assert!(!ended.stderr.contains("WARNING"), "{}", ended.stderr);
}

#[test]
fn a_failing_server_is_reported_and_does_not_fail_the_job() {
    let server = server();
    let refused = "<Error><Code>AccessDenied</Code><Message>said</Message></Error>";
    let relay = Relay::start(server.port, move |_, _| Fault::Answer("403 Forbidden", "", refused));
    let script = "for number in range(30): write(f'file-{number:02}', 'x')\nwait_for('end')";
    let job = job(&relay.url(), script);
    let running = Running::start(&job, ["train"]);
    // The script goes on as if nothing had happened.
    running.says("intermediate output: ");
    running.says("is not uploaded to s3://out/some/prefix/job-1/output/intermediate/file-0");
    running.tell("end");
    let ended = running.end(&job).succeeded();
    assert!(
        ended.stderr.contains("access denied (AccessDenied: said); allow the job's role s3:PutObject"),
        "{ended:#?}"
    );
    assert!(ended.stderr.contains("were not uploaded to s3://out/"), "{ended:#?}");
    assert!(ended.stderr.contains("file-00, file-01, file-02, file-03, file-04 and "), "{ended:#?}");
    // Five warnings, and five names in the summary for each of two reasons: a refusal, and too many refusals.
    let named = (0..30).filter(|number| ended.stderr.contains(&format!("file-{number:02}"))).count();
    assert!(named <= 15, "the names are not capped: {ended:#?}");
    assert!(!format!("{ended:?}").contains(SECRET), "{ended:#?}");
    assert!(relay.requests().len() < 60, "{}", relay.requests().len());
}

#[test]
fn a_server_that_recovers_gets_all_files() {
    let server = server();
    let is_down = Arc::new(AtomicBool::new(true));
    let seen = Arc::clone(&is_down);
    let relay = Relay::start(server.port, move |_, _| {
        if seen.load(Ordering::SeqCst) {
            Fault::Answer("500 Internal Server Error", "", "<Error><Code>InternalError</Code></Error>")
        } else {
            Fault::None
        }
    });
    let job = job(&relay.url(), "write('a', 'x')\nwait_for('end')");
    let running = Running::start(&job, ["train"]);
    running.says("S3 does not answer as it should (InternalError)");
    running.says("it is tried again");
    is_down.store(false, Ordering::SeqCst);
    arrives(&server, &running, "a", "x");
    running.tell("end");
    let ended = running.end(&job).succeeded();
    assert!(!ended.stderr.contains("not uploaded to s3://out/some/prefix/job-1/output/intermediate/:"), "{ended:#?}");
    let record = job.read("output/data/footplate/algo-1/run.json").expect("a record");
    let record: serde_json::Value = serde_json::from_str(&record).expect("JSON");
    assert_eq!((&record["uploads"]["files"], &record["uploads"]["bytes"]), (&1.into(), &1.into()), "{record:#}");
}

#[test]
fn a_file_written_again_during_its_upload_is_uploaded_again() {
    let server = server();
    let may_pass = Arc::new(AtomicBool::new(false));
    let passes = Arc::clone(&may_pass);
    let relay = Relay::start(server.port, move |number, _| {
        if number == 0 {
            eventually("the second file", || passes.load(Ordering::SeqCst).then_some(()));
        }
        Fault::None
    });
    let job =
        job(&relay.url(), "write('a', 'one')\nwait_for('again')\nwrite('a', 'two')\nnote('written')\nwait_for('end')");
    let running = Running::start(&job, ["train"]);
    eventually("the first upload", || (relay.requests().len() == 1).then_some(()));
    running.tell("again");
    running.noted("written", 1);
    assert_eq!(relay.requests().len(), 1, "one file is uploaded twice at once");
    may_pass.store(true, Ordering::SeqCst);
    arrives(&server, &running, "a", "two");
    running.tell("end");
    running.end(&job).succeeded();
    assert_eq!((object(&server, "a").as_deref(), relay.requests().len()), (Some("two"), 2));
}

#[test]
fn a_stopped_job_uploads_its_files() {
    let server = server();
    let script = "
def stop(*_):
    write('state', 'saved')
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
note('ready')
wait_for('never')
";
    let job = job(&server.url(), script);
    let running = Running::start(&job, ["train"]);
    running.noted("ready", 1);
    running.signal(Signal::SIGTERM);
    running.end(&job);
    assert_eq!(object(&server, "state").as_deref(), Some("saved"));
    nothing_survives(&job);
}

#[test]
fn a_silent_server_delays_the_end_by_the_grace_period() {
    let server = server();
    let hangs = || {
        Relay::start(server.port, |_, _| {
            loop {
                std::thread::park()
            }
        })
    };
    let relay = hangs();
    let job_at = |relay: &Relay, grace: &str| {
        let script = "write('a', 'x')\nopen('large', 'wb').write(bytes(10_000_000))\nnote('ready')\nwait_for('end')";
        job(&relay.url(), script).variable("FOOTPLATE_GRACE_PERIOD", grace)
    };
    let job = job_at(&relay, "1.5");
    let running = Running::start(&job, ["train"]);
    running.tell("end");
    let ended = running.end(&job).succeeded();
    assert!(ended.stderr.contains("2 files were not uploaded to s3://out/"), "{ended:#?}");
    assert!(ended.stderr.contains("a, large: there was no more time"), "{ended:#?}");
    assert!(ended.duration > Duration::from_millis(1500) && ended.duration < Duration::from_secs(15), "{ended:#?}");
    // The second stop signal ends the wait.
    let relay = hangs();
    let job = job_at(&relay, "1000");
    let running = Running::start(&job, ["train"]);
    running.tell("end");
    eventually("the end of the script", || job.path("output/success").exists().then_some(()));
    running.signal(Signal::SIGTERM);
    running.says("SIGTERM: the uploads of intermediate output have 1000 s");
    running.signal(Signal::SIGTERM);
    let ended = running.end(&job).succeeded();
    assert!(ended.stderr.contains("there was no more time"), "{ended:#?}");
}

#[test]
fn outward_links_and_special_files_are_omitted_with_a_note() {
    let server = server();
    let job = job(
        &server.url(),
        "os.mkfifo('pipe')\nos.symlink('/etc/passwd', 'passwd')\nos.symlink('/etc', 'etc')\nwrite(b'bad-\\xff', 'x')\n\
         os.mkdir('d')\nos.symlink('../../../code/train.py', 'd/code')\nwrite('a', 'x')",
    );
    let ended = job.train().succeeded();
    assert_eq!(server.keys("out", "some"), [format!("{PREFIX}/a")], "{}", ended.stderr);
    for said in [
        "1 file was not uploaded to s3://out/some/prefix/job-1/output/intermediate/: pipe: named pipes are not uploaded",
        "d/code, etc, passwd: links to outside of the folder",
        "names that are not UTF-8 cannot be keys",
    ] {
        assert!(ended.stderr.contains(said), "{said}: {}", ended.stderr);
    }
}

#[test]
fn a_folder_that_the_script_replaces_by_a_link_is_not_followed() {
    let server = server();
    for replace in ["os.rename(folder, 'moved')", "__import__('shutil').rmtree(folder)"] {
        // What the link leads to is written before and after.
        let script = format!(
            "write('a', 'x')\nwait_for('arrived')\nfolder = os.getcwd()\nos.chdir('..')\nos.makedirs('other')\nwrite('other/b', 'secret')\n\
             {}\nos.symlink('other', folder)\nwrite('other/c', 'secret')\nwrite(folder + '/d', 'secret')",
            replace
        );
        let job = job(&server.url(), &script);
        let running = Running::start(&job, ["train"]);
        arrives(&server, &running, "a", "x");
        running.tell("arrived");
        let ended = running.end(&job).succeeded();
        assert_eq!(server.keys("out", "some"), [format!("{PREFIX}/a")], "{}", ended.stderr);
        assert!(ended.stderr.contains("was replaced by a link: what it leads to is not uploaded"), "{}", ended.stderr);
    }
}

#[test]
fn the_buckets_own_region_is_used() {
    let server = server();
    let relay = Relay::of_region(server.port);
    let ended = job(&relay.url(), "write('a', 'x')").train().succeeded();
    assert_eq!(object(&server, "a").as_deref(), Some("x"), "{}", ended.stderr);
}

#[test]
fn without_an_upload_target_no_upload_thread_starts() {
    let script = format!("{BEGIN}wait_for('end')").replace("os.chdir", "#");
    let names = |running: &Running| -> Vec<String> {
        let tasks = fs::read_dir(format!("/proc/{}/task", running.pid())).expect("its threads").flatten();
        tasks.map(|task| fs::read_to_string(task.path().join("comm")).unwrap_or_default().trim().to_owned()).collect()
    };
    let run = |job: Job| {
        let running = Running::start(&job, ["train"]);
        running.says("ready in ");
        let names = names(&running);
        running.tell("end");
        (names.contains(&"intermediate".to_owned()), job.path("output/intermediate").exists(), running.end(&job))
    };
    let job = asking(noting(&script), "s3://out/x");
    let running = Running::start(&job, ["train"]);
    // A thread sets its name when it starts.
    eventually("its thread", || names(&running).contains(&"intermediate".to_owned()).then_some(()));
    assert!(job.path("output/intermediate").exists());
    running.tell("end");
    running.end(&job);
    let (begins, folder, ended) = run(noting(&script));
    assert!(!begins && !folder && !ended.stderr.contains("intermediate"), "{ended:#?}");
    let (begins, folder, ended) = run(asking(noting(&script), ""));
    assert!(!begins && !folder && !ended.stderr.contains("intermediate"), "{ended:#?}");
    let (begins, folder, ended) = run(asking(noting(&script), "file:///tmp/x"));
    assert!(!begins && folder && !ended.stderr.contains("intermediate"), "{ended:#?}");
    let (begins, folder, ended) = run(asking(noting(&script), "https://out/x"));
    assert!(!begins && !folder && ended.code() == 0, "{ended:#?}");
    assert!(
        ended.stderr.contains("sagemaker_s3_output is \"https://out/x\", but must be s3://bucket/prefix"),
        "{ended:#?}"
    );
    // The variable of the platform.
    let (begins, _, ended) = run(asking(noting(&script), "s3://out/x").file("output/intermediate/x", ""));
    assert!(!begins && ended.stderr.contains("is there already"), "{ended:#?}");
}
