//! Hangs of PyTorch with gloo over two hosts, in containers, as py-spy sees them.

use crate::engines::Hosts;
use crate::images;
use crate::job::is_full;
use crate::kept;

/// A way to hang: what rank 3 does in place of the common step, and what the failure file says of it.
struct Case {
    /// The body of `stuck`, which rank 3 calls after two common steps.
    stuck: &'static str,
    said: &'static str,
}

/// The ways. The first two are tried in every run of the tests.
const CASES: [Case; 5] = [
    Case {
        stuck: "for _ in DataLoader(Shards(), num_workers=2): pass",
        said: "Rank 3 is in Shards.read_shard (train.py:9), the other 3 wait for it in all_reduce",
    },
    Case {
        stuck: "dist.broadcast(total, src=0)",
        said: "Rank 3 is in broadcast (train.py:15), the other 3 wait for it in all_reduce",
    },
    Case { stuck: "time.sleep(600)", said: "Rank 3 is in stuck (train.py:15), the other 3 wait for it in all_reduce" },
    Case {
        stuck: "lock = threading.Lock(); lock.acquire()\n    lock.acquire()",
        said: "Rank 3 is in stuck (train.py:16), the other 3 wait for it in all_reduce",
    },
    Case { stuck: "while True: pass", said: "Rank 3 is in stuck (train.py:15), the other 3 wait for it in all_reduce" },
];

fn script(case: &Case) -> String {
    format!(
        "import os, threading, time, torch\n\
         import torch.distributed as dist\n\
         from torch.utils.data import DataLoader, Dataset\n\
         dist.init_process_group('gloo')\n\
         rank = dist.get_rank()\n\
         total = torch.ones(4)\n\
         class Shards(Dataset):\n    \
         def read_shard(self, index):\n        \
         time.sleep(600)\n    \
         def __getitem__(self, index):\n        \
         return self.read_shard(index)\n    \
         def __len__(self): return 8\n\
         \n\
         def stuck():\n    {}\n\
         def step():\n    dist.all_reduce(total)\n\
         step()\nstep()\nprint('computed', flush=True)\n\
         if rank == 3: stuck()\n\
         step()\n",
        case.stuck
    )
}

#[test]
fn a_rank_of_pytorch_that_hangs_is_named_on_all_hosts() {
    if !images::usable() {
        return;
    }
    let py_spy = kept::environment(&["py-spy==0.4.3"]).join("bin/py-spy");
    let volume = format!("--volume={}:/usr/local/bin/py-spy:ro", py_spy.display());
    let options = [volume.as_str(), "--env=FOOTPLATE_HANG_TIMEOUT=15", "--env=FOOTPLATE_GRACE_PERIOD=5"];
    let count = if is_full() { CASES.len() } else { 2 };
    for case in &CASES[..count] {
        let hosts = Hosts::of_torch("per-gpu", 2, 2, &script(case)).with_options(&options);
        for ended in hosts.start().end() {
            let failure = ended.failure.as_deref().unwrap_or_default();
            let line = failure.lines().next().unwrap_or_default();
            assert!(ended.code == 124 && line.starts_with("Hang: no progress for "), "{}\n{ended}", case.stuck);
            assert!(line.contains(case.said), "{line}\n{ended}");
            assert!(failure.contains("\nhost algo-2, rank 3, exit code 124"), "{failure}");
        }
    }
}
