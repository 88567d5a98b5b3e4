//! The live view of `footplate local`, on a real terminal whose screen a terminal emulator keeps.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use super::job::{FOOTPLATE, Job, wait_with_output};
use super::{images, kept};

/// Returns the Python of a virtual environment with the terminal emulator.
fn python() -> PathBuf {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| kept::environment(&["pyte==0.8.2"]).join("bin/python")).clone()
}

/// Runs a command on a terminal of its own, and does one thing after the other: `wait TEXT` until the screen shows a text, `hide
/// TEXT` until it does not, `resize ROWS COLUMNS`, `type TEXT`, `make FILE`, `note`. Prints the screens that it noted, the last
/// screen, all bytes, and the exit code.
const DRIVER: &str = r#"
import fcntl, json, os, pty, select, struct, sys, termios, time
import pyte
rows, columns, actions, command = int(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3]), sys.argv[4:]
size = lambda rows, columns: struct.pack("HHHH", rows, columns, 0, 0)
pid, terminal = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, size(rows, columns))
    os.execvp(command[0], command)
class Screen(pyte.Screen):
    pass
screen = Screen(columns, rows)
stream = pyte.ByteStream(screen)
noted, bytes_of_all, deadline, exit_code = [], b"", time.monotonic() + 100, None
def shown():
    return {"lines": list(screen.display), "margins": list(screen.margins) if screen.margins else None, "row": screen.cursor.y}
def is_done(action):
    word, *rest = action
    if word == "wait":
        return any(rest[0] in line for line in screen.display)
    if word == "hide":
        return not any(rest[0] in line for line in screen.display)
    if word == "resize":
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, size(*rest))
        screen.resize(*rest)
    if word == "type":
        os.write(terminal, rest[0].encode())
    if word == "make":
        open(rest[0], "w").close()
    if word == "note":
        noted.append(shown())
    return True
while time.monotonic() < deadline:
    while actions and is_done(actions[0]):
        actions.pop(0)
    if not select.select([terminal], [], [], 0.05)[0]:
        continue
    try:
        data = os.read(terminal, 65536)
    except OSError:
        break
    if not data:
        break
    bytes_of_all += data
    stream.feed(data)
exit_code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
print(json.dumps({"noted": noted, "last": shown(), "bytes": bytes_of_all.decode("utf-8", "replace"), "left": actions, "code": exit_code}))
"#;

/// A script that prints a metric until it is told to end.
const SCRIPT: &str = "import os, time\nstep = 0\nwhile not os.path.exists(os.environ['END']):\n    step += 1\n    print(f'line {step} loss: {1 / step:.4f}', flush=True)\n    time.sleep(0.02)\nprint('the end')\n";

/// A run on a terminal.
struct Shown {
    noted: Vec<Value>,
    last: Value,
    bytes: String,
    code: i64,
}

/// Runs a job on a terminal. `variables` are those of the terminal. `END` in an action stands for the file that ends the script,
/// and `BASE` in an option for its folder.
fn on_a_terminal(size: (u16, u16), variables: &[(&str, &str)], options: &[&str], actions: &[&[&str]]) -> Shown {
    let job = Job::python(SCRIPT).file("code/metrics.json", r#"[{"Name": "loss", "Regex": "loss: ([0-9.]+)"}]"#);
    let end = job.path("end").display().to_string();
    let actions: Vec<Vec<Value>> = actions
        .iter()
        .map(|action| {
            let word = |word: &&str| match word.parse::<u16>() {
                Ok(number) => number.into(),
                Err(_) => Value::from(word.replace("END", &end)),
            };
            action.iter().map(word).collect()
        })
        .collect();
    let mut command = job.within(Command::new(python()));
    command.args(["-c", DRIVER, &size.0.to_string(), &size.1.to_string()]);
    command.arg(serde_json::to_string(&actions).expect("JSON")).arg(FOOTPLATE).arg("local");
    command.arg("--entry-point").arg("train.py").arg("--source-dir").arg(job.path("code"));
    command.arg("--output-dir").arg(job.path("results")).arg("--env").arg(format!("END={end}"));
    command.args(["--set", "resource_interval=0.2", "--set", "metrics=metrics.json"]);
    command.args(options.iter().map(|option| option.replace("BASE", &job.base().display().to_string())));
    command.envs(variables.iter().copied()).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let output = wait_with_output(command.spawn().expect("it starts"));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let text = String::from_utf8(output.stdout).expect("text");
    let result: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}{stderr}"));
    assert_eq!(result["left"], serde_json::json!([]), "{:#}", result["last"]);
    Shown {
        noted: result["noted"].as_array().expect("screens").clone(),
        last: result["last"].clone(),
        bytes: result["bytes"].as_str().expect("text").to_owned(),
        code: result["code"].as_i64().expect("a code"),
    }
}

/// Returns the lines of a screen.
fn lines(screen: &Value) -> Vec<&str> {
    screen["lines"].as_array().expect("lines").iter().map(|line| line.as_str().expect("text").trim_end()).collect()
}

/// Checks that the last three lines are those of the view, and that the output stands above them.
#[track_caller]
fn has_view(screen: &Value) {
    let lines = lines(screen);
    let (above, [first, metrics, hardware]) = lines
        .split_at_checked(lines.len() - 3)
        .map(|(above, view)| (above, [view[0], view[1], view[2]]))
        .expect("a screen");
    assert!(
        first.contains(" · script · ") && metrics.starts_with("loss 0.") && hardware.starts_with("CPU "),
        "{lines:#?}"
    );
    assert!(above.iter().any(|line| line.starts_with("line ")), "{lines:#?}");
    assert!(above.iter().all(|line| !line.starts_with("CPU ") && !line.contains(" · script · ")), "{lines:#?}");
}

#[test]
fn three_lines_stay_at_the_bottom_of_the_terminal_until_the_end() {
    let begun = std::time::Instant::now();
    let shown = on_a_terminal(
        (24, 80),
        &[("TERM", "xterm-256color")],
        &[],
        &[
            &["wait", "CPU "],
            &["wait", "↓"],
            &["note"],
            &["resize", "30", "60"],
            &["wait", "line 150"],
            &["note"],
            &["make", "END"],
        ],
    );
    let seconds = begun.elapsed().as_secs_f64();
    assert_eq!((shown.code, shown.noted.len()), (0, 2));
    shown.noted.iter().for_each(has_view);
    assert_eq!(shown.noted[0]["margins"], serde_json::json!([0, 20]));
    assert_eq!(shown.noted[1]["margins"], serde_json::json!([0, 26]));
    // Nothing of it is left, and the whole window scrolls again.
    let last = lines(&shown.last);
    assert!(last.contains(&"the end"), "{last:#?}");
    assert!(last.iter().all(|line| !line.starts_with("CPU ") && !line.contains(" · script · ")), "{last:#?}");
    assert!(matches!(&shown.last["margins"], Value::Null) || shown.last["margins"] == serde_json::json!([0, 29]));
    // No line of the script is lost or cut.
    let steps = shown.bytes.split("line ").skip(1).filter_map(|rest| rest.split(' ').next()?.parse::<u32>().ok());
    assert!(steps.clone().count() >= 150 && steps.zip(1..).all(|(step, number)| step == number), "{}", shown.bytes);
    let draws = shown.bytes.matches("\x1b[22;1H\x1b[K").count() + shown.bytes.matches("\x1b[28;1H\x1b[K").count();
    assert!(draws > 1 && draws as f64 <= 4.0 * seconds + 1.0, "{draws} in {seconds} s");
    assert!(shown.bytes.contains("\x1b[1m"));
}

#[test]
fn colours_are_left_out_if_the_user_wants_none() {
    let variables = [("TERM", "xterm"), ("NO_COLOR", "1")];
    let shown =
        on_a_terminal((24, 80), &variables, &[], &[&["wait", "↓"], &["wait", "CPU "], &["note"], &["make", "END"]]);
    has_view(&shown.noted[0]);
    assert!(!shown.bytes.contains("m\x1b[") && !shown.bytes.contains("\x1b[0m") && !shown.bytes.contains("\x1b[1m"));
}

#[test]
fn nothing_is_drawn_where_it_cannot_be_shown() {
    for (size, variables) in [
        ((24, 80), &[("TERM", "dumb")][..]),
        ((24, 80), &[]),
        ((8, 80), &[("TERM", "xterm")]),
        ((24, 15), &[("TERM", "xterm")]),
    ] {
        let shown = on_a_terminal(size, variables, &[], &[&["wait", "line 40"], &["make", "END"]]);
        assert!(!shown.bytes.contains('\x1b'), "{size:?} {variables:?}: {:?}", shown.bytes);
    }
    // Without a terminal, a job writes only its own lines.
    let job = Job::python("print('hello')\n").variable("TERM", "xterm");
    let (code, results) = (job.path("code").display().to_string(), job.path("results").display().to_string());
    let ended = job.run(["local", "--entry-point", "train.py", "--source-dir", &code, "--output-dir", &results]);
    assert!(ended.code() == 0 && !ended.stdout().contains('\x1b') && !ended.stderr.contains('\x1b'), "{ended:#?}");
}

#[test]
fn several_hosts_share_the_view() {
    let actions: &[&[&str]] = &[&["wait", "2 hosts"], &["wait", "CPU "], &["wait", "↓"], &["note"], &["make", "END"]];
    let shown = on_a_terminal((24, 100), &[("TERM", "xterm")], &["--hosts", "2"], actions);
    assert_eq!(shown.code, 0);
    let lines = lines(&shown.noted[0]);
    assert!(lines[..21].iter().any(|line| line.starts_with("[algo-2:")), "{lines:#?}");
    assert!(lines[21].contains(" · 2 hosts") && lines[23].starts_with("CPU "), "{lines:#?}");
}

#[test]
fn a_job_in_an_image_has_the_view() {
    if !images::usable() {
        return;
    }
    let image = images::debian("bookworm");
    let options = ["--image", image, "--channel", "here=BASE", "--env", "END=/opt/ml/input/data/here/end"];
    let actions: &[&[&str]] = &[&["wait", "CPU "], &["wait", "↓"], &["note"], &["make", "END"]];
    let shown = on_a_terminal((24, 80), &[("TERM", "xterm")], &options, actions);
    assert_eq!(shown.code, 0, "{}", shown.bytes);
    has_view(&shown.noted[0]);
}

#[test]
fn ctrl_c_clears_the_view() {
    let shown = on_a_terminal((24, 80), &[("TERM", "xterm")], &[], &[&["wait", "CPU "], &["type", "\x03"]]);
    assert_ne!(shown.code, 0);
    let last = lines(&shown.last);
    assert!(last.iter().all(|line| !line.starts_with("CPU ")), "{last:#?}");
    assert!(fs::metadata("/proc").is_ok() && shown.bytes.contains("\x1b[r"));
}
