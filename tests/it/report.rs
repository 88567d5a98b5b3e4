//! The report: a page about real jobs in a real browser, and about records that are hostile, broken or large.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::browser::{Browser, Screen};
use super::hosts::Hosts;
use super::job::{FOOTPLATE, Job, eventually};
use super::record::record;
use super::running::Running;

const PAGE: &str = "output/data/footplate/report.html";

/// A script that trains something, and runs until there are some samples.
const TRAINING: &str = r#"
import os, sys
path = os.path.join(os.environ["SM_OUTPUT_DATA_DIR"], "footplate", "algo-1", "resources.jsonl")
rank = int(os.environ.get("RANK", 0))
for step in range(1, 301):
    print(f"step={step} loss={5 / step + rank:.4f} accuracy={1 - 1 / (step + 1):.4f}")
while not os.path.exists(path) or open(path).read().count("\n") < 6:
    sum(range(100000))
if "--fail" in sys.argv:
    raise ValueError("bad data in x.csv line 3, </pre><script>alert(1)</script>")
"#;

/// Returns a job that trains something with two ranks.
fn training() -> Job {
    Job::python(TRAINING)
        .file(
            "code/metrics.json",
            r#"[{"Name": "train:loss", "Regex": "loss=(\\S+)"}, {"Name": "validation:accuracy", "Regex": "accuracy=(\\S+)"}]"#,
        )
        .hyperparameters(r#"{"lr": "0.1", "api_key": "hidden-1"}"#)
        .variable("FOOTPLATE_METRICS", "metrics.json")
        .variable("FOOTPLATE_RESOURCE_INTERVAL", "0.1")
        .variable("FOOTPLATE_LAUNCHER", "per-gpu")
        .variable("FOOTPLATE_PROCESSES_PER_HOST", "2")
        .variable("FOOTPLATE_REPORT", "on")
}

/// Makes the page about some folders, in a folder of its own.
#[track_caller]
fn page(folders: &[&Path]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("page.html");
    let output = Command::new(FOOTPLATE).arg("report").args(folders).arg("-o").arg(&path).output().expect("it runs");
    assert!(output.status.success(), "{output:?}");
    (folder, path)
}

/// Checks that a page is at peace: it asked for nothing but itself, and wrote nothing to the console.
#[track_caller]
fn is_quiet(browser: &mut Browser, path: &Path) {
    assert_eq!(browser.requests(), [format!("file://{}", path.display())]);
    assert_eq!(browser.console(), [] as [String; 0]);
    assert_eq!(browser.value("typeof hacked"), "undefined");
}

/// Checks that nothing is wider than the screen.
#[track_caller]
fn fits(browser: &mut Browser) {
    let widths = browser.value("[document.documentElement.scrollWidth, innerWidth]");
    assert!(widths[0].as_u64() <= widths[1].as_u64(), "{widths}");
}

/// Returns the texts whose contrast to what is behind them is below 4.5.
const PALE: &str = r#"(() => {
  const parts = (colour) => (colour.match(/[\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((part) => (part /= 255) <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parts(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const pale = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement, style = getComputedStyle(element);
    if (!walker.currentNode.data.trim() || !element.getClientRects().length || element.closest("script,style,title,.sr,.skip")) continue;
    let back = behind(element);
    const bar = element.closest("svg.bar svg");
    if (bar) back = parts(getComputedStyle(bar.querySelector("rect")).fill);
    const [one, other] = [light(parts(element.closest("svg") ? style.fill : style.color)), light(back)];
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (contrast < 4.5) pale.add(`${contrast.toFixed(2)} ${element.tagName}.${element.getAttribute("class")} ${walker.currentNode.data.slice(0, 30)}`);
  }
  return [...pale];
})()"#;

#[test]
fn the_page_of_a_real_job_answers_the_questions_on_every_screen() {
    let job = training();
    let ended = job.train();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let path = job.path(PAGE);
    assert!(ended.stderr.contains(&format!("report: {}", path.display())), "{}", ended.stderr);
    let size = fs::metadata(&path).expect("a page").len();
    assert!(size < 150_000, "{size}");
    let mut browser = Browser::start();
    browser.open(&path, Screen::DESKTOP);
    is_quiet(&mut browser, &path);
    fits(&mut browser);
    assert!(browser.text("h1").starts_with("Completed in "), "{}", browser.text("h1"));
    assert_eq!(browser.text(".verdict p"), "All 2 ranks ended with 0.");
    let tiles = browser.text(".tiles");
    for said in
        ["in the script", "of ", "Memory: at most ", "validation:accuracy", "Yes: from 0.5 to 0.9967, the best."]
    {
        assert!(tiles.contains(said), "{said} is not in {tiles}");
    }
    for (selector, count) in
        [("#time .bar.named", 1), ("#time .bar.rank", 2), ("#metrics polyline", 4), ("#ranks tbody tr", 2)]
    {
        assert!(
            browser.value(&format!("document.querySelectorAll({selector:?}).length")).as_u64() >= Some(count),
            "{selector}"
        );
    }
    assert!(browser.value("document.querySelectorAll('#hardware polyline').length").as_u64() >= Some(2));
    let about = browser.text("#job");
    assert!(about.contains("0.1") && about.contains("******") && !about.contains("hidden-1"), "{about}");

    // The keyboard reads the values of a curve, and all curves with the same axis are marked.
    browser.press("Tab");
    assert_eq!(browser.value("document.activeElement.className"), "skip", "the first stop leads past the header");
    browser.value("document.querySelector('#metric-1 .plot').focus()");
    browser.press("ArrowLeft");
    assert_eq!(
        browser.text("#metric-1 .live"),
        "step 297: rank 0 0.0168, rank 1 1.016"
            .replace("0.0168", &near(&mut browser, 0))
            .replace("1.016", &near(&mut browser, 1))
    );
    let marked = browser
        .value("[...document.querySelectorAll('.cross')].filter((cross) => cross.style.display === 'block').length");
    assert_eq!(marked, 2);

    // A heading sorts, a legend hides a curve, and the scale can be logarithmic.
    browser.value("document.querySelectorAll('#ranks th button')[0].click(), document.querySelectorAll('#ranks th button')[0].click()");
    assert_eq!(browser.text("#ranks tbody tr th"), "1");
    assert_eq!(browser.value("document.querySelector('#ranks th').getAttribute('aria-sort')"), "descending");
    browser.value("document.querySelector('#metric-1 .legend button').click()");
    assert_eq!(browser.value("getComputedStyle(document.querySelector('#metric-1 polyline')).display"), "none");
    let marks = "document.querySelector('#metric-1 .frame').textContent";
    let before = browser.value(marks);
    browser.value("document.querySelector('#metric-1 .log').click()");
    assert_ne!(browser.value(marks), before);

    // Light and dark, chosen by the system and by the button.
    for dark in [false, true] {
        browser.open(&path, Screen { dark, ..Screen::DESKTOP });
        assert_eq!(browser.value(PALE), json!([]), "dark: {dark}");
        let background = "getComputedStyle(document.body).backgroundColor";
        let first = browser.value(background);
        browser.value("document.querySelector('.theme').click()");
        assert_ne!(browser.value(background), first);
        assert_eq!(browser.value(PALE), json!([]), "dark: {dark}, switched");
    }

    browser.open(&path, Screen::PHONE);
    fits(&mut browser);
    assert_eq!(browser.value(PALE), json!([]));

    // On paper there is nothing to press.
    browser.call("Emulation.setEmulatedMedia", json!({"media": "print"}));
    assert_eq!(
        browser.value(
            "[...document.querySelectorAll('button.js')].filter((button) => button.getClientRects().length).length"
        ),
        0
    );
    let paper = browser.call("Page.printToPDF", json!({"printBackground": true}));
    assert!(paper["data"].as_str().is_some_and(|data| data.len() > 10_000));
}

/// Returns the value of a curve at step 297, from the values that footplate wrote, as the page shows numbers.
fn near(browser: &mut Browser, rank: usize) -> String {
    let expression = format!(
        "(() => {{ const box = document.querySelector('#metric-1 .plot'), data = box.dataset; \
         const points = box.querySelectorAll('polyline')[{rank}].getAttribute('points').split(' ').map((point) => point.split(',').map(Number)); \
         const x = +data.x1 - (data.x1 - data.x0) / 100; \
         const at = points.reduce((best, point) => Math.abs(+data.x0 + point[0] / 1000 * (data.x1 - data.x0) - x) < Math.abs(+data.x0 + best[0] / 1000 * (data.x1 - data.x0) - x) ? point : best); \
         return String(+(data.y1 - at[1] / 100 * (data.y1 - data.y0)).toPrecision(4)); }})()"
    );
    browser.value(&expression).as_str().expect("a number").to_owned()
}

#[test]
fn the_page_of_a_failed_job_begins_with_its_error() {
    let job = training().hyperparameters(r#"{"fail": "yes"}"#);
    let ended = job.train();
    assert_eq!(ended.code(), 1, "the page changes no exit code: {}", ended.stderr);
    let path = job.path(PAGE);
    let mut browser = Browser::start();
    browser.open(&path, Screen { scripts: false, ..Screen::DESKTOP });
    is_quiet(&mut browser, &path);
    assert!(browser.text("h1").starts_with("Failed after "), "{}", browser.text("h1"));
    assert!(browser.text("h1").ends_with(": ValueError: bad data in x.csv line 3, </pre><script>alert(1)</script>"));
    let failure = job.read("output/failure").expect("a failure");
    let shown = browser.text(".why pre");
    assert_eq!(shown.trim(), failure.lines().filter(|line| !line.starts_with("hint: ")).collect::<Vec<_>>().join("\n"));
    assert!(browser.text("#last").contains("Traceback (most recent call last):"));
    assert_eq!(
        browser.value("[...document.querySelectorAll('.js')].filter((part) => part.getClientRects().length).length"),
        0
    );
    assert!(browser.value("document.querySelectorAll('polyline').length").as_u64() >= Some(4));
    fits(&mut browser);

    browser.open(&path, Screen { dark: true, ..Screen::DESKTOP });
    assert_eq!(browser.value(PALE), json!([]));
    browser.value("document.querySelector('.copy').click()");
    let said = eventually("the answer of the button", || Some(browser.text(".copy")).filter(|text| text != "Copy"));
    assert_eq!(said, "Copied");
    is_quiet(&mut browser, &path);
}

#[test]
fn a_job_that_is_stopped_leaves_a_page_and_one_that_vanishes_has_one() {
    let script = "trap 'exit 9' TERM; echo started; while :; do sleep 0.1; done";
    let job = Job::shell(script).variable("FOOTPLATE_REPORT", "on");
    let running = Running::start(&job, ["train"]);
    running.says("command: ");
    eventually("the script", || String::from_utf8_lossy(&running.stdout()).contains("started").then_some(()));
    running.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(running.end(&job).code(), 9);
    let text = job.read(PAGE).expect("a page");
    assert!(text.contains("<h1><span>Stopped</span> after ") && text.contains(" by SIGTERM</h1>"), "{text}");
    assert!(text.contains("SIGTERM arrived"), "{text}");

    // A footplate that is killed leaves the last version of its record, and no page.
    let job = Job::shell(script).variable("FOOTPLATE_REPORT", "on");
    let running = Running::start(&job, ["train"]);
    let found = "output/data/footplate/algo-1/run.json";
    eventually("a record of the script", || job.read(found).filter(|text| text.contains("\"script\"")));
    running.signal(nix::sys::signal::Signal::SIGKILL);
    running.end_without_files();
    assert!(!job.path(PAGE).exists());
    let folder = job.path("output/data/footplate");
    let (_kept, path) = page(&[&folder]);
    assert!(fs::read_to_string(path).expect("a page").contains("<h1><span>Running</span> for "));
    let file = fs::File::options().write(true).open(job.path(found)).expect("opened");
    file.set_modified(SystemTime::now() - Duration::from_secs(300)).expect("set");
    let (_kept, path) = page(&[&folder]);
    let text = fs::read_to_string(path).expect("a page");
    assert!(text.contains("<h1><span>Ended without a word</span> after "), "{text}");
}

#[test]
fn a_full_disk_costs_only_the_page() {
    // The script uses up the inodes of the file system of the output.
    let script =
        "number=0\nwhile touch $SM_OUTPUT_DATA_DIR/$number 2>/dev/null; do number=$((number + 1)); done\nexit 3\n";
    let job = Job::shell(script).variable("FOOTPLATE_REPORT", "on");
    let mut unshare = Command::new("unshare");
    unshare.args(["--user", "--map-root-user", "--mount", "sh", "-ec"]);
    let script = "mount -t tmpfs -o size=1m,nr_inodes=30 none \"$1\"; \"$0\" train || code=$?; ls -A \"$1\"/footplate; exit $code";
    unshare.arg(script).arg(FOOTPLATE).arg(job.path("output/data"));
    let output = job.within(unshare).output().expect("unshare runs");
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(log.matches("there is no report: cannot write ").count(), 1, "{log}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "algo-1\n", "no part of the page is left");
}

/// Writes the folder of a host.
fn write_host(folder: &Path, host: &str, record: &Value, samples: &str, values: &str) {
    let folder = folder.join(host);
    fs::create_dir_all(&folder).expect("made");
    for (name, text) in
        [("run.json", record.to_string().as_str()), ("resources.jsonl", samples), ("metrics.jsonl", values)]
    {
        fs::write(folder.join(name), text).expect("written");
    }
}

/// Returns a record in which every text is hostile.
fn hostile_record() -> Value {
    let evil = "</script></style></title></pre>\"'><img src=x onerror=hacked=1><script>hacked=1</script>\u{202e}reversed\u{1b}[31m {} {0} ${x}";
    let long = "x".repeat(5000);
    json!({
        "schema": evil, "footplate": evil, "status": "failed", "host": evil, "hosts": [evil, long, 5, null], "instance_type": evil,
        "started": 1000.0, "ended": 1e308, "exit_code": -1, "attempt": "x",
        "job": {"name": evil, "command": long, "hyperparameters": {evil: evil, "list": [evil, {"a": 1e308}], "long": long}},
        "plan": {"launcher": evil, "processes": [{"command": evil}]},
        "phases": [{"name": evil, "start": 1000, "end": 900}, {"name": "script", "start": 1001.0, "end": null}, {"name": 5}, 7],
        "ranks": [
            {"rank": 0, "started": 1001, "ended": 1e308, "exit_code": 1, "lines": 1e300, "last_line": -5},
            {"rank": 18_446_744_073_709_551_615_u64, "name": evil, "signal": 999, "gpu": 1e18, "pid": -1}, "x", null
        ],
        "services": {"a": 1}, "peers": [{"host": evil, "joined": 1002, "lost": 1003, "why": evil}],
        "stop": {"by": evil, "signal": evil, "why": evil, "at": 1004, "killed": 1005, "killed_because": evil},
        "metrics": {evil: {"count": -1, "first": 1e308, "last": -1e308, "min": -1e308, "max": 1e308, "problem": evil}, "x": []},
        "tuning": {"objective": evil, "seen": 0, "nearest": evil},
        "resources": {"cores": 0, "memory_peak": 1e308, "memory_limit": 1e-300, "kills": 3},
        "advice": [{"kind": evil, "text": evil, "remedy": evil, "evidence": evil}, {}],
        "failure": {"text": format!("{evil}\nhint: {evil}\n{long}"), "first_line": evil, "rank": 5, "host": evil,
            "cause": {"hints": [evil], "place": {"path": evil, "line": 3, "function": evil}}, "evidence": {"stdout": evil, "stderr": long}},
        "hang": {"method": evil, "after": 1e308, "odd_ranks": [0, -1, evil], "groups": [{"ranks": [0], "stack": evil}, {"ranks": 3, "stack": [evil, 5]}]},
        "checkpoints": {"found": {"name": evil}, "last": {"name": evil, "time": 1e300, "size": 1e300}, "written": 3},
        "uploads": {"files": 3, "bytes": 1e300, "failed": 1, "last_error": evil}
    })
}

/// Returns the record of one of two hosts of a job that hung. Its first host began 30 s before the second.
fn hung_record(host: usize) -> Value {
    let began = 1000.0 + 30.0 * host as f64;
    let rank = |local: usize| {
        let rank = 2 * host + local;
        json!({"rank": rank, "gpu": local, "pid": 300 + rank, "started": began + 10.0, "ended": 1700.0, "last_line": 1090.0,
            "exit_code": null, "signal": 15, "lines": 40, "bytes": 900})
    };
    let shared = json!({"kind": "shm", "text": "/dev/shm is nearly full", "evidence": "63 of 64 MiB are in use",
        "remedy": "start the container with a larger --shm-size"});
    let own = json!({"kind": "gpu-idle", "text": "GPU 1 is hardly used", "evidence": "it was busy 3 % of the time",
        "remedy": "see what the script waits for"});
    json!({
        "schema": "footplate.run/1", "footplate": "0.1.0", "status": "failed", "host": format!("algo-{}", host + 1),
        "hosts": ["algo-1", "algo-2"], "instance_type": "ml.g5.12xlarge", "started": began, "ended": 1710.0, "exit_code": 124,
        "job": {"name": "hung", "command": "train.py", "hyperparameters": {"lr": 0.1}},
        "plan": {"launcher": "per-gpu", "processes": []},
        "phases": [{"name": "config", "start": began, "end": began + 10.0}, {"name": "script", "start": began + 10.0, "end": 1700.0}],
        "ranks": [rank(0), rank(1)], "services": [], "peers": [],
        "stop": {"by": "hang", "why": "Hang: no progress for 600 s", "at": 1690.0},
        "advice": if host == 0 { json!([own, shared]) } else { json!([shared]) },
        "failure": {"text": "Hang: no progress for 600 s. Rank 3 is in fetch_labels (train.py:4), the other 3 wait for it in all_reduce",
            "first_line": "Hang: no progress for 600 s. Rank 3 is in fetch_labels (train.py:4), the other 3 wait for it in all_reduce",
            "rank": 3, "host": "algo-2", "exit_code": 124, "cause": {}, "evidence": {"stdout": "", "stderr": ""}},
        "hang": {"method": "memory", "after": 600.0, "odd_ranks": [3], "groups": [
            {"ranks": [0, 1, 2], "stack": ["all_reduce (collective.py:3)", "step (train.py:9)"]},
            {"ranks": [3], "stack": ["fetch_labels (train.py:4)", "step (train.py:8)"]}]},
        "checkpoints": {"found": {"name": "step-10", "time": 900.0, "size": 1 << 20},
            "last": {"name": "step-20", "time": 1080.0, "size": 3 << 20}, "written": 2}
    })
}

#[test]
fn the_page_of_a_hang_over_two_hosts_shows_what_both_recorded() {
    let folder = tempfile::tempdir().expect("a folder");
    for host in 0..2 {
        let samples: String = (0..5)
            .map(|at| {
                let gpus =
                    json!([{"index": 0, "busy": 90, "memory_used": 5, "memory_total": 9}, {"index": 1, "busy": 3}]);
                format!("{}\n", json!({"time": 1050 + 100 * at, "cpu": {"cores": 8, "used": 4}, "gpus": gpus}))
            })
            .collect();
        write_host(folder.path(), &format!("algo-{}", host + 1), &hung_record(host), &samples, "");
    }
    let (_kept, path) = page(&[folder.path()]);
    let mut browser = Browser::start();
    browser.open(&path, Screen::DESKTOP);
    is_quiet(&mut browser, &path);
    let sections = browser.value("[...document.querySelectorAll('section[id]')].map((section) => section.id)");
    assert_eq!(sections, json!(["stacks", "advice", "time", "events", "hardware", "ranks", "job"]));

    // Each advice once with its hosts, the dangerous one first.
    assert_eq!(
        browser.value("[...document.querySelectorAll('#advice li')].map((item) => [...item.children].map((part) => part.innerText))"),
        json!([
            ["/dev/shm is nearly full (algo-1 and algo-2)", "63 of 64 MiB are in use", "Start the container with a larger --shm-size"],
            ["GPU 1 is hardly used (algo-1)", "It was busy 3 % of the time", "See what the script waits for"],
        ])
    );

    // The rank that differs comes first, with its host.
    let stacks = "[...document.querySelectorAll('#stacks .stk')].map((group) => [group.className, group.querySelector('h3').innerText, group.querySelector('pre').innerText.trim()])";
    assert_eq!(
        browser.value(stacks),
        json!([
            ["stk odd", "differsrank 3 · algo-2 · GPU 1 · pid 303", "fetch_labels (train.py:4)\nstep (train.py:8)"],
            ["stk", "waitsranks 0–2", "all_reduce (collective.py:3)\nstep (train.py:9)"],
        ])
    );
    assert!(
        browser.text("#stacks p").contains("by memory after 10 min without progress, in 2 groups."),
        "{}",
        browser.text("#stacks p")
    );

    // Both hosts are on one clock: the second began 30 s of 710 s later, and both ended together.
    let ranks = browser.value(
        "[...document.querySelectorAll('#time .panel:first-of-type svg.rank')].map((bar) => { const parts = [...bar.querySelectorAll('rect')]; \
         return [parseFloat(parts[0].getAttribute('x')), parts.map((part) => part.getAttribute('class'))]; })",
    );
    let starts: Vec<f64> =
        ranks.as_array().expect("ranks").iter().map(|rank| rank[0].as_f64().expect("a place")).collect();
    let expected = [10.0, 10.0, 40.0, 40.0].map(|seconds| 100.0 * seconds / 710.0);
    assert!(starts.len() == 4 && starts.iter().zip(expected).all(|(one, other)| (one - other).abs() < 0.1), "{ranks}");
    assert_eq!(ranks[0][1], json!(["r-run", "r-wait"]), "{ranks}");
    assert_eq!(ranks[3][1], json!(["r-run", "r-odd"]), "{ranks}");
    assert!(browser.value("document.querySelectorAll('#time svg.mark title').length").as_u64() >= Some(1));

    // It is below the window, where the browser lays nothing out.
    let hardware = browser.value("document.querySelector('#hardware').textContent");
    for host in ["algo-1", "algo-2"] {
        assert!(hardware.as_str().is_some_and(|text| text.contains(host)), "{hardware}");
    }
    let job = browser.value("Object.fromEntries([...document.querySelectorAll('#job dt')].map((term) => [term.innerText, term.nextElementSibling.innerText]))");
    for (name, begin) in [
        ("checkpoint found at the start", "step-10, 1.0 MiB, "),
        ("checkpoints written", "2"),
        ("last checkpoint", "step-20, 3.0 MiB, "),
    ] {
        assert!(job[name].as_str().is_some_and(|text| text.starts_with(begin)), "{name}: {job:#}");
    }
}

#[test]
fn of_several_hosts_the_leader_writes_the_page() {
    let hosts = Hosts::new(2, "print('done')").ranks(1).variable("FOOTPLATE_REPORT", "on");
    hosts.train().into_iter().for_each(|ended| _ = ended.succeeded());
    let text = hosts.jobs[0].read(PAGE).expect("the page of the leader");
    assert!(text.contains("algo-2"), "the page names the host whose record is elsewhere");
    assert!(!hosts.jobs[1].path(PAGE).exists(), "the other host writes none");
}

#[test]
fn hostile_records_do_nothing_but_appear() {
    let folder = tempfile::tempdir().expect("a folder");
    let evil = r#"</script><script>hacked=1</script>\u202e"#;
    let mut samples = String::from("{\"interval\":1e308}\n{\"time\":1001,\"cpu\":{\"cores\":0,\"used\":1}}\n");
    let mut values = format!("{}\n", "[".repeat(10 << 20));
    for (at, value) in ["1e308", "-1e308", "5e-324", "null", "\"x\"", "NaN", "Infinity", "0", "-0.0"].iter().enumerate()
    {
        let time = 1001 + at;
        let _ = writeln!(
            samples,
            r#"{{"time":{time},"cpu":{{"cores":4,"used":{value}}},"memory":{{"working_set":{value},"limit":{value}}},"network":{{"received":{value}}},"gpus":[{{"index":{value},"busy":{value},"memory_used":{value}}},{{"index":"{evil}","busy":50}}]}}"#
        );
        let _ = writeln!(values, r#"{{"name":"{evil}","value":{value},"time":{time},"step":{value},"rank":"{evil}"}}"#);
        let _ = writeln!(values, r#"{{"name":"x","value":{value},"time":{time},"step":{at},"rank":{value}}}"#);
    }
    write_host(folder.path(), "algo-1", &hostile_record(), &samples, &values);
    fs::create_dir(folder.path().join("algo-2")).expect("made");
    fs::write(folder.path().join("algo-2/run.json"), "{\"status\": \"comple").expect("written");
    let mut browser = Browser::start();
    let (_kept, single) = page(&[folder.path()]);
    let (_kept_too, both) = page(&[folder.path(), folder.path()]);
    for path in [&single, &both] {
        for screen in [Screen::DESKTOP, Screen::PHONE] {
            browser.open(path, screen);
            is_quiet(&mut browser, path);
            fits(&mut browser);
            let text = browser.text("body");
            assert!(text.contains("<script>hacked=1</script>\\u{202e}reversed\\u{1b}[31m {} {0} ${x}"), "{text}");
            assert_eq!(browser.value("document.querySelectorAll('script').length"), 1);
            assert_eq!(browser.value("/NaN|Infinity|undefined/.test(document.querySelector('main').outerHTML.replace(/&lt;[^<]*/g, '').replaceAll('NaN or infinite', ''))"), false);
        }
    }
    browser.open(&single, Screen::DESKTOP);
    let gaps = browser.text(".gaps");
    assert!(gaps.contains("algo-2/run.json: it is not JSON") && gaps.contains("broken lines are left out"), "{gaps}");
}

#[test]
fn ten_thousand_ranks_stay_small_and_scroll_smoothly() {
    let folder = tempfile::tempdir().expect("a folder");
    let names: Vec<String> = (1..=250).map(|host| format!("algo-{host}")).collect();
    for (host, name) in names.iter().enumerate() {
        let ranks: Vec<Value> = (0..40)
            .map(|local| {
                let rank = 40 * host + local;
                json!({"rank": rank, "gpu": local, "pid": 300 + local, "started": 1010.0, "ended": 4000.5, "lines": 12_345 + rank,
                    "exit_code": if rank == 4321 { 1 } else { 0 }, "last_line": 3990.0})
            })
            .collect();
        let phases =
            json!([{"name": "config", "start": 1000, "end": 1001}, {"name": "script", "start": 1010, "end": 4001}]);
        let record = json!({"status": "completed", "host": name, "hosts": names, "started": 1000, "ended": 4002, "exit_code": 0,
            "job": {"name": "large"}, "phases": phases, "ranks": ranks});
        let gpus: Vec<Value> = (0..40).map(|index| json!({"index": index, "busy": (index + host) % 100})).collect();
        let samples: String = (0..2)
            .map(|at| format!("{}\n", json!({"time": 1020 + 2000 * at, "cpu": {"cores": 8, "used": 4}, "gpus": gpus})))
            .collect();
        write_host(folder.path(), name, &record, &samples, "");
    }
    let (_kept, path) = page(&[folder.path()]);
    let size = fs::metadata(&path).expect("a page").len();
    assert!(size < 3_000_000, "{size}");
    let mut browser = Browser::start();
    browser.open(&path, Screen::DESKTOP);
    is_quiet(&mut browser, &path);
    assert!(
        browser.text("#ranks").contains("10,000 ranks: 9,999 ended with 0, 1 failed."),
        "{}",
        browser.text("#ranks")
    );
    assert_eq!(browser.text("#ranks tr.odd th"), "4321");
    // What is not seen is not laid out, so the number of boxes stays small.
    let shown = browser.value("[...document.querySelectorAll('tr')].filter((row) => row.checkVisibility()).length");
    assert!(shown.as_u64() < Some(300), "{shown}");
    fits(&mut browser);
}

#[test]
fn several_jobs_are_compared_and_hosts_of_one_job_are_joined() {
    let folder = tempfile::tempdir().expect("a folder");
    let record = |host: &str, name: &str, hosts: &[&str], lr: f64, accuracy: f64| {
        json!({"status": "completed", "host": host, "hosts": hosts, "started": 1000, "ended": 1100, "exit_code": 0,
            "job": {"name": format!("my-training-job-{name}"), "hyperparameters": {"lr": lr, "epochs": 3}},
            "phases": [{"name": "script", "start": 1001, "end": 1099}],
            "metrics": {"val:accuracy": {"count": 2, "first": 0.5, "last": accuracy, "min": 0.5, "max": accuracy}}})
    };
    let values = |accuracy: f64| {
        format!(
            "{{\"name\":\"val:accuracy\",\"value\":0.5,\"time\":1002,\"step\":1,\"rank\":0}}\n{{\"name\":\"val:accuracy\",\"value\":{accuracy},\"time\":1090,\"step\":2,\"rank\":0}}\n"
        )
    };
    for (name, lr, accuracy) in [("a", 0.1, 0.8), ("b", 0.2, 0.9), ("c", 0.4, 0.7)] {
        let record = record("algo-1", name, &["algo-1"], lr, accuracy);
        write_host(&folder.path().join(name), "algo-1", &record, "", &values(accuracy));
    }
    let folders = ["a", "b", "c"].map(|name| folder.path().join(name));
    let (_kept, path) = page(&folders.each_ref().map(PathBuf::as_path));
    let mut browser = Browser::start();
    browser.open(&path, Screen::DESKTOP);
    is_quiet(&mut browser, &path);
    assert_eq!(browser.text("h1"), "Best: …b with 0.9");
    let head = browser.text("#runs thead");
    assert!(head.contains("lr") && !head.contains("epochs"), "only what differs: {head}");
    assert_eq!(browser.value("document.querySelectorAll('#metric-0 polyline').length"), 3);
    assert_eq!(browser.text("td.good"), "0.9");

    // Two hosts of one job, named by their folders.
    for host in ["algo-1", "algo-2"] {
        write_host(
            &folder.path().join("d"),
            host,
            &record(host, "d", &["algo-1", "algo-2", "algo-3"], 0.1, 0.5),
            "",
            "",
        );
    }
    let hosts = ["algo-2", "algo-1"].map(|host| folder.path().join("d").join(host));
    let (_kept, path) = page(&hosts.each_ref().map(PathBuf::as_path));
    browser.open(&path, Screen::PHONE);
    assert!(browser.text("h1").starts_with("Completed"));
    assert!(browser.text("#time").find("algo-1") < browser.text("#time").find("algo-2"));
    assert!(browser.text(".gaps").contains("shows algo-1 and algo-2 only. The records of algo-3 are not here"));
}

#[test]
fn a_folder_without_a_record_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("page.html");
    let report = |more: &[&str]| {
        let mut command = Command::new(FOOTPLATE);
        command.arg("report").arg(folder.path()).arg("-o").arg(&page).args(more).output().expect("it runs")
    };
    let output = report(&[]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.starts_with("footplate: there is no run record in ") && said.ends_with("or the folder of a host in it\n"),
        "{said}"
    );
    fs::write(folder.path().join("run.json"), "[]").expect("written");
    let output = report(&[]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), said.contains("run.json: it is not a JSON object")), (Some(2), true), "{said}");
    assert!(!page.exists());
    fs::write(folder.path().join("run.json"), "{}").expect("written");
    assert_eq!(report(&[]).status.code(), Some(0), "a record of any version has a page");
    assert!(page.exists());
}

#[test]
fn broken_and_mutated_records_always_have_a_page() {
    let job = training();
    assert_eq!(job.train().code(), 0);
    let read = |name: &str| fs::read(job.path("output/data/footplate/algo-1").join(name)).expect("read");
    let mut files = [
        ("run.json", read("run.json")),
        ("resources.jsonl", read("resources.jsonl")),
        ("metrics.jsonl", read("metrics.jsonl")),
    ];
    files[2].1.truncate(4000);
    let hostile = hostile_record().to_string().into_bytes();
    let folder = tempfile::tempdir().expect("a folder");
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |limit: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % limit as u64) as usize
    };
    let mut pages = 0;
    for round in 0..150 {
        for (number, (name, text)) in files.iter().enumerate() {
            let mut text = if number == 0 && round % 2 == 0 { hostile.clone() } else { text.clone() };
            for _ in 0..below(4) {
                let at = below(text.len());
                match below(5) {
                    0 => text[at] = b"\0\xff\"{}[]:,-.e09ntf"[below(16)],
                    1 => text.truncate(at),
                    2 => drop(text.drain(at..(at + 1 + below(40)).min(text.len()))),
                    3 => drop(text.splice(at..at, *b"1e308")),
                    _ => drop(text.splice(at..at, b"null,\"x\":[".repeat(1 + below(30)))),
                }
                if text.is_empty() {
                    text.push(b'{');
                }
            }
            fs::write(folder.path().join(name), text).expect("written");
        }
        // The binary's own function, because a panic must not be hidden by an exit code.
        if let Ok(page) = footplate::observe::report::page(&[folder.path().to_owned()], 2000.0) {
            assert!(page.ends_with("</html>\n") && !page.contains("<img src=x"));
            pages += 1;
        }
    }
    assert!(pages > 30, "{pages}");
    assert_eq!(record(&job)["status"], "completed");
}
