//! A look at the main threads of ranks, which shows if they wait for a data loader or prepare data themselves.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::collect::{StackMeans, collect};
use super::rank_processes::RankProcesses;
use crate::supervise::ProcessEntry;

/// The files of data loaders, below the folder in which packages are installed.
const LOADERS: [&str; 9] = [
    "torch/utils/data/",
    "torchdata/",
    "tensorflow/python/data/",
    "mxnet/gluon/data/",
    "accelerate/data_loader.py",
    "datasets/iterable_dataset.py",
    "grain/",
    "litdata/",
    "webdataset/",
];

/// The number of a rank's processes that are examined. A shell or a launcher may have started the script.
const MAX_EXAMINED: usize = 3;

/// The time limit for reading the stacks.
const READ_TIME: Duration = Duration::from_millis(500);

impl RankProcesses {
    /// Returns the share of this host's ranks whose main thread is in a data loader now, from 0 to 1. It reads the
    /// memory of the ranks, and neither stops nor signals them. `None` if no stack of Python can be read.
    pub fn share_in_loader(&self) -> Option<f64> {
        share_in_loader(self.ranks())
    }
}

fn share_in_loader(mut ranks: BTreeMap<usize, Vec<ProcessEntry>>) -> Option<f64> {
    ranks.values_mut().for_each(|processes| processes.truncate(MAX_EXAMINED));
    let found = collect(&StackMeans::default(), ranks, |_| 0, Instant::now() + READ_TIME);
    let mains: Vec<_> = found.iter().filter_map(|rank| rank.main()).filter(|main| main.is_python()).collect();
    let is_of_loader = |file: &str| LOADERS.iter().any(|loader| file.starts_with(loader));
    let in_loader = mains.iter().filter(|main| main.main().iter().any(|call| is_of_loader(call.short_file())));
    (!mains.is_empty()).then(|| in_loader.count() as f64 / mains.len() as f64)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{BufRead, BufReader};
    use std::process::{Child, Command, Stdio};

    use super::share_in_loader;
    use crate::supervise::descendants;

    /// A script that waits in the function `wait` of a module, which is installed in a folder of packages.
    fn waiting_in(module: &str) -> (Child, tempfile::TempDir) {
        let folder = tempfile::tempdir().expect("a folder");
        let packages = folder.path().join("site-packages");
        let file = packages.join(module.replace('.', "/")).with_extension("py");
        fs::create_dir_all(file.parent().expect("a parent")).expect("a folder");
        fs::write(file, "import time\ndef wait():\n    print('waits', flush=True)\n    time.sleep(600)\n")
            .expect("written");
        let script = format!("import {module} as module\nmodule.wait()");
        let mut command = Command::new("python3");
        command.args(["-c", &script]).env("PYTHONPATH", &packages).stdout(Stdio::piped());
        let mut child = command.spawn().expect("python3 starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        assert_eq!(line, "waits\n");
        (child, folder)
    }

    #[test]
    fn ranks_in_their_data_loader_are_counted() {
        let loaders = [waiting_in("torch.utils.data.dataloader"), waiting_in("torch.utils.data.dataloader")];
        let others = [waiting_in("torch.nn.modules"), waiting_in("data.torch.utils")];
        let all = descendants().expect("processes");
        let entries = |children: &[&Child]| {
            let of = |child: &&Child| all.iter().filter(|entry| entry.pid == child.id() as i32).cloned().collect();
            children.iter().map(of).enumerate().collect()
        };
        let ([(one, _one), (two, _two)], [(three, _three), (four, _four)]) = (loaders, others);
        assert_eq!(share_in_loader(entries(&[&one, &two])), Some(1.0));
        assert_eq!(share_in_loader(entries(&[&one, &three, &two, &four])), Some(0.5));
        assert_eq!(share_in_loader(entries(&[&three])), Some(0.0));
        assert_eq!(share_in_loader(entries(&[])), None);
        for mut child in [one, two, three, four] {
            child.kill().expect("killed");
            child.wait().expect("ended");
        }
    }
}
