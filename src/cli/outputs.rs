//! The outputs that the platform configures and that libraries in the script write, as `footplate plan` shows them.

use serde_json::{Value, json};

use crate::job::Paths;
use crate::job::config::{self, PlatformOutput};
use crate::launch;

/// Returns the outputs of a job, and the problems with their configuration files.
pub(super) fn read(paths: &Paths) -> (Vec<PlatformOutput>, Vec<String>) {
    let mut warnings = Vec::new();
    (config::platform_outputs(paths, &mut warnings), warnings)
}

/// Returns the lines of a plan.
pub(super) fn as_text((outputs, warnings): &(Vec<PlatformOutput>, Vec<String>)) -> String {
    let line = |PlatformOutput { name, file, folder, s3 }: &PlatformOutput| {
        let folder = folder.as_ref().map(|folder| format!(" into {}", folder.display())).unwrap_or_default();
        let s3 = s3.as_ref().map(|s3| format!(", which the platform uploads to {s3}")).unwrap_or_default();
        let text = format!(
            "a library of the script writes{folder}{s3}, as {} says; footplate passes it through",
            file.display()
        );
        launch::plan_line(name, text) + "\n"
    };
    let warnings = warnings.iter().map(|warning| launch::plan_line("note", warning) + "\n");
    outputs.iter().map(line).chain(warnings).collect()
}

/// Returns the outputs of a plan as JSON.
pub(super) fn as_json((outputs, _): &(Vec<PlatformOutput>, Vec<String>)) -> Value {
    let output = |PlatformOutput { name, file, folder, s3 }: &PlatformOutput| json!({"name": name, "file": file, "folder": folder, "s3": s3});
    outputs.iter().map(output).collect()
}
