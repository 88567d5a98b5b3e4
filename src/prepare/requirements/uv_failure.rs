//! The reason why uv failed, from its output: its error with the causes below it, on one line.
//!
//! uv has no machine-readable errors, so this module follows its wording. The wording was read from uv 0.13.9; where
//! older releases differ, a comment says so. The integration tests `installers` run the real uv and fail if its wording
//! changes.

use super::build_failure::{build_error, git_error, without_indent};

/// The maximum length of a complaint, in characters.
const MAX_LENGTH: usize = 700;
/// The beginnings of the lines with a cause. uv 0.13.9 prints the first; older releases print the others.
const CAUSES: [&str; 4] = ["cause: ", "Caused by: ", "╰─▶ ", "├─▶ "];
/// The lines before the output of a program that uv ran. Releases before 0.4 print those with dashes for builds, and all
/// releases do for git.
const OUTPUTS: [&str; 6] = ["[stdout]", "[stderr]", "--- stdout:", "--- stderr:", "--- stdout", "--- stderr"];

/// Returns uv's own error as one line, from its standard output and standard error; `None` if there is none. If a
/// program that uv ran has failed, such as a build or git, that program's error is returned. The line can hold URLs
/// with passwords, which the caller must redact.
///
/// uv does not name a package that is required by its path alone. `only_path` is this path, if there is only one.
pub fn uv_failure_line(output: &[u8], only_path: Option<&str>) -> Option<String> {
    let text = String::from_utf8_lossy(output);
    let report = Report::parse(&text);
    let line = report.of_program(only_path).unwrap_or_else(|| report.causes());
    match line.char_indices().nth(MAX_LENGTH) {
        Some((end, _)) => Some(format!("{}…", &line[..end])),
        None => Some(line).filter(|line| !line.is_empty()),
    }
}

/// The last error that uv printed.
#[derive(Default)]
struct Report<'t> {
    /// The error and its causes.
    parts: Vec<String>,
    /// The lines that were printed by a program that uv ran.
    program: Vec<&'t str>,
}

impl<'t> Report<'t> {
    fn parse(text: &'t str) -> Report<'t> {
        let mut report = Report::default();
        let (mut has_cause, mut is_program) = (false, false);
        for line in text.lines() {
            let content = line.trim().trim_start_matches('│').trim();
            let error = content.strip_prefix("error: ").or_else(|| content.strip_prefix("× "));
            if OUTPUTS.contains(&content) && !report.parts.is_empty() {
                is_program = true;
            } else if is_program && (content == "---" || content.starts_with("hint: ")) {
                is_program = false;
            } else if is_program {
                report.program.push(line);
            } else if let Some(error) = error {
                report = Report { parts: vec![error.trim_end_matches(':').to_owned()], program: Vec::new() };
                has_cause = false;
            } else if !report.parts.is_empty() {
                match CAUSES.iter().find_map(|word| content.strip_prefix(word)) {
                    Some(cause) => {
                        report.parts.push(cause.to_owned());
                        has_cause = true;
                    }
                    // A cause can continue on the next lines.
                    None if has_cause && !content.is_empty() => {
                        if let Some(last) = report.parts.last_mut() {
                            last.push(' ');
                            last.push_str(content);
                        }
                    }
                    None => {}
                }
            }
        }
        report
    }

    /// Returns the error of the program that uv ran, with the package that it was for.
    fn of_program(&self, only_path: Option<&str>) -> Option<String> {
        let is_git = self.parts.iter().any(|part| part.starts_with("Git operation failed"));
        let program = without_indent(&self.program);
        let last = || program.iter().map(|line| line.trim()).rfind(|line| !line.is_empty()).map(str::to_owned);
        let error = if is_git { git_error(&program) } else { build_error(&program) };
        let error = error.or_else(last)?;
        let verb = if is_git { "fetching" } else { "building" };
        let package = self.parts.iter().find_map(|part| {
            let rest =
                part.strip_prefix("Failed to build").or_else(|| part.strip_prefix("Failed to download and build"))?;
            let package = rest.split('`').nth(1)?;
            Some(package.split(" @ ").next().unwrap_or(package))
        });
        Some(match package.or(only_path) {
            Some(package) => format!("{error} ({verb} {package})"),
            None => error,
        })
    }

    /// Returns the error with its causes.
    fn causes(mut self) -> String {
        // The cause names the requirement, so the general error before it would only take up space.
        if self.parts.len() > 1 && self.parts[0].starts_with("No solution found") {
            self.parts.remove(0);
        }
        self.parts.dedup();
        self.parts.join(": ")
    }
}

#[cfg(test)]
mod tests {
    use super::uv_failure_line;

    #[test]
    fn an_error_and_its_causes_become_one_line() {
        for (output, expected) in [
            (
                "Using Python 3.11.7\nerror: No solution found when resolving dependencies\n  cause: Because there is no \
                 version of a==9 and you require a==9, we can conclude it.\n",
                "Because there is no version of a==9 and you require a==9, we can conclude it.",
            ),
            (
                "  × No solution found when resolving dependencies:\n  ╰─▶ Because a was not found and\n      you require a, \
                 we can conclude it.\n\n      hint: try\n",
                "Because a was not found and you require a, we can conclude it. hint: try",
            ),
            (
                "error: Failed to download `a==1`\n  cause: Hash mismatch for `a==1`\n\n   Expected:\n     sha256:00\n",
                "Failed to download `a==1`: Hash mismatch for `a==1` Expected: sha256:00",
            ),
        ] {
            assert_eq!(uv_failure_line(output.as_bytes(), None).as_deref(), Some(expected));
        }
        assert_eq!(uv_failure_line(b"Resolved 3 packages in 2ms\n", None), None);
    }

    #[test]
    fn the_error_of_a_program_that_uv_ran_is_the_reason() {
        const TRACEBACK: &str = "Traceback (most recent call last):\n  File \"<string>\", line 14, in <module>\n    \
                                 self.run_setup()\nOSError: CUDA_HOME is not set.\n";
        let indented: String = TRACEBACK.lines().map(|line| format!("         {line}\n")).collect();
        for (output, expected) in [
            // uv 0.13, 0.4, 0.2, and 0.5 to 0.9.
            (
                format!(
                    "error: Failed to build `zz-ext @ file:///x`\n  cause: The build backend returned an error\n  cause: Call to \
                     `b.build_wheel` failed (exit status: 1)\n\n         [stdout]\n         running\n\n         [stderr]\n{indented}\n\
                     hint: Build failures usually\n"
                ),
                "OSError: CUDA_HOME is not set. (building zz-ext)",
            ),
            (
                format!("error: Build backend failed to determine metadata\n\n[stderr]\n{TRACEBACK}"),
                "OSError: CUDA_HOME is not set.",
            ),
            (
                format!("error: Failed to build: `zz==1.0`\n  Caused by: Build backend failed\n--- stdout:\n\n--- stderr:\n{TRACEBACK}---\n"),
                "OSError: CUDA_HOME is not set. (building zz==1.0)",
            ),
            (
                "  × Failed to build `zz @ file:///x`\n  ├─▶ The build backend returned an error\n  ╰─▶ Call to\n      `b` failed\n\n      \
                 [stderr]\n      Traceback (most recent call last):\n        File\n      \"/x/build_meta.py\",\n      line 380, in \
                 f\n          self.run()\n      OSError: CUDA_HOME is\n      not set.\n\n      hint: This usually"
                    .to_owned(),
                "OSError: CUDA_HOME is not set. (building zz)",
            ),
            (
                "error: Failed to build `zz==1.0`\n  cause: Call to `b` failed\n\n         [stderr]\n         need cmake >= 3.18\n"
                    .to_owned(),
                "need cmake >= 3.18 (building zz==1.0)",
            ),
            (
                "error: Failed to download and build `y @ git+ssh://git@h/y.git`\n  cause: Git operation failed\n  cause: failed to \
                 fetch branch or tag `main`\n  cause: process didn't exit successfully: `git fetch` (exit status: 128)\n         --- \
                 stderr\n         Host key verification failed.\n         fatal: Could not read from remote repository.\n\n         \
                 Please make sure you have the correct access rights\n         and the repository exists.\n"
                    .to_owned(),
                "Host key verification failed. fatal: Could not read from remote repository. (fetching y)",
            ),
        ] {
            assert_eq!(uv_failure_line(output.as_bytes(), None).as_deref(), Some(expected), "{output}");
        }
    }
}
