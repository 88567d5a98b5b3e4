//! Published framework toolkits over the package `sagemaker_training`, on several hosts that are containers.

use crate::container::Ended;
use crate::fleet::{Hosts, all, failed};
use crate::images;
use crate::shim;

/// Returns hosts whose image has Open MPI, a toolkit and the package. `parameters` are further hyperparameters.
fn hosts(toolkit: &str, parameters: &str, script: &str) -> Hosts {
    let image = images::debian_with("bookworm", &["openmpi-bin", "python3-mpi4py"]);
    let packages = format!("--volume={}:/packages:ro", shim::packages().display());
    let module = format!("--env=SAGEMAKER_TRAINING_MODULE={toolkit}.training:main");
    let footplate = format!("--volume={}:/usr/local/bin/footplate:ro", crate::job::FOOTPLATE);
    let options = [&packages, &module, &footplate, "--env=PYTHONPATH=/opt/ml/site:/packages"];
    let mut hosts = Hosts::new(2, image, "", &options);
    hosts.jobs = hosts.jobs.into_iter().map(|job| with_toolkit(job, parameters, script)).collect();
    hosts
}

fn with_toolkit(job: crate::job::Job, parameters: &str, script: &str) -> crate::job::Job {
    let hyperparameters =
        format!(r#"{{{parameters}, "sagemaker_program": "train.py", "sagemaker_submit_directory": "/opt/ml/source"}}"#);
    // The toolkits import these, and use neither for these jobs.
    let stubs = ["tensorflow", "boto3"].map(|name| format!("site/{name}/__init__.py"));
    let job = stubs.iter().fold(job, |job, stub| job.file(stub, ""));
    let job = job.hyperparameters(&hyperparameters).file("source/train.py", script);
    let output = shim::shim(&job.path("site"));
    assert!(output.status.success(), "{output:?}");
    std::fs::remove_dir_all(job.path("code")).expect("removed");
    job
}

/// Checks that the hosts have printed these lines, in any order.
#[track_caller]
fn printed(ended: &[Ended], lines: &[&str]) {
    ended.iter().for_each(Ended::succeeded);
    for line in lines {
        let found = ended.iter().flat_map(|ended| ended.logs.lines()).any(|logged| logged.ends_with(line));
        assert!(found, "{line}\n{}", all(ended));
    }
}

#[test]
fn the_toolkit_of_tensorflow_runs_mpi_on_several_hosts() {
    if !images::usable() {
        return;
    }
    let parameters =
        r#""sagemaker_mpi_enabled": true, "sagemaker_mpi_num_of_processes_per_host": 2, "model_dir": "models""#;
    let script = "import os, sys, time\nfrom mpi4py import MPI\nworld = MPI.COMM_WORLD\n\
                  print(f'rank {world.rank} of {world.size}, total {world.allreduce(1)}', sys.argv[1:], flush=True)\n";
    let ranks = [0, 1, 2, 3].map(|rank| format!("rank {rank} of 4, total 4 ['--model_dir', 'models']"));
    let ended = hosts("sagemaker_tensorflow_container", parameters, script).start().end();
    printed(&ended, &ranks.each_ref().map(String::as_str));

    let script =
        format!("{script}if world.rank == 3: raise ValueError('row 17 is rotten')\nwhile True: time.sleep(0.1)\n");
    for ended in hosts("sagemaker_tensorflow_container", parameters, &script).start().end_in_time() {
        failed(&ended, 1, "ValueError: row 17 is rotten\nat train.py:5\n", "host algo-2, rank 3, exit code 1");
    }
}

#[test]
fn the_toolkit_of_pytorch_runs_the_script_on_several_hosts() {
    if !images::usable() {
        return;
    }
    // The toolkit of each host looks for the others' names. Nobody may end before all have found them: it looks for 15 minutes.
    let script = "import os, socket, time\nhost = os.environ['SM_CURRENT_HOST']\n\
                  if host == 'algo-1': socket.create_server(('', 7000)).accept()\n\
                  else:\n    \
                  while socket.socket().connect_ex(('algo-1', 7000)): time.sleep(0.1)\n\
                  print(host, os.environ['MASTER_ADDR'], os.environ['SM_HOSTS'], flush=True)\n";
    let ended = hosts("sagemaker_pytorch_container", r#""lr": 0.1"#, script).start().end();
    let all_hosts = r#"["algo-1","algo-2"]"#;
    printed(&ended, &[&format!("algo-1 algo-1 {all_hosts}"), &format!("algo-2 algo-1 {all_hosts}")]);

    let script = format!("{script}if host == 'algo-2': raise ValueError('row 17 is rotten')\ntime.sleep(600)\n");
    for ended in hosts("sagemaker_pytorch_container", r#""lr": 0.1"#, &script).start().end_in_time() {
        failed(&ended, 1, "ValueError: row 17 is rotten\nat train.py:7\n", "host algo-2, exit code 1");
    }
}
