//! Completions, asked of real shells, and the manual page, read by a real reader of manual pages.

use std::process::Command;

use super::images;
use super::job::{FOOTPLATE, wait_with_output};

/// Returns the output of footplate with these arguments.
fn footplate(words: &[&str]) -> String {
    let output = Command::new(FOOTPLATE).args(words).env_clear().output().expect("footplate starts");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Runs a program of a shell in a folder with the completions in the file `_footplate`, and returns the words of its output.
/// `None` if the shell is not installed.
fn shell(shell: &str, options: &[&str], program: &str) -> Option<Vec<String>> {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("_footplate"), footplate(&["completions", shell])).expect("written");
    std::fs::create_dir(folder.path().join("data")).expect("a folder");
    std::fs::write(folder.path().join("deep.json"), "{}").expect("written");
    let mut command = Command::new(shell);
    command
        .args(options)
        .args(["-c", program])
        .current_dir(folder.path())
        .env("HOME", folder.path())
        .env("TERM", "xterm");
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let Ok(child) = command.spawn() else {
        images::skip(&format!("the completions for {shell} need it"));
        return None;
    };
    let output = wait_with_output(child);
    assert!(output.stderr.is_empty(), "{output:?}");
    Some(String::from_utf8_lossy(&output.stdout).split_whitespace().map(str::to_owned).collect())
}

/// Returns what Bash completes at the end of a line. The words are those into which Bash cuts it.
fn bash(words: &[&str]) -> Vec<String> {
    let words: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let program = format!(
        "compopt() {{ :; }}; . ./_footplate; COMP_WORDS=({}); COMP_CWORD={}; _footplate; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        words.join(" "),
        words.len() - 1
    );
    shell("bash", &["--norc"], &program).expect("bash is installed")
}

#[test]
fn bash_completes_commands_options_settings_and_their_values() {
    assert_eq!(bash(&["footplate", "t"]), ["train"]);
    assert_eq!(bash(&["footplate", "pl"]), ["plan"]);
    assert_eq!(bash(&["footplate", "plan", "--j"]), ["--json"]);
    assert_eq!(bash(&["footplate", "train", "--set", "grace"]), ["grace_period="]);
    assert_eq!(bash(&["footplate", "train", "--set", "launcher", "=", "per"]), ["per-gpu"]);
    assert_eq!(bash(&["footplate", "train", "--set", "installer", "="]), ["auto", "uv", "pip"]);
    assert_eq!(bash(&["footplate", "env", "--format", ""]), ["shell", "json"]);
    assert_eq!(bash(&["footplate", "completions", "f"]), ["fish"]);
    assert_eq!(bash(&["footplate", "explain", "SM_NUM_G"]), ["SM_NUM_GPUS"]);
    assert_eq!(bash(&["footplate", "local", "--source-dir", "d"]), ["data"]);
    assert_eq!(bash(&["footplate", "local", "--hyperparameters", "dee"]), ["deep.json"]);
    assert!(bash(&["footplate", "exec", "--", "tra"]).is_empty(), "a command is the shell's to complete");
}

#[test]
fn fish_completes_commands_options_settings_and_their_values() {
    let complete = |line: &str| {
        let program = format!("source ./_footplate; complete -C '{line}' | string split -f 1 \\t");
        shell("fish", &["--no-config"], &program)
    };
    let Some(found) = complete("footplate pl") else { return };
    assert_eq!(found, ["plan"]);
    assert_eq!(complete("footplate plan --j").expect("fish"), ["--json"]);
    assert_eq!(complete("footplate train --set launcher=per").expect("fish"), ["launcher=per-gpu"]);
    assert_eq!(complete("footplate completions z").expect("fish"), ["zsh"]);
    assert_eq!(complete("footplate explain SM_NUM_G").expect("fish"), ["SM_NUM_GPUS"]);
    assert!(complete("footplate local --source-dir d").expect("fish").contains(&"data/".to_owned()));
}

#[test]
fn zsh_completes_commands_options_settings_and_their_values() {
    // What is completed is what a user would see: zsh runs on a terminal of its own, and Tab is pressed.
    let complete = |line: &str| {
        let program = format!(
            "zmodload zsh/zpty; zpty z zsh -f; \
             zpty -w z 'PS1=; fpath=($PWD $fpath); autoload -Uz compinit; compinit -u -D; zstyle \":completion:*\" list-colors; \
             unsetopt zle_bracketed_paste; stty columns 1000; print READY-$((40+2))'; \
             zpty -m -r z text '*READY-42*'; zpty -w -n z $'{line}\\t'; \
             repeat 200; do zpty -r -t z part && all+=$part; [[ $all == *{expected}* ]] && break; sleep 0.05; done; print -r -- $all; zpty -d z",
            expected = "EXPECTED"
        );
        program
    };
    for (line, expected) in [
        ("footplate pla", "footplate plan"),
        ("footplate plan --js", "footplate plan --json"),
        ("footplate train --set launcher=per", "launcher=per-gpu"),
        ("footplate train --set grace", "grace_period="),
        ("footplate explain SM_NUM_G", "SM_NUM_GPUS"),
    ] {
        let quoted = expected.replace(' ', "\\ ");
        let Some(found) = shell("zsh", &["-f"], &complete(line).replace("EXPECTED", &quoted)) else { return };
        let text = found.join(" ");
        assert!(text.contains(expected), "{line}: {text}");
    }
}

#[test]
fn the_manual_page_is_well_formed_and_names_every_command_and_setting() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("footplate.1");
    std::fs::write(&file, footplate(&["man"])).expect("written");
    let Ok(lint) = Command::new("mandoc").args(["-T", "lint", "-W", "warning"]).arg(&file).output() else {
        return images::skip("the manual page needs mandoc");
    };
    // The page has no date, so that two builds of one version are equal.
    let lint = String::from_utf8_lossy(&lint.stdout).into_owned();
    let found: Vec<&str> = lint.lines().filter(|line| !line.contains("missing date")).collect();
    assert!(found.is_empty(), "{found:#?}");
    let shown = Command::new("mandoc").args(["-T", "utf8", "-O", "width=200"]).arg(&file).output().expect("mandoc");
    // Bold letters are written twice, with a backspace between them.
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    let mut plain = String::new();
    for letter in text.chars() {
        if letter == '\u{8}' {
            plain.pop();
        } else {
            plain.push(letter)
        }
    }
    for expected in
        ["SYNOPSIS", "--source-dir DIR", "grace_period", "torchrun", "137", "footplate exec -- python train.py"]
    {
        assert!(plain.contains(expected), "{expected} is not in\n{plain}");
    }
}
