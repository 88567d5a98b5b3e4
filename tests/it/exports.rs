//! Copies of metrics for TensorBoard and for an OpenTelemetry collector, read back by their own libraries.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value, json};

use super::hosts::with_program;
use super::images;
use super::job::Job;
use super::kept;
use super::servers::Server;

/// Returns the Python of a virtual environment with both libraries.
fn python() -> PathBuf {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    let packages = ["tensorboard==2.21.0", "opentelemetry-proto==1.45.2", "setuptools<81"];
    PYTHON.get_or_init(|| kept::environment(&packages).join("bin/python")).clone()
}

/// Prints all scalars below a folder as TensorBoard reads them.
const READ_BOARD: &str = r#"
import json, os, sys
from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer
runs = EventMultiplexer().AddRunsFromDirectory(sys.argv[1])
runs.Reload()
found = {}
for run, kinds in runs.Runs().items():
    found[run] = {}
    for tag in kinds["scalars"] + kinds["tensors"]:
        if tag in kinds["scalars"]:
            found[run][tag] = [[event.step, event.value, event.wall_time] for event in runs.Scalars(run, tag)]
        else:
            from tensorboard.util import tensor_util
            found[run][tag] = [[event.step, float(tensor_util.make_ndarray(event.tensor_proto)), event.wall_time] for event in runs.Tensors(run, tag)]
print(json.dumps(found))
"#;

/// Returns what TensorBoard reads in a folder.
fn board(folder: &Path) -> Value {
    let mut command = Command::new(python());
    let text = images::output(kept::compiles_once(&mut command).args(["-c", READ_BOARD]).arg(folder));
    serde_json::from_str(text.lines().last().expect("a line")).expect("JSON")
}

const DEFINITIONS: &str = r#"[{"Name": "loss", "Regex": "loss: ([-+0-9.e]+|nan)"}]"#;

/// Returns a job that prints a metric at two steps, and then runs until there is a sample.
fn job(more: &str) -> Job {
    let script = format!(
        "import os, time\nprint('step 3 loss: 0.5', flush=True)\nprint('step 7 loss: 1.25e-05', flush=True)\nprint('loss: nan', flush=True)\n\
         path = os.environ['SAMPLES']\nwhile not os.path.exists(path) or open(path).read().count('\\n') < 4:\n    time.sleep(0.01)\n{more}"
    );
    let job = Job::python(&script)
        .file("code/metrics.json", DEFINITIONS)
        .variable("FOOTPLATE_METRICS", "metrics.json")
        .variable("FOOTPLATE_RESOURCE_INTERVAL", "0.1");
    let path = job.path("output/data/footplate/algo-1/resources.jsonl").display().to_string();
    job.variable("SAMPLES", &path)
}

#[test]
fn tensorboard_reads_the_values_in_the_folder_that_the_job_names() {
    let job = job("");
    let folder = job.path("boards");
    let text = format!(r#"{{"S3OutputPath": "s3://bucket/t", "LocalPath": "{}"}}"#, folder.display());
    let job = job.file("input/config/tensorboardoutputconfig.json", text).variable("FOOTPLATE_TENSORBOARD", "on");
    job.train().succeeded();
    let read = board(&folder);
    let loss = read["algo-1"]["loss"].as_array().unwrap_or_else(|| panic!("{read:#}"));
    assert_eq!(loss.len(), 2, "{read:#}");
    assert_eq!((&loss[0][0], &loss[0][1]), (&3.into(), &0.5.into()), "{read:#}");
    assert!((loss[1][1].as_f64().expect("a number") - 1.25e-5).abs() < 1e-9 && loss[1][0] == 7, "{read:#}");
    let at = loss[0][2].as_f64().expect("a time");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a time").as_secs_f64();
    assert!((now - 600.0..=now).contains(&at), "{at}");
    assert!(read["algo-1"]["system/memory_gib"].as_array().is_some_and(|values| values.len() >= 3), "{read:#}");
}

#[test]
fn a_folder_of_the_users_is_possible_and_nothing_is_written_unasked() {
    let plain = job("");
    plain.train().succeeded();
    assert!(!plain.path("output/tensorboard").exists());
    let asked = job("").variable("FOOTPLATE_TENSORBOARD", "output/data/board");
    asked.train().succeeded();
    assert!(board(&asked.path("output/data/board"))["algo-1"]["loss"].is_array());
    let blocked = job("").file("output/tensorboard", "a file").variable("FOOTPLATE_TENSORBOARD", "on");
    let ended = blocked.train().succeeded();
    assert_eq!(ended.stderr.matches("the events for TensorBoard are not complete").count(), 1, "{}", ended.stderr);
}

/// A collector: decodes each request with OpenTelemetry's own types, and adds it to a file as JSON.
const COLLECTOR: &str = r#"
import json, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        request = ExportMetricsServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
        line = {"path": self.path, "type": self.headers["Content-Type"], "key": self.headers["api-key"], "request": MessageToDict(request)}
        with open(sys.argv[2], "a") as file:
            file.write(json.dumps(line) + "\n")
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_):
        pass
HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"#;

#[test]
fn an_opentelemetry_collector_gets_metrics_with_standard_names() {
    let job =
        job("while not all(said in open(os.environ['RECEIVED']).read() for said in ('1.25e-05', 'hw.power')): time.sleep(0.01)\n").file("received", "");
    // No GPU is on the machines that run the tests: nvidia-smi is a stand-in.
    let job = with_program(
        job,
        "nvidia-smi",
        "#!/bin/sh\n[ \"$1\" = --list-gpus ] && { echo 'GPU 0: NVIDIA A10G'; exit 0; }\nwhile :; do\n    \
         echo '0, 92, 12, 1024, 23028, 290.00, 300.00, 44, 1200, 1710, 0x0000000000000001, 0, NVIDIA A10G'\n    sleep 0.1\ndone\n",
    );
    let received = job.path("received");
    let collector = Server::start_with(&python(), |command, port| {
        command.args(["-c", COLLECTOR, &port.to_string()]).arg(&received);
    });
    let job = job
        .variable("RECEIVED", &received.display().to_string())
        .variable("FOOTPLATE_GPUS", "1")
        .variable("TRAINING_JOB_NAME", "a-job")
        .variable("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url())
        .variable("OTEL_EXPORTER_OTLP_HEADERS", "api-key=secret%20word")
        .variable("OTEL_METRIC_EXPORT_INTERVAL", "100");
    let ended = job.train().succeeded();
    assert!(!ended.stderr.contains("OpenTelemetry") && !ended.stderr.contains("secret word"), "{}", ended.stderr);
    let text = job.read("received").expect("requests");
    // A busy machine may send the last request without a new line of nvidia-smi.
    let with_gpus = text.lines().rfind(|request| request.contains("hw.power"));
    let last: Value = serde_json::from_str(with_gpus.expect("a request")).expect("JSON");
    assert_eq!(
        (&last["path"], &last["type"], &last["key"]),
        (&"/v1/metrics".into(), &"application/x-protobuf".into(), &"secret word".into())
    );
    let described = &last["request"]["resourceMetrics"][0];
    let attributes = described["resource"]["attributes"].to_string();
    assert!(
        attributes.contains("a-job") && attributes.contains("algo-1") && attributes.contains("service.name"),
        "{attributes}"
    );
    let metrics = described["scopeMetrics"][0]["metrics"].as_array().expect("metrics");
    let named =
        |name: &str| metrics.iter().find(|metric| metric["name"] == name).unwrap_or_else(|| panic!("{name}: {last:#}"));
    let point = &named("footplate.metric")["gauge"]["dataPoints"][0];
    assert_eq!(
        (&point["asDouble"], &point["attributes"][0]["value"]["stringValue"]),
        (&1.25e-5.into(), &"loss".into())
    );
    // The names, units and attributes of the conventions, version 1.43.
    let conventions = json!({
        "container.cpu.usage": ["{cpu}", []],
        "container.memory.usage": ["By", []],
        "container.memory.working_set": ["By", []],
        "container.memory.available": ["By", []],
        "container.filesystem.usage": ["By", []],
        "container.filesystem.available": ["By", []],
        "container.network.io": ["By", ["network.io.direction"]],
        "container.disk.io": ["By", ["disk.io.direction"]],
        "hw.gpu.utilization": ["1", ["hw.id", "hw.type"]],
        "hw.gpu.memory.usage": ["By", ["hw.id", "hw.type"]],
        "hw.gpu.memory.limit": ["By", ["hw.id", "hw.type"]],
        "hw.power": ["W", ["hw.id", "hw.type"]],
        "hw.temperature": ["Cel", ["hw.id", "hw.type"]],
        "footplate.metric": ["1", ["footplate.metric.name"]],
    });
    let points = |metric: &Value| {
        let data = if metric["gauge"].is_null() { &metric["sum"] } else { &metric["gauge"] };
        data["dataPoints"].as_array().expect("points").clone()
    };
    let keys = |point: &Value| -> Vec<Value> {
        point["attributes"].as_array().into_iter().flatten().map(|attribute| attribute["key"].clone()).collect()
    };
    let read: serde_json::Map<String, Value> = metrics
        .iter()
        .map(|metric| {
            let name = metric["name"].as_str().expect("a name").to_owned();
            (name, json!([metric["unit"], keys(&points(metric)[0])]))
        })
        .collect();
    assert_eq!(Value::Object(read), conventions, "{last:#}");
    for (name, value) in [
        ("hw.gpu.utilization", 0.92),
        ("hw.gpu.memory.usage", 1024.0 * 1_048_576.0),
        ("hw.gpu.memory.limit", 23028.0 * 1_048_576.0),
        ("hw.power", 290.0),
        ("hw.temperature", 44.0),
    ] {
        assert_eq!(points(named(name))[0]["asDouble"], value, "{name}");
    }
    let number = |name: &str| points(named(name))[0]["asDouble"].as_f64().unwrap_or_else(|| panic!("{name}: {last:#}"));
    assert!((0.0..1024.0).contains(&number("container.cpu.usage")), "{last:#}");
    for name in ["container.memory.available", "container.filesystem.usage", "container.filesystem.available"] {
        assert!(number(name) > 1e6, "{name}: {last:#}");
    }
    let memory = named("container.memory.working_set");
    assert_eq!(memory["unit"], "By");
    assert!(memory["gauge"]["dataPoints"][0]["asDouble"].as_f64() > Some(1e6), "{memory}");
    let network = &named("container.network.io")["sum"];
    assert_eq!(
        (&network["aggregationTemporality"], &network["isMonotonic"]),
        (&"AGGREGATION_TEMPORALITY_CUMULATIVE".into(), &true.into())
    );
}

#[test]
fn a_collector_that_is_not_there_or_silent_costs_one_warning() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("an address").port();
    for (endpoint, problem) in [
        ("http://127.0.0.1:9".to_owned(), "Connection refused"),
        (format!("http://127.0.0.1:{port}"), "no answer within"),
        ("nonsense".to_owned(), "cannot be sent"),
    ] {
        let job = job("")
            .variable("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)
            .variable("OTEL_METRIC_EXPORT_INTERVAL", "50")
            .variable("OTEL_EXPORTER_OTLP_TIMEOUT", "200");
        let ended = job.train().succeeded();
        assert_eq!(
            ended.stderr.matches("metrics cannot be sent to the OpenTelemetry endpoint").count(),
            1,
            "{}",
            ended.stderr
        );
        assert!(ended.stderr.contains(problem), "{problem}: {}", ended.stderr);
        assert!(ended.duration < Duration::from_secs(60), "{:?}", ended.duration);
    }
}
