//! The folders of a job (platform contract).

use std::path::{Path, PathBuf};

/// The folders of a job, all under one base folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    base: PathBuf,
}

impl Paths {
    /// Where the platform puts a job.
    pub const PLATFORM_BASE: &'static str = "/opt/ml";

    /// The folders under `base`.
    pub fn under(base: impl Into<PathBuf>) -> Paths {
        Paths { base: base.into() }
    }

    /// `/opt/ml`, or what SAGEMAKER_BASE_DIR says.
    pub fn base(&self) -> &Path {
        &self.base
    }

    /// The baked-in or unpacked code.
    pub fn code(&self) -> PathBuf {
        self.base.join("code")
    }

    /// What should be kept as the model.
    pub fn model(&self) -> PathBuf {
        self.base.join("model")
    }

    /// All of the input.
    pub fn input(&self) -> PathBuf {
        self.base.join("input")
    }

    /// The configuration files.
    pub fn config(&self) -> PathBuf {
        self.base.join("input/config")
    }

    /// The folder that holds a folder for each channel.
    pub fn data(&self) -> PathBuf {
        self.base.join("input/data")
    }

    /// The folder of one channel.
    pub fn channel(&self, name: &str) -> PathBuf {
        self.data().join(name)
    }

    /// All of the output.
    pub fn output(&self) -> PathBuf {
        self.base.join("output")
    }

    /// What should be kept beside the model.
    pub fn output_data(&self) -> PathBuf {
        self.base.join("output/data")
    }

    /// What is to be uploaded while the job runs.
    pub fn intermediate(&self) -> PathBuf {
        self.base.join("output/intermediate")
    }

    /// The folder of a host's run record. Each host has its own, because the platform merges the output of all hosts.
    pub fn record(&self, host: &str) -> PathBuf {
        self.output_data().join("footplate").join(host)
    }

    /// The file whose first 1,024 characters become the reason of the failure.
    pub fn failure(&self) -> PathBuf {
        self.base.join("output/failure")
    }

    /// The empty file that says that the job succeeded.
    pub fn success(&self) -> PathBuf {
        self.base.join("output/success")
    }

    /// Where the platform keeps checkpoints, unless the job names another folder.
    pub fn checkpoints(&self) -> PathBuf {
        self.base.join("checkpoints")
    }
}
