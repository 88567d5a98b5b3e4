//! The options of `footplate local` that describe input channels, in the words of the platform's `InputDataConfig`.

use std::str::FromStr;

use anyhow::{Result, anyhow, bail};
use clap::{Arg, ArgAction, ArgMatches};

use crate::local::{InputChannel, pair};

/// An option `--name CHANNEL=VALUE`, which changes a channel.
struct ChannelOption {
    name: &'static str,
    value: &'static str,
    help: &'static str,
    set: fn(&mut InputChannel, &str) -> Result<(), String>,
}

/// The options beside `--channel`.
const OPTIONS: [ChannelOption; 6] = [
    ChannelOption {
        name: "channel-mode",
        value: "NAME=MODE",
        help: "The input mode of a channel: File, FastFile or Pipe [default: File]",
        set: |channel, value| set(&mut channel.mode, value),
    },
    ChannelOption {
        name: "channel-data-type",
        value: "NAME=TYPE",
        help: "The meaning of its path: S3Prefix, ManifestFile or AugmentedManifestFile [default: S3Prefix]",
        set: |channel, value| set(&mut channel.data_type, value),
    },
    ChannelOption {
        name: "channel-distribution",
        value: "NAME=TYPE",
        help: "The hosts' shares: FullyReplicated or ShardedByS3Key [default: FullyReplicated]",
        set: |channel, value| set(&mut channel.sharing, value),
    },
    ChannelOption {
        name: "record-wrapper",
        value: "NAME=TYPE",
        help: "The frame of each object in a pipe: None or RecordIO [default: None]",
        set: |channel, value| set(&mut channel.wrapper, value),
    },
    ChannelOption {
        name: "shuffle-seed",
        value: "NAME=N",
        help: "Shuffle the objects of a channel before each epoch",
        set: |channel, value| {
            channel.shuffle_seed = Some(value.parse().map_err(|_| format!("{value:?} is no number"))?);
            Ok(())
        },
    },
    ChannelOption {
        name: "attribute-names",
        value: "NAME=A,B",
        help: "The attributes of an augmented manifest, in the order in which they are streamed",
        set: |channel, value| {
            channel.attributes = value.split(',').map(|name| name.trim().to_owned()).collect();
            Ok(())
        },
    },
];

fn set<T: FromStr<Err = String>>(field: &mut T, value: &str) -> Result<(), String> {
    *field = value.parse()?;
    Ok(())
}

/// Returns the options for the command line.
pub(super) fn options() -> Vec<Arg> {
    let pairs = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).action(ArgAction::Append).value_parser(pair).help(help)
    };
    let channel = pairs(
        "channel",
        "NAME=PATH",
        "A folder, a file or s3://bucket/prefix as an input channel; may be given several times",
    );
    [channel].into_iter().chain(OPTIONS.iter().map(|option| pairs(option.name, option.value, option.help))).collect()
}

/// Returns the channels that the command line describes.
///
/// # Errors
/// An option names a channel that does not exist, or a value that the option does not accept.
pub(super) fn channels(matches: &ArgMatches) -> Result<Vec<InputChannel>> {
    let pairs = |name: &str| matches.get_many::<(String, String)>(name).into_iter().flatten();
    let channel = |(name, place): &(String, String)| InputChannel {
        name: name.clone(),
        place: place.into(),
        ..InputChannel::default()
    };
    let mut channels: Vec<InputChannel> = pairs("channel").map(channel).collect();
    for option in &OPTIONS {
        for (name, value) in pairs(option.name) {
            let Some(channel) = channels.iter_mut().find(|channel| channel.name == *name) else {
                bail!("--{} names the channel {name:?}, which there is not: add --channel {name}=PATH", option.name);
            };
            (option.set)(channel, value).map_err(|problem| anyhow!("--{} {name}: {problem}", option.name))?;
        }
    }
    Ok(channels)
}
