//! The folders of a job (platform contract).

use std::path::{Path, PathBuf};

/// The folders of a job, all under one base folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    base: PathBuf,
    layout: Layout,
}

/// The kinds of containers. The platform has different places for their configuration, code and failure text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    Training,
    Processing,
}

impl Paths {
    /// The platform's base folder of a job.
    pub const PLATFORM_BASE: &'static str = "/opt/ml";

    /// Creates the folders of a training job whose base folder is `base`. Creates nothing on disk.
    pub fn under(base: impl Into<PathBuf>) -> Paths {
        Paths { base: base.into(), layout: Layout::Training }
    }

    /// Returns the folders of a processing job with this base folder.
    #[must_use]
    pub fn of_processing(self) -> Paths {
        Paths { layout: Layout::Processing, ..self }
    }

    /// Returns true if these are the folders of a processing job.
    pub fn are_of_processing(&self) -> bool {
        self.layout == Layout::Processing
    }

    /// Returns the base folder: `/opt/ml`, or the value of SAGEMAKER_BASE_DIR.
    pub fn base(&self) -> &Path {
        &self.base
    }

    /// Returns the folder of the baked-in or unpacked code. In a processing job, it is the folder of the input `code` (platform
    /// contract, section 8).
    pub fn code(&self) -> PathBuf {
        self.base.join(match self.layout {
            Layout::Training => "code",
            Layout::Processing => "processing/input/code",
        })
    }

    /// Returns the folder whose content the platform keeps as the model.
    pub fn model(&self) -> PathBuf {
        self.base.join("model")
    }

    /// Returns the folder of all input.
    pub fn input(&self) -> PathBuf {
        self.base.join("input")
    }

    /// Returns the folder of the configuration files.
    pub fn config(&self) -> PathBuf {
        self.base.join(match self.layout {
            Layout::Training => "input/config",
            Layout::Processing => "config",
        })
    }

    /// Returns the folder that contains a folder for each channel.
    pub fn data(&self) -> PathBuf {
        self.base.join("input/data")
    }

    /// Returns the folder of one channel.
    pub fn channel(&self, name: &str) -> PathBuf {
        self.data().join(name)
    }

    /// Returns the folder of all output.
    pub fn output(&self) -> PathBuf {
        self.base.join("output")
    }

    /// Returns the folder whose content the platform keeps beside the model.
    pub fn output_data(&self) -> PathBuf {
        self.base.join("output/data")
    }

    /// Returns the folder whose content is uploaded while the job runs.
    pub fn intermediate(&self) -> PathBuf {
        self.base.join("output/intermediate")
    }

    /// Returns the platform's folder of event files for TensorBoard, which is used unless the job names another one.
    pub fn tensorboard(&self) -> PathBuf {
        self.base.join("output/tensorboard")
    }

    /// Returns the folder of a host's run record. Each host has its own, because the platform merges the output of all hosts.
    pub fn record(&self, host: &str) -> PathBuf {
        self.output_data().join("footplate").join(host)
    }

    /// Returns the failure file, whose first 1,024 characters become the failure reason of a training job. In a
    /// processing job, it is the message file. The first 1,024 bytes of all hosts' messages together become the exit
    /// message.
    pub fn failure(&self) -> PathBuf {
        self.base.join(match self.layout {
            Layout::Training => "output/failure",
            Layout::Processing => "output/message",
        })
    }

    /// Returns the success file, which is empty and exists only after a success.
    pub fn success(&self) -> PathBuf {
        self.base.join("output/success")
    }

    /// Returns the platform's folder of checkpoints, which is used unless the job names another one.
    pub fn checkpoints(&self) -> PathBuf {
        self.base.join("checkpoints")
    }
}
