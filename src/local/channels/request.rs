//! A channel as the user requests it, in the words of the platform's `InputDataConfig`.

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Result, bail};

/// Defines an enum whose variants have the platform's names.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $variant:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub enum $name {
            $($(#[$of])* $variant),+
        }

        impl $name {
            /// Returns the platform's word.
            pub fn word(self) -> &'static str {
                match self {
                    $($name::$variant => stringify!($variant)),+
                }
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<$name, String> {
                let all = [$($name::$variant),+];
                let found = all.into_iter().find(|each| each.word().eq_ignore_ascii_case(text));
                let words = all.map($name::word).join(", ");
                found.ok_or_else(|| format!("{text:?} is none of {words}"))
            }
        }
    };
}

words! {
    /// The way in which the script receives a channel's data (`TrainingInputMode`).
    InputMode {
        /// A folder.
        #[default]
        File,
        /// A folder whose files the platform reads from S3 as they are opened. On this machine it is a folder like that of `File`.
        FastFile,
        /// FIFOs, one for each epoch.
        Pipe,
    }
}

words! {
    /// The framing of each object in a pipe (`RecordWrapperType`).
    RecordWrapper {
        /// The objects follow each other without framing.
        #[default]
        None,
        /// Each object is a RecordIO record.
        RecordIO,
    }
}

words! {
    /// The way in which hosts share the objects (`S3DataDistributionType`).
    ObjectSharing {
        /// Every host gets all objects.
        #[default]
        FullyReplicated,
        /// Every host gets its share of the objects.
        ShardedByS3Key,
    }
}

words! {
    /// The meaning of a channel's place (`S3DataType`).
    DataType {
        /// The objects whose keys begin with the place, or the files below it.
        #[default]
        S3Prefix,
        /// A JSON file that lists a prefix and the objects below it.
        ManifestFile,
        /// A file of JSON lines with labels and references to objects.
        AugmentedManifestFile,
    }
}

/// A channel of a job on this machine.
#[derive(Clone, Debug, Default)]
pub struct InputChannel {
    /// The name.
    pub name: String,
    /// The place of the data: a folder, a file, or `s3://bucket/prefix`.
    pub place: PathBuf,
    /// The input mode.
    pub mode: InputMode,
    /// The framing of objects in a pipe.
    pub wrapper: RecordWrapper,
    /// The way in which hosts share the objects.
    pub sharing: ObjectSharing,
    /// The meaning of the place.
    pub data_type: DataType,
    /// The seed with which the objects are shuffled before each epoch. `None` keeps the order of their keys.
    pub shuffle_seed: Option<u64>,
    /// The attributes of an augmented manifest, in the order in which they are streamed.
    pub attributes: Vec<String>,
}

impl InputChannel {
    /// Checks that the parts of the request are compatible, as the platform does.
    pub(super) fn check(&self) -> Result<()> {
        let name = &self.name;
        if name.is_empty() || name.contains('/') || name.starts_with('.') {
            bail!("the channel name {name:?} is not possible: use letters, digits, '.', '-' and '_'");
        }
        let is_pipe = self.mode == InputMode::Pipe;
        if self.wrapper == RecordWrapper::RecordIO && !is_pipe {
            bail!("RecordIO frames the objects of a pipe: add --channel-mode {name}=Pipe");
        }
        if self.data_type == DataType::AugmentedManifestFile && !is_pipe {
            bail!("an augmented manifest is streamed: add --channel-mode {name}=Pipe");
        }
        if self.data_type == DataType::AugmentedManifestFile && self.attributes.is_empty() {
            bail!("an augmented manifest needs the attributes to stream: add --attribute-names {name}=source-ref,…");
        }
        Ok(())
    }
}
