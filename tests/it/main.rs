//! The integration tests: the built binary with real processes.
//!
//! - `blocking`: files and tools of the job that never answer
//! - `cables`: several hosts whose network fails without a word
//! - `channels`: the input channels of a job on this machine
//! - `checkpoints`: what is found, what is written, and what a failure costs
//! - `circles`: no file imports itself by way of others
//! - `cli`: the command line, and `footplate check`
//! - `clusters`: Ray and Dask over several hosts, in containers
//! - `code`: where the code comes from, which file of it runs, by which Python
//! - `completions`: what shells complete, and the manual page
//! - `config`: configuration files that are wrong
//! - `devices`: GPUs and Neuron cores in the samples of resources
//! - `docker`: jobs in containers, and docker/
//! - `engines`: Open MPI and PyTorch over several hosts, in containers
//! - `engines_hang`: PyTorch over several hosts, in containers, that makes no progress
//! - `environment`: what the script is given, and the commands that show it
//! - `explain`: what names mean, and why they have their values
//! - `exports`: metrics for TensorBoard and OpenTelemetry, read back by their own libraries
//! - `failure`: failure files, from scripts that really fail
//! - `frameworks`: JAX over several hosts, and frameworks that are missing
//! - `fleet`: the hosts of a job as containers
//! - `guide`: the pages of the guide, followed to the letter
//! - `hang`: jobs that make no progress, and silent ones that do
//! - `hosts`: several hosts, that start and fail together
//! - `installers`: requirements by real uv and pip, from real indexes
//! - `intermediate`: output that goes to S3 while the script runs
//! - `launchers`: launchers of the image, what they get, what is refused
//! - `live_view`: the lines at the bottom of a terminal
//! - `local`: a job on this machine
//! - `local_image`: a job on this machine, in containers of an image
//! - `metrics`: every value that a metric definition finds
//! - `moving`: images that used sagemaker-training before
//! - `mpi`: the image's mpirun over several hosts
//! - `mutated`: the fuzz targets, on their seeds and on mutations of these
//! - `networks`: name servers that fail, and machines with one version of IP
//! - `output`: what the script writes: every byte, in order, whoever reads it and however
//! - `output_files`: the failure and the success file on a full volume, and beside links, FIFOs and folders
//! - `parity`: the recorded runs of the incumbents
//! - `process_orphans`: what a script leaves behind: orphans, zombies, daemons, streams held open
//! - `process_places`: another user, a limit of processes, a read-only folder, no /proc
//! - `process_signals`: which processes get a signal, how long they have, and what the failure text says
//! - `process_stops`: stops of jobs that save with the help of other processes
//! - `process_terminal`: jobs on a terminal, and children that are stopped
//! - `process`: how the script is started, and how its end becomes an exit code and a failure text
//! - `processing`: processing jobs: their code, variables and exit message
//! - `python`: values are read and written as real Python does
//! - `ranks`: one process for each GPU
//! - `readme`: what the documents show is true
//! - `record`: the run record, after every kind of end
//! - `report`: the page about jobs, in a real browser
//! - `release`: what a release publishes
//! - `requirements`: installed with real pip
//! - `resources`: what the container uses, while the script runs
//! - `restarts`: ranks that are run again after a failure
//! - `s3`: code from S3, and what can go wrong on the way
//! - `sdk`: jobs of the SageMaker Python SDKs' local modes
//! - `secrets`: they and control characters are in nothing that footplate itself writes, and nothing else is hidden
//! - `services`: engines whose services keep step over several hosts
//! - `shim`: the Python package sagemaker_training, under frameworks that import it
//! - `strangers`: strangers at the leader's port, and hosts that have the key and lie
//! - `structure`: who imports whom, where `unsafe` is, how long files are
//! - `toolkits`: published framework toolkits over the package, on several hosts
//! - `torchrun`: the lines and the errors of its ranks
//! - `trainers`: MXNet, TensorFlow, JAX, XGBoost, LightGBM and trainers on PyTorch over several hosts, in containers
//! - `wording`: how doc comments begin, and that one name has one meaning

mod blocking;
mod browser;
mod cables;
mod channels;
mod checkpoints;
mod circles;
mod cli;
mod clusters;
mod code;
mod completions;
mod config;
mod container;
mod devices;
mod docker;
mod empty_image;
mod engines;
mod engines_hang;
mod environment;
mod explain;
mod exports;
mod failure;
mod fleet;
mod frameworks;
mod guide;
mod hang;
mod hosts;
mod images;
mod installers;
mod intermediate;
mod job;
mod kept;
mod launchers;
mod live_view;
mod local;
mod local_image;
mod metrics;
mod moving;
mod mpi;
mod mutated;
mod networks;
mod output;
mod output_files;
mod parity;
mod process;
mod process_orphans;
mod process_places;
mod process_signals;
mod process_stops;
mod process_terminal;
mod processing;
mod python;
mod ranks;
mod readme;
mod record;
mod recorder;
mod release;
mod report;
mod requirements;
mod resources;
mod restarts;
mod running;
mod s3;
mod sdk;
mod secrets;
mod servers;
mod services;
mod shim;
mod strangers;
mod structure;
mod toolkits;
mod torchrun;
mod trainers;
mod volumes;
mod wording;
mod workplace;
