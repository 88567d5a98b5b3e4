//! Hangs of PyTorch with gloo over two hosts, in containers, as their memory shows them.

use crate::engines::Hosts;
use crate::images;
use crate::job::is_full;

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
    let options = ["--env=FOOTPLATE_HANG_TIMEOUT=15", "--env=FOOTPLATE_GRACE_PERIOD=5"];
    let count = if is_full() { CASES.len() } else { 2 };
    for (at, case) in CASES[..count].iter().enumerate() {
        let mut hosts = Hosts::of_torch("per-gpu", 2, 2, &script(case)).with_options(&options);
        // Stacks need no privileges.
        if at % 2 == 1 {
            hosts.options.extend(["--user=1000:1000", "--cap-drop=ALL", "--env=HOME=/tmp"].map(str::to_owned));
            hosts.let_others_write();
        }
        for ended in hosts.start().end() {
            let failure = ended.failure.as_deref().unwrap_or_default();
            let line = failure.lines().next().unwrap_or_default();
            assert!(ended.code == 124 && line.starts_with("Hang: no progress for "), "{}\n{ended}", case.stuck);
            assert!(line.contains(case.said), "{line}\n{ended}");
            assert!(failure.contains("\nhost algo-2, rank 3, exit code 124"), "{failure}");
        }
    }
}

/// Work of rank 0 that takes about 20 s and prints nothing, while the others wait for it in a barrier.
const SILENT_WORK: [&str; 5] = [
    // A checkpoint.
    "torch.save([torch.ones(1 << 20) for _ in range(4)], f'/tmp/checkpoint-{now}')",
    // An evaluation.
    "sum(float(torch.nn.functional.relu(torch.ones(64, 64) * n).sum()) for n in range(200))",
    // A first epoch, in which two workers read and decode the data for the first time.
    "[batch for batch in DataLoader(Records(), num_workers=2)]",
    // A download.
    "urllib.request.urlopen(address).read(1 << 21)",
    // A first compilation. The image has no compiler: a copy of sleep under the name of one is a stand-in.
    "subprocess.run(['/tmp/cc1plus', '3'], check=True)",
];

#[test]
fn a_rank_of_pytorch_that_works_in_silence_is_not_ended() {
    if !is_full() || !images::usable() {
        return;
    }
    let options = ["--env=FOOTPLATE_HANG_TIMEOUT=8"];
    for work in SILENT_WORK {
        let script = format!(
            "import http.server, os, shutil, subprocess, threading, time, torch, urllib.request\n\
             import torch.distributed as dist\n\
             from torch.utils.data import DataLoader, Dataset\n\
             dist.init_process_group('gloo')\n\
             total = torch.ones(4)\n\
             class Records(Dataset):\n    \
             def __getitem__(self, index):\n        \
             for part in range(300): data = open('/tmp/records', 'rb').read(1 << 16); bytes(reversed(data))\n        \
             return index\n    \
             def __len__(self): return 8\n\
             class Files(http.server.BaseHTTPRequestHandler):\n    \
             def do_GET(self):\n        \
             self.send_response(200); self.end_headers(); self.wfile.write(bytes(1 << 22))\n    \
             def log_message(self, *_): pass\n\
             def evaluate():\n    \
             end = time.time() + 20\n    \
             while (now := time.time()) < end:\n        {work}\n\
             print('begun', flush=True)\n\
             if dist.get_rank() == 0:\n    \
             open('/tmp/records', 'wb').write(os.urandom(1 << 20))\n    \
             shutil.copy('/bin/sleep', '/tmp/cc1plus')\n    \
             files = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Files)\n    \
             threading.Thread(target=files.serve_forever, daemon=True).start()\n    \
             address = f'http://127.0.0.1:{{files.server_port}}'\n    \
             evaluate()\n\
             dist.all_reduce(total)\n\
             print('done', flush=True)\n\
             dist.destroy_process_group()\n"
        );
        for ended in Hosts::of_torch("per-gpu", 2, 2, &script).with_options(&options).start().end() {
            assert!(ended.code == 0 && ended.logs.contains("done"), "{work}\n{ended}");
        }
    }
}
