//! Input channels of `footplate local`: folders, FIFOs, shares of hosts, manifests and objects in S3.

use std::fs;
use std::process::{Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::job::{FOOTPLATE, eventually, has_all_engines, search_path, wait_with_output};
use super::servers::Server;
use super::{images, kept, sdk};

/// The beginning of scripts that read FIFOs.
const READS: &str = r#"
import json, os, time
def pipe(epoch, channel="train"):
    path = f"/{os.environ['SM_CHANNEL_' + channel.upper()]}_{epoch}"
    while not os.path.exists(path):
        time.sleep(0.01)
    return open(path, "rb")
host = os.environ["SM_CURRENT_HOST"]
"#;

/// A folder of a user with a script and three objects.
struct Workplace(tempfile::TempDir);

impl Workplace {
    fn new(script: &str) -> Workplace {
        let place = Workplace(tempfile::tempdir().expect("a folder"));
        place.write("src/train.py", &format!("{READS}{script}"));
        for name in ["a", "b", "sub/c"] {
            place.write(&format!("data/{name}"), &format!("[{name}]"));
        }
        place
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(FOOTPLATE);
        command.args(["local", "--source-dir", "src", "--entry-point", "train.py", "--output-dir", "out"]).args(words);
        command.args(["--set", "record=off", "--set", "log_prefix=off"]).current_dir(self.0.path());
        command.env_clear().env("PATH", search_path()).env("LANG", "C.UTF-8").env("HOME", "/root");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs the job, and returns what the script printed, sorted and without the hosts' prefixes and lines of the SDK.
    #[track_caller]
    fn lines(&self, words: &[&str]) -> Vec<String> {
        let output = self.run(words);
        assert!(output.status.success(), "{words:?} {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let of_script = text.lines().filter(|line| !line.starts_with("sagemaker.config "));
        let own = |line: &str| match line.split_once("] ") {
            Some((prefix, rest)) if prefix.starts_with("[algo-") => rest.to_owned(),
            _ => line.to_owned(),
        };
        let mut lines: Vec<String> = of_script.map(own).collect();
        lines.sort();
        lines
    }

    fn run(&self, words: &[&str]) -> Output {
        let output = wait_with_output(self.command(words).spawn().expect("footplate starts"));
        assert!(!self.0.path().join("out/.footplate-job").exists(), "the job's folder is removed");
        output
    }

    /// Runs the job, which is refused, and returns the reason.
    #[track_caller]
    fn refused(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert_eq!(output.status.code(), Some(78), "{output:#?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}

const TRAIN: [&str; 2] = ["--channel", "train=data"];

const PIPE: [&str; 4] = ["--channel", "train=data", "--channel-mode", "train=Pipe"];

#[test]
fn a_pipe_is_fed_epoch_by_epoch() {
    let place = Workplace::new(
        "
for epoch in range(3):
    with pipe(epoch) as file:
        print(epoch, file.read().decode())
assert not os.path.exists(os.environ['SM_CHANNEL_TRAIN'])
print(os.environ['SM_INPUT_DATA_CONFIG'])
",
    );
    let config =
        r#"{"train":{"RecordWrapperType":"None","S3DistributionType":"FullyReplicated","TrainingInputMode":"Pipe"}}"#;
    assert_eq!(place.lines(&PIPE), ["0 [a][b][sub/c]", "1 [a][b][sub/c]", "2 [a][b][sub/c]", config]);
}

#[test]
fn a_reader_that_closes_early_gets_the_next_epoch() {
    let place = Workplace::new(
        "
for epoch in range(3):
    with pipe(epoch) as file:
        print(epoch, file.read(4))
",
    );
    // More than a pipe holds.
    place.write("data/a", &"x".repeat(1 << 20));
    assert_eq!(place.lines(&PIPE), ["0 b'xxxx'", "1 b'xxxx'", "2 b'xxxx'"]);
}

#[test]
fn a_pipe_that_nobody_reads_delays_no_end_and_no_stop() {
    let place = Workplace::new("print('never read')\n");
    assert_eq!(place.lines(&PIPE), ["never read"]);
    let place = Workplace::new("file = pipe(0)\nprint(file.read(1))\nraise ValueError('bad')\n");
    place.write("data/a", &"x".repeat(1 << 20));
    let output = place.run(&PIPE);
    assert_eq!(output.status.code(), Some(1), "{output:#?}");
    // The stop comes while the feed waits for a reader, or while a reader has stopped reading.
    for script in ["", "file = pipe(0)\nfile.read(1)\n"] {
        let place = Workplace::new(&format!("{script}open('{{up}}', 'w').close()\ntime.sleep(600)\n"));
        let up = place.0.path().join("up");
        let text = fs::read_to_string(place.0.path().join("src/train.py")).expect("the script");
        place.write("src/train.py", &text.replace("{up}", &up.display().to_string()));
        place.write("data/a", &"x".repeat(1 << 20));
        let child = place.command(&PIPE).spawn().expect("footplate starts");
        eventually("the script", || up.exists().then_some(()));
        kill(Pid::from_raw(i32::try_from(child.id()).expect("a number")), Signal::SIGTERM).expect("it runs");
        let output = wait_with_output(child);
        assert_eq!(output.status.code(), Some(143), "{output:#?}");
        assert!(!place.0.path().join("out/.footplate-job").exists());
    }
}

#[test]
fn a_container_reads_pipes_and_its_share_of_the_objects() {
    if !images::usable() {
        return;
    }
    let place = Workplace::new(
        "
for epoch in range(2): print(host, epoch, pipe(epoch).read().decode())
print(host, sorted(os.listdir(os.environ['SM_CHANNEL_MORE'])))
",
    );
    let more = ["--channel", "more=data", "--channel-distribution", "more=ShardedByS3Key"];
    let hosts = ["--hosts", "2", "--image", images::with_train(images::debian("bookworm")), "--memory", "256m"];
    let words: Vec<&str> = PIPE.iter().chain(&more).chain(&hosts).copied().collect();
    let expected = [
        "algo-1 0 [a][b][sub/c]",
        "algo-1 1 [a][b][sub/c]",
        "algo-1 ['a', 'sub']",
        "algo-2 0 [a][b][sub/c]",
        "algo-2 1 [a][b][sub/c]",
        "algo-2 ['b']",
    ];
    assert_eq!(place.lines(&words), expected);
}

#[test]
fn a_reader_of_the_sdk_reads_records() {
    let place = Workplace::new(
        "
from sagemaker.amazon.common import read_recordio
for epoch in range(2):
    with pipe(epoch) as file:
        print(epoch, [bytes(record).decode() for record in read_recordio(file)])
",
    );
    let python = kept::environment(&[sdk::V2]).join("bin/python3").display().to_string();
    let framed = ["--record-wrapper", "train=RecordIO", "--env", &format!("FOOTPLATE_PYTHON={python}")];
    let framed: Vec<&str> = PIPE.iter().chain(&framed).copied().collect();
    assert_eq!(place.lines(&framed), ["0 ['[a]', '[b]', '[sub/c]']", "1 ['[a]', '[b]', '[sub/c]']"]);
}

#[test]
fn mxnets_own_reader_reads_records() {
    if !has_all_engines() {
        return;
    }
    let place = Workplace::new(
        "
import mxnet
for epoch in range(2):
    path = f\"/{os.environ['SM_CHANNEL_TRAIN']}_{epoch}\"
    while not os.path.exists(path):
        time.sleep(0.01)
    reader, sizes = mxnet.recordio.MXRecordIO(path, 'r'), []
    while (record := reader.read()) is not None:
        sizes.append((len(record), record[:3].decode(), record[-3:].decode()))
    reader.close()
    print(epoch, sizes)
",
    );
    // More than a pipe holds, a number of bytes that the frame fills up, and no byte.
    place.write("data/long", &format!("[l{}g]", "o".repeat((1 << 20) + 1)));
    place.write("data/none", "");
    // The last release of MXNet uses names that NumPy 1.24 removed.
    let python = kept::environment(&["mxnet==1.9.1", "numpy==1.23.5"]).join("bin/python3").display().to_string();
    let framed = ["--record-wrapper", "train=RecordIO", "--env", &format!("FOOTPLATE_PYTHON={python}")];
    let framed: Vec<&str> = PIPE.iter().chain(&framed).copied().collect();
    let sizes = "[(3, '[a]', '[a]'), (3, '[b]', '[b]'), (1048581, '[lo', 'og]'), (0, '', ''), (7, '[su', '/c]')]";
    assert_eq!(place.lines(&framed), [format!("0 {sizes}"), format!("1 {sizes}")]);
}

#[test]
fn hosts_share_the_objects_of_a_channel() {
    let place = Workplace::new(
        "
data = os.environ['SM_CHANNEL_TRAIN']
names = sorted(os.path.relpath(os.path.join(at, name), data) for at, _, files in os.walk(data) for name in files)
print(host, *names, [open(os.path.join(data, name)).read() for name in names])
",
    );
    let hosts = ["--hosts", "2", "--channel-distribution", "train=ShardedByS3Key"];
    for mode in ["File", "FastFile"] {
        let mode = format!("train={mode}");
        let words: Vec<&str> = TRAIN.iter().chain(&hosts).copied().chain(["--channel-mode", &mode]).collect();
        assert_eq!(place.lines(&words), ["algo-1 a sub/c ['[a]', '[sub/c]']", "algo-2 b ['[b]']"]);
    }
    let place = Workplace::new("for epoch in range(2): print(host, epoch, pipe(epoch).read().decode())\n");
    let words: Vec<&str> = PIPE.iter().chain(&hosts).copied().collect();
    let expected = ["algo-1 0 [a][sub/c]", "algo-1 1 [a][sub/c]", "algo-2 0 [b]", "algo-2 1 [b]"];
    assert_eq!(place.lines(&words), expected);
}

#[test]
fn a_seed_shuffles_the_objects_before_each_epoch() {
    let place = Workplace::new("for epoch in range(4): print(epoch, pipe(epoch).read().decode())\n");
    for number in 0..8 {
        place.write(&format!("data/{number}"), &number.to_string());
    }
    let words: Vec<&str> = PIPE.iter().copied().chain(["--shuffle-seed", "train=3"]).collect();
    let epochs = place.lines(&words);
    assert_eq!(place.lines(&words), epochs, "it can be repeated");
    let orders: std::collections::BTreeSet<&str> = epochs.iter().map(|line| &line[2..]).collect();
    assert_eq!((epochs.len(), orders.len()), (4, 4), "{epochs:?}");
    let mut letters: Vec<Vec<char>> = orders.iter().map(|order| order.chars().collect()).collect();
    letters.iter_mut().for_each(|letters| letters.sort_unstable());
    assert!(letters.windows(2).all(|pair| pair[0] == pair[1]), "{epochs:?}");
}

#[test]
fn manifests_name_the_objects() {
    let place = Workplace::new("for epoch in range(2): print(epoch, pipe(epoch).read())\n");
    place.write("list.json", &json!([{"prefix": "data/"}, "sub/c", "a"]).to_string());
    let of =
        |data_type| ["--channel", "train=list.json", "--channel-mode", "train=Pipe", "--channel-data-type", data_type];
    assert_eq!(place.lines(&of("train=ManifestFile")), ["0 b'[sub/c][a]'", "1 b'[sub/c][a]'"]);
    // Each line of an augmented manifest gives its attributes in their order.
    let lines = [
        json!({"source-ref": "data/b", "label": 3, "note": "x"}),
        json!({"source-ref": "data/a", "label": {"k": 1}, "note": ""}),
    ];
    place.write("list.json", &lines.map(|line| line.to_string()).join("\n"));
    let words = [&of("train=AugmentedManifestFile")[..], &["--attribute-names", "train=source-ref,label"]].concat();
    assert_eq!(place.lines(&words), [r#"0 b'[b]3[a]{"k":1}'"#, r#"1 b'[b]3[a]{"k":1}'"#]);
    let framed = [&words[..], &["--record-wrapper", "train=RecordIO"]].concat();
    let magic = r"\n#\xd7\xce";
    let record = |length: usize, text: &str| format!(r"{magic}\x{length:02x}\x00\x00\x00{text}");
    let epoch =
        [record(3, r"[b]\x00"), record(1, r"3\x00\x00\x00"), record(3, r"[a]\x00"), record(7, r#"{"k":1}\x00"#)]
            .concat();
    assert_eq!(place.lines(&framed), [format!("0 b'{epoch}'"), format!("1 b'{epoch}'")]);
    // In File mode the objects of a manifest are a folder.
    place.write(
        "list.json",
        &json!([{"prefix": format!("{}/", place.0.path().join("data").display())}, "sub/c"]).to_string(),
    );
    place.write(
        "src/train.py",
        "import os\nprint([(at[-3:], names) for at, _, names in os.walk(os.environ['SM_CHANNEL_TRAIN'])][-1])\n",
    );
    let words = ["--channel", "train=list.json", "--channel-data-type", "train=ManifestFile"];
    assert_eq!(place.lines(&words), ["('sub', ['c'])"]);
}

#[test]
fn objects_in_s3_are_a_channel() {
    let server = Server::moto();
    for (key, text) in [("set/a", "[a]"), ("set/sub/b", "[b]"), ("settings", "no"), ("one.csv", "1,2")] {
        server.put("bucket", key, text.as_bytes());
    }
    let manifest = json!([{"prefix": "s3://bucket/set/"}, "sub/b"]).to_string();
    server.put("bucket", "list.json", manifest.as_bytes());
    let augmented = [("set/a", 3), ("set/sub/b", 5), ("set/a", 7)]
        .map(|(key, label)| json!({"source-ref": format!("s3://bucket/{key}"), "label": label}).to_string());
    server.put("bucket", "lines.json", augmented.join("\n").as_bytes());
    let place = Workplace::new(
        "
data = os.environ['SM_CHANNEL_TRAIN']
print(sorted((os.path.relpath(os.path.join(at, name), data)) for at, _, files in os.walk(data) for name in files))
",
    );
    let run = |place: &Workplace, words: &[&str]| {
        let mut command = place.command(words);
        command
            .env("AWS_ENDPOINT_URL_S3", server.url())
            .env("AWS_ACCESS_KEY_ID", "a")
            .env("AWS_SECRET_ACCESS_KEY", "b");
        let output = wait_with_output(command.spawn().expect("footplate starts"));
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    for (url, data_type, printed) in [
        ("train=s3://bucket/set", "train=S3Prefix", "['a', 'sub/b']\n"),
        ("train=s3://bucket/set/", "train=S3Prefix", "['a', 'sub/b']\n"),
        ("train=s3://bucket/one.csv", "train=S3Prefix", "['one.csv']\n"),
        ("train=s3://bucket/list.json", "train=ManifestFile", "['sub/b']\n"),
    ] {
        let (code, stdout, stderr) = run(&place, &["--channel", url, "--channel-data-type", data_type]);
        assert_eq!((code, stdout.as_str()), (Some(0), printed), "{url} {stderr}");
    }
    // FastFile is a folder too, and hosts share the objects.
    let (code, stdout, stderr) =
        run(&place, &["--channel", "train=s3://bucket/set", "--channel-mode", "train=FastFile"]);
    assert_eq!((code, stdout.as_str()), (Some(0), "['a', 'sub/b']\n"), "{stderr}");
    for mode in ["train=File", "train=FastFile"] {
        let shared = ["--hosts", "2", "--channel-distribution", "train=ShardedByS3Key"];
        let words = [&["--channel", "train=s3://bucket/set", "--channel-mode", mode][..], &shared].concat();
        let (code, stdout, stderr) = run(&place, &words);
        let mut lines: Vec<&str> = stdout.lines().map(|line| line.rsplit("] ").next().unwrap_or(line)).collect();
        lines.sort_unstable();
        assert_eq!((code, lines), (Some(0), vec!["['a']", "['sub/b']"]), "{mode} {stdout} {stderr}");
    }
    let reads = Workplace::new("print(pipe(0).read().decode())\n");
    for (hosts, printed) in [("1", vec!["[a]3[b]5[a]7"]), ("2", vec!["[a]3[a]7", "[b]5"])] {
        let words = [
            "--hosts",
            hosts,
            "--channel",
            "train=s3://bucket/lines.json",
            "--channel-data-type",
            "train=AugmentedManifestFile",
            "--channel-mode",
            "train=Pipe",
            "--attribute-names",
            "train=source-ref,label",
            "--channel-distribution",
            "train=ShardedByS3Key",
        ];
        let (code, stdout, stderr) = run(&reads, &words);
        let mut lines: Vec<&str> = stdout
            .lines()
            .map(|line| {
                line.split_once("] ").filter(|(host, _)| host.starts_with("[algo")).map_or(line, |(_, line)| line)
            })
            .collect();
        lines.sort_unstable();
        assert_eq!((code, lines), (Some(0), printed), "{stdout} {stderr}");
    }
    let (code, stdout, stderr) = run(&reads, &["--channel", "train=s3://bucket/set", "--channel-mode", "train=Pipe"]);
    assert_eq!((code, stdout.as_str()), (Some(0), "[a][b]\n"), "{stderr}");
    for (url, said) in [
        ("train=s3://bucket/none", "the channel train: nothing is at s3://bucket/none"),
        ("train=s3://", "the channel train: \"s3://\" names no bucket"),
        ("train=s3://absent/x", "the channel train: cannot "),
    ] {
        let (code, _, stderr) = run(&place, &["--channel", url]);
        assert!(code == Some(78) && stderr.contains(said), "{url}: {stderr}");
    }
}

#[test]
fn a_channel_that_cannot_be_is_refused_before_anything_runs() {
    let place = Workplace::new("print('ran')\n");
    place.write("list.json", "{}");
    place.write("up.json", &json!([{"prefix": "data/"}, "../src/train.py"]).to_string());
    place.write("lines.json", "{\"source-ref\": \"data/a\"}\n{\"label\": 1}\n");
    let manifest = ["--channel", "train=list.json", "--channel-data-type"];
    for (words, said) in [
        (&["--channel-mode", "train=Pipe"][..], "--channel-mode names the channel \"train\", which there is not"),
        (&["--channel", "train=data", "--channel-mode", "train=Fast"], "\"Fast\" is none of File, FastFile, Pipe"),
        (&["--channel", "train=data", "--shuffle-seed", "train=x"], "--shuffle-seed train: \"x\" is no number"),
        (&["--channel", "train=none"], "none is not there"),
        (&["--channel", "a/b=data"], "the channel name \"a/b\" is not possible"),
        (&["--channel", "train=data", "--record-wrapper", "train=RecordIO"], "add --channel-mode train=Pipe"),
        (&[&manifest[..], &["train=ManifestFile"]].concat(), "list.json is not JSON: expected [{\"prefix\""),
        (&[&manifest[..], &["train=AugmentedManifestFile"]].concat(), "add --channel-mode train=Pipe"),
        (
            &["--channel", "train=up.json", "--channel-data-type", "train=ManifestFile"],
            "\"../src/train.py\" is no path below the prefix",
        ),
        (
            &[
                "--channel",
                "train=lines.json",
                "--channel-data-type",
                "train=AugmentedManifestFile",
                "--channel-mode",
                "train=Pipe",
                "--attribute-names",
                "train=source-ref",
            ],
            "lines.json, line 2 has no \"source-ref\"",
        ),
    ] {
        let reason = place.refused(words);
        assert!(reason.contains(said), "{words:?}: {reason}");
    }
}

#[test]
fn the_description_of_channels_is_that_of_the_platform() {
    let place = Workplace::new("print(open(os.environ['SM_INPUT_CONFIG_DIR'] + '/inputdataconfig.json').read())\n");
    let words = [
        "--channel",
        "train=data",
        "--channel",
        "more=data/a",
        "--channel-mode",
        "train=FastFile",
        "--channel-distribution",
        "more=ShardedByS3Key",
    ];
    let printed: Value = serde_json::from_str(&place.lines(&words).concat()).expect("JSON");
    let channel = |sharing: &str| json!({"TrainingInputMode": "File", "S3DistributionType": sharing, "RecordWrapperType": "None"});
    assert_eq!(printed, json!({"train": channel("FullyReplicated"), "more": channel("ShardedByS3Key")}));
}
