//! Frames of functions that cloudpickle has carried to another process, such as a worker of Dask. Such functions are those
//! of the script itself, and functions within functions. They keep their line numbers and lose the name of their file.

use super::place::Frame;
use super::read::{Raised, Traceback};

/// The name that cloudpickle gives instead of the file.
pub const WITHOUT_FILE: &str = "<dynamic-code>";

/// A Python script: its path, as it is in tracebacks, and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptText {
    /// The path.
    pub path: String,
    /// The text.
    pub text: String,
}

/// Gives frames the name of the script if the script has their function at their line.
pub(super) fn named(mut tracebacks: Vec<Traceback>, script: Option<&ScriptText>) -> Vec<Traceback> {
    if let Some(script) = script {
        let lines: Vec<&str> = script.text.lines().collect();
        let raised = tracebacks.iter_mut().flat_map(|traceback| &mut traceback.chain);
        raised.for_each(|raised| name_files_of(raised, &script.path, &lines));
    }
    tracebacks
}

fn name_files_of(raised: &mut Raised, path: &str, lines: &[&str]) {
    for frame in &mut raised.frames {
        if frame.path == WITHOUT_FILE && is_in(lines, frame) {
            path.clone_into(&mut frame.path);
        }
    }
    raised.members.iter_mut().for_each(|member| name_files_of(member, path, lines));
}

/// Returns true if the line of a frame belongs to the function of the frame.
fn is_in(lines: &[&str], frame: &Frame) -> bool {
    let Some(function) = frame.function.as_deref() else { return false };
    let Some(at) = usize::try_from(frame.line).ok().and_then(|line| line.checked_sub(1)) else { return false };
    let Some(line) = lines.get(at).filter(|line| !line.trim().is_empty()) else { return false };
    if function == "<lambda>" {
        return line.contains("lambda");
    }
    let indentation = |line: &str| line.len() - line.trim_start().len();
    let mut depth = indentation(line);
    for line in lines[..at].iter().rev().filter(|line| !line.trim().is_empty()) {
        if indentation(line) >= depth {
            continue;
        }
        depth = indentation(line);
        let code = line.trim_start();
        let code = code.strip_prefix("async ").unwrap_or(code);
        if let Some(rest) = code.strip_prefix("def ") {
            return rest.strip_prefix(function).is_some_and(|rest| rest.trim_start().starts_with(['(', '[']));
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::{ScriptText, WITHOUT_FILE};
    use crate::failure::lines::Log;
    use crate::failure::read;

    const SCRIPT: &str = "def outer():\n    def bad(x):\n        if x:\n\n            raise ValueError(x)\n    return bad\n\n\
                          class Model:\n    async def step(self):\n        return 1 / 0\n\nf = lambda x: x[9]\n";

    /// Returns the paths of the frames of a traceback that ends in these functions, once they have their names.
    fn paths(frames: &[(u64, &str)]) -> Vec<String> {
        let mut text = String::from("Traceback (most recent call last):\n");
        for (line, function) in frames {
            text += &format!("  File \"{WITHOUT_FILE}\", line {line}, in {function}\n");
        }
        text += "ValueError: x\n";
        let log = Log::read(text.as_bytes());
        let script = ScriptText { path: "train.py".to_owned(), text: SCRIPT.to_owned() };
        super::named(read::tracebacks(&log), Some(&script))[0]
            .last()
            .frames
            .iter()
            .map(|frame| frame.path.clone())
            .collect()
    }

    #[test]
    fn a_function_that_the_script_has_at_its_line_is_in_the_script() {
        assert_eq!(paths(&[(5, "bad"), (10, "step"), (12, "<lambda>")]), ["train.py"; 3]);
        let of_other_files =
            [(5, "good"), (5, "ba"), (4, "bad"), (99, "bad"), (0, "bad"), (6, "bad"), (10, "<lambda>")];
        assert_eq!(paths(&of_other_files), [WITHOUT_FILE; 7]);
    }
}
