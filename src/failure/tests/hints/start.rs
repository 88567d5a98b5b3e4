//! Hints about scripts that were started in another way than they expect.

use super::{assert_hints, assert_no_hint, evidence, hints, of, raising};
use crate::event::Ending;
use crate::failure::JobEvidence;

fn named(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Returns the traceback of a script that read a variable which is not set, with a frame in this file.
fn unset(variable: &str, file: &str) -> String {
    format!(
        "Traceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 3, in <module>\n    os.environ['{variable}']\n  \
         File \"{file}\", line 679, in __getitem__\nKeyError: '{variable}'\n"
    )
}

#[test]
fn a_variable_of_a_launcher_names_the_launcher_to_use() {
    for (variable, words) in [
        ("RANK", "RANK is set by torchrun, which did not start this script; set FOOTPLATE_LAUNCHER=torchrun"),
        ("LOCAL_RANK", "FOOTPLATE_LAUNCHER=torchrun"),
        ("ROLE_WORLD_SIZE", "FOOTPLATE_LAUNCHER=torchrun"),
        ("TORCHELASTIC_RESTART_COUNT", "FOOTPLATE_LAUNCHER=torchrun"),
        (
            "OMPI_COMM_WORLD_RANK",
            "set by mpirun, which did not start this script; set FOOTPLATE_LAUNCHER=mpi (in the SDK",
        ),
        ("OMPI_COMM_WORLD_NODE_RANK", "FOOTPLATE_LAUNCHER=mpi"),
        ("OMPI_MCA_orte_num_nodes", "FOOTPLATE_LAUNCHER=mpi"),
        ("PMIX_NAMESPACE", "FOOTPLATE_LAUNCHER=mpi"),
        ("PMI_SIZE", "FOOTPLATE_LAUNCHER=mpi"),
        ("SLURM_PROCID", "set by Slurm's srun, which does not start the scripts of this job"),
    ] {
        for frame in ["<frozen os>", "/usr/lib/python3.9/os.py"] {
            let hints = of(Ending::Exited(1), &unset(variable, frame));
            assert!(hints.len() == 1 && hints[0].contains(words), "{variable}: {hints:#?}");
        }
        // The key belongs to another dictionary.
        assert_no_hint(&[&format!("KeyError: '{variable}'")]);
        let frame = "/opt/ml/code/ratios.py";
        assert_eq!(of(Ending::Exited(1), &unset(variable, frame)), [""; 0], "{variable}");
    }
    assert_hints(&[
        (
            "ValueError: Error initializing torch.distributed using env:// rendezvous: environment variable RANK expected, but not set",
            "FOOTPLATE_LAUNCHER=torchrun",
        ),
        (
            "ValueError: Default process group has not been initialized, please make sure to call init_process_group.",
            "init_process_group",
        ),
        (
            "RuntimeError: \n        An attempt has been made to start a new process before the\n        current process has finished its bootstrapping phase.",
            "if __name__ == \"__main__\"",
        ),
    ]);
    assert_no_hint(&[
        "KeyError: 'rank'",
        "KeyError: 'RANKS'",
        "ValueError: rank 3 expected, but not set",
        "KeyError: 'label'",
    ]);
    let stderr = unset("RANK", "<frozen os>");
    let mut evidence = evidence(Ending::Exited(1), &stderr);
    evidence.command = "torchrun --nproc-per-node 8 train.py".into();
    assert_eq!(hints(&evidence), [""; 0]);
}

#[test]
fn a_variable_that_nobody_set_is_to_be_set_in_the_job() {
    let environ = unset("HF_TOKEN", "<frozen os>");
    assert!(
        hints(&evidence(Ending::Exited(1), &environ))[0]
            .starts_with("the variable HF_TOKEN is not set in the container; set it in the job's environment")
    );
    // The key belongs to another dictionary.
    assert_no_hint(&["KeyError: 'HF_TOKEN'"]);
    let shell = |line: &str| of(Ending::Exited(1), &format!("run.sh: line 4: {line}\n"));
    for line in ["BUCKET: unbound variable", "BUCKET: parameter null or not set"] {
        let hint = "the variable BUCKET is not set in the container; set it in the job's environment (environment={'BUCKET': …}), or give it a default";
        assert_eq!(shell(line), [hint], "{line}");
    }
    // A variable of the script itself.
    assert_eq!(shell("bucket: unbound variable"), [""; 0]);
}

#[test]
fn a_channel_that_the_job_lacks_is_answered_by_those_that_it_has() {
    let hint = |channels: &[&str], stderr: &str| {
        let job = JobEvidence {
            channels: named(channels),
            inputs: Some("/opt/ml/input/data".into()),
            ..JobEvidence::default()
        };
        hints(&crate::failure::Evidence { job, ..evidence(Ending::Exited(1), stderr) }).join("\n")
    };
    let missing = raising("KeyError: 'SM_CHANNEL_TRAINING'");
    assert_eq!(
        hint(&["train"], &missing),
        "the job has no channel training, only train (SM_CHANNEL_TRAIN); name a channel training in the job's inputs, or read another"
    );
    assert_eq!(
        hint(&["train", "val-1"], &missing),
        "the job has no channel training; its channels are train, val-1; name a channel training in the job's inputs, or read another"
    );
    assert_eq!(
        hint(&[], &missing),
        "the job has no channel training, and no other; add a channel training to its inputs (fit({'training': 's3://…'}))"
    );
    for said in [
        "train.sh: line 3: SM_CHANNEL_TRAINING: unbound variable\n",
        "train.sh: 3: SM_CHANNEL_TRAINING: parameter not set\n",
    ] {
        assert!(hint(&["train"], said).starts_with("the job has no channel training, only train"), "{said}");
    }
    let file = raising("FileNotFoundError: [Errno 2] No such file or directory: '/opt/ml/input/data/valid/x.csv'");
    assert!(hint(&["train"], &file).starts_with("the job has no channel valid, only train"));
    // The channel exists. Either another process lost its variable, or only the file is missing.
    for present in [
        raising("KeyError: 'SM_CHANNEL_TRAIN'"),
        raising("FileNotFoundError: [Errno 2] No such file or directory: '/opt/ml/input/data/train/x.csv'"),
    ] {
        assert_eq!(hint(&["train"], &present), "", "{present}");
    }
    assert_eq!(hint(&["train"], &raising("ValueError: bad row in /opt/ml/input/data/valid/x.csv")), "");
    assert_eq!(hint(&["val-1"], &raising("KeyError: 'SM_CHANNEL_VAL_1'")), "");
}

#[test]
fn a_hyperparameter_that_the_script_does_not_accept_is_named() {
    let hint = |names: &[&str], command: &str, stderr: &str| {
        let job = JobEvidence { hyperparameters: named(names), ..JobEvidence::default() };
        let evidence = crate::failure::Evidence { job, command: command.into(), ..evidence(Ending::Exited(2), stderr) };
        hints(&evidence).join("\n")
    };
    let usage = "usage: train.py [-h] [--lr LR]\n";
    let unknown = format!("{usage}train.py: error: unrecognized arguments: --learning_rate 0.1\n");
    let command = "python3 train.py --learning_rate 0.1";
    assert_eq!(
        hint(&["learning_rate"], command, &unknown),
        "the hyperparameter learning_rate becomes the argument --learning_rate, which the script does not accept; add it to the script's parser (or use \
         parse_known_args), or remove the hyperparameter"
    );
    // The argument does not come from a hyperparameter.
    assert_eq!(hint(&["epochs"], command, &unknown), "");
    let click =
        "Usage: train.py [OPTIONS]\nTry 'train.py --help' for help.\n\nError: No such option: --learning_rate\n";
    assert!(hint(&["learning_rate"], command, click).starts_with("the hyperparameter learning_rate becomes"));
    let absl = "FATAL Flags parsing error: Unknown command line flag 'learning_rate'\nPass --helpshort or --helpfull to see help on flags.\n";
    assert!(hint(&["learning_rate"], command, absl).starts_with("the hyperparameter learning_rate becomes"));
    let ambiguous = format!(
        "{usage}train.py: error: ambiguous option: --learning_rate could match --learning_rate_a, --learning_rate_b\n"
    );
    assert!(hint(&["learning_rate"], command, &ambiguous).starts_with("the hyperparameter learning_rate becomes"));
    let getopt = raising("getopt.GetoptError: option --learning_rate not recognized");
    assert!(hint(&["learning_rate"], command, &getopt).starts_with("the hyperparameter learning_rate becomes"));
    let value = "FATAL Flags parsing error: flag --learning_rate=high: could not convert string to float: 'high'\nPass --helpshort or --helpfull to see help on flags.\n";
    assert!(hint(&["learning_rate"], command, value).contains("comes from the hyperparameter learning_rate"));
    for tool in [
        "Value error: Error parsing --learning_rate: could not convert string to float: 'high'\n",
        "error: Parser key \"learning_rate\": Expected a <class 'float'>. Got value: high\n",
    ] {
        assert!(
            hint(&["learning_rate"], command, tool).contains("comes from the hyperparameter learning_rate"),
            "{tool}"
        );
    }
    let switch = format!("{usage}train.py: error: unrecognized arguments: True\n");
    assert!(hint(&["amp"], "python3 train.py --amp True", &switch).contains("takes the value True"));
    let choice =
        format!("{usage}train.py: error: argument --optimizer: invalid choice: 'adamw' (choose from 'adam', 'sgd')\n");
    assert!(
        hint(&["optimizer"], "python3 train.py --optimizer adamw", &choice)
            .starts_with("--optimizer comes from the hyperparameter optimizer")
    );
    let required = format!("{usage}train.py: error: the following arguments are required: --epochs\n");
    assert!(
        hint(&[], "python3 train.py", &required)
            .starts_with("the script requires --epochs, and the job has no hyperparameter epochs")
    );
    // Another program that the script runs requires the argument.
    assert_eq!(hint(&[], "python3 train.py", &required.replace("train.py", "convert.py")), "");
}

#[test]
fn a_missing_argument_is_named_with_the_way_to_pass_it() {
    let hint = |names: &[&str], said: &str| {
        let job = JobEvidence { hyperparameters: named(names), ..JobEvidence::default() };
        let stderr = format!("usage: train.py [-h] ...\ntrain.py: error: {said}\n");
        let command = "python3 train.py".into();
        hints(&crate::failure::Evidence { job, command, ..evidence(Ending::Exited(2), &stderr) }).join("\n")
    };
    let required = |list: &str| format!("the following arguments are required: {list}");
    let several = "and the job has no hyperparameters of these names; add them, or give the arguments defaults";
    for (list, names) in [
        ("--epochs, --lr/-l", "--epochs and --lr"),
        ("--a, --b, --c", "--a, --b and --c"),
        ("data, -l/--lr, --epochs", "--lr and --epochs"),
    ] {
        assert_eq!(hint(&["seed"], &required(list)), format!("the script requires {names}, {several}"));
    }
    let long: Vec<String> = (0..30).map(|number| format!("--argument-{number}")).collect();
    assert_eq!(
        hint(&[], &required(&long.join(", "))),
        format!("the script requires --argument-0, --argument-1, --argument-2, --argument-3 and 26 more, {several}")
    );
    // The job has one of them, under a name that the parser writes differently.
    let one = "the script requires --epochs, and the job has no hyperparameter epochs; add it, or give the argument a default";
    assert_eq!(hint(&["lr"], &required("--lr, --epochs")), one);

    let by_place = |name: &str, option: &str| {
        format!(
            "the script takes {name} by its place, but hyperparameters are passed as `--name value`; make it an option ({option}), or give it a \
             default"
        )
    };
    assert_eq!(hint(&["epochs"], &required("epochs")), by_place("epochs", "--epochs"));
    assert_eq!(hint(&[], &required("data_dir, model")), by_place("data_dir", "--data_dir"));
    // The choice of a command has no name.
    assert_eq!(hint(&[], &required("{train,eval}")), "");

    let click =
        "Usage: train.py [OPTIONS] EPOCHS\nTry 'train.py --help' for help.\n\nError: Missing argument 'EPOCHS'.\n";
    let of_click = |stderr: &str| {
        let command = "python3 train.py --lr 0.1".into();
        hints(&crate::failure::Evidence { command, ..evidence(Ending::Exited(2), stderr) }).join("\n")
    };
    assert_eq!(of_click(click), by_place("EPOCHS", "--epochs"));
    assert_eq!(of_click(&click.replace("train.py", "convert.py")), "");
    // An exception that only quotes the message of another parser.
    let quotes = raising("ValueError: convert said 'the following arguments are required: --epochs'");
    assert_eq!(of_click(&format!("Usage: train.py [OPTIONS]\n{quotes}")), "");
}

#[test]
fn a_switch_that_gets_a_value_can_be_passed_as_a_flag() {
    let hint = |value: &str| {
        let job = JobEvidence { hyperparameters: named(&["amp"]), ..JobEvidence::default() };
        let stderr = format!("usage: train.py [-h]\ntrain.py: error: unrecognized arguments: {value}\n");
        let command = format!("python3 train.py --amp {value}");
        hints(&crate::failure::Evidence { job, command, ..evidence(Ending::Exited(2), &stderr) }).join("\n")
    };
    for value in ["True", "true", "False", "false"] {
        assert!(
            hint(value).ends_with("(not action='store_true'), or set FOOTPLATE_ARGUMENTS=flags"),
            "{}",
            hint(value)
        );
    }
    assert!(hint("7").ends_with("(not action='store_true'), or remove the hyperparameter"), "{}", hint("7"));
}

/// Returns the hints for a job with the hyperparameter `lr` and the channel `train`.
fn of_job(stderr: &str) -> String {
    let job = JobEvidence {
        channels: named(&["train"]),
        inputs: Some("/opt/ml/input/data".into()),
        hyperparameters: named(&["lr"]),
        ..JobEvidence::default()
    };
    let command = "python3 train.py --lr 0.1".into();
    hints(&crate::failure::Evidence { job, command, ..evidence(Ending::Exited(1), stderr) }).join("\n")
}

#[test]
fn a_hyperparameter_is_named_in_the_words_of_each_parser() {
    for said in [
        "Unrecognized options: --lr",
        "error: Unrecognized arguments: --lr 0.1",
        "Unknown option: '--lr'",
        "error: unknown option '--lr'",
        "error: unexpected argument '--lr' found",
        "error: Found argument '--lr' which wasn't expected, or isn't valid in this context",
        "flag provided but not defined: -lr",
        "Error: unknown flag: --lr",
        "ERROR: unknown command line flag 'lr'",
        "Unrecognized option: --lr",
        "Unknown argument: lr",
        "unrecognised option '--lr'",
        "train: invalid option: --lr",
    ] {
        for text in [format!("{said}\n"), raising(&format!("RuntimeError: {said}"))] {
            let hints = of_job(&text);
            assert!(hints.starts_with("the hyperparameter lr becomes the argument -"), "{text}: {hints}");
            assert_eq!(of_job(&text.replace("lr", "depth")), "", "{text}");
        }
    }
    for (said, words) in [
        ("TypeError: fit() got an unexpected keyword argument 'lr'", "fit() has no parameter lr"),
        (
            "TypeError: Config.__init__() got an unexpected keyword argument 'lr'. Did you mean 'l'?",
            "Config.__init__() has no parameter lr",
        ),
        ("RuntimeError: Validation failed: Key \"lr\" is not expected", "configuration has no key lr"),
        ("jsonargparse.NSKeyError: 'Key \"lr\" is not expected'", "configuration has no key lr"),
        (
            "hydra.errors.ConfigCompositionException: Could not override 'lr'.\nTo append to your config use +lr=0.1\nKey 'lr' is not in struct",
            "configuration has no key lr",
        ),
    ] {
        let hints = of_job(&raising(said));
        assert!(hints.contains(words), "{said}: {hints}");
        assert_eq!(of_job(&raising(&said.replace("lr", "depth"))), "", "{said}");
    }
    let renamed = of_job(&raising("TypeError: LoraConfig.__init__() got an unexpected keyword argument 'lr'"));
    assert!(renamed.contains("(peft==…)") && !renamed.contains("hyperparameter"), "{renamed}");
}

#[test]
fn a_channel_is_named_in_the_words_of_each_library() {
    for said in [
        "pyspark.errors.exceptions.captured.AnalysisException: [PATH_NOT_FOUND] Path does not exist: file:/opt/ml/input/data/valid.",
        "tensorflow.python.framework.errors_impl.NotFoundError: Could not find directory /opt/ml/input/data/valid",
        "AssertionError: no files in /opt/ml/input/data/valid",
        "FileNotFoundError: Couldn't find any class folder in /opt/ml/input/data/valid.",
        "NotADirectoryError: [Errno 20] Not a directory: '/opt/ml/input/data/valid/x'",
        "ValueError: Found 0 images in /opt/ml/input/data/valid/cats.",
    ] {
        let hints = of_job(&raising(said));
        let is_named = hints.starts_with("the job has no channel valid, only train");
        assert!(is_named || said.contains("Errno 20"), "{said}: {hints}");
        assert_eq!(of_job(&raising(&said.replace("valid", "train"))), "", "{said}");
    }
    for said in [
        "ValueError: two files differ: /opt/ml/input/data/valid/a and b",
        "AssertionError: no files in /opt/ml/input/data/valid.csv",
        "AssertionError: no files in /opt/ml/input/database/valid",
    ] {
        assert_eq!(of_job(&raising(said)), "", "{said}");
    }
}
