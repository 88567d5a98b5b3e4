//! Reader of the output of neuron-monitor, which writes one JSON document per period, each on a line.

use serde::Deserialize;

use super::{NeuronCore, NeuronState};

/// The name of neuron-monitor on `PATH`.
pub const PROGRAM: &str = "neuron-monitor";
/// The folder into which AWS's packages install it.
pub const FOLDER: &str = "/opt/aws/neuron/bin";

/// Returns the configuration with which neuron-monitor writes a document every few seconds.
pub fn configuration(seconds: u64) -> String {
    let metrics = serde_json::json!([{"type": "neuroncore_counters"}, {"type": "memory_used"}]);
    let runtimes = serde_json::json!([{"tag_filter": ".*", "metrics": metrics}]);
    let period = format!("{seconds}s");
    serde_json::json!({"period": period, "neuron_runtimes": runtimes, "system_metrics": []}).to_string()
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    neuron_runtime_data: Vec<Runtime>,
}

#[derive(Deserialize)]
struct Runtime {
    #[serde(default)]
    report: Report,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Report {
    neuroncore_counters: Counters,
    memory_used: Memory,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Counters {
    neuroncores_in_use: std::collections::BTreeMap<String, Core>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Core {
    neuroncore_utilization: f64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Memory {
    neuron_runtime_used_bytes: Used,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Used {
    host: u64,
    neuron_device: u64,
}

/// Reads a document: the cores and the memory of all processes. Returns `None` if the text is not a document of
/// neuron-monitor.
pub fn state(document: &str) -> Option<NeuronState> {
    // Otherwise a JSON list would be accepted as a document.
    let document = Some(document).filter(|text| text.trim_start().starts_with('{'))?;
    let Document { neuron_runtime_data } = serde_json::from_str(document).ok()?;
    let mut state = NeuronState::default();
    for Runtime { report } in neuron_runtime_data {
        let used = report.memory_used.neuron_runtime_used_bytes;
        state.memory_used = state.memory_used.saturating_add(used.neuron_device);
        state.host_memory_used = state.host_memory_used.saturating_add(used.host);
        let cores = report.neuroncore_counters.neuroncores_in_use.into_iter();
        state.cores.extend(cores.filter_map(|(index, core)| {
            Some(NeuronCore { index: index.parse().ok()?, busy: core.neuroncore_utilization })
        }));
    }
    state.cores.sort_unstable_by_key(|core| core.index);
    Some(state)
}

#[cfg(test)]
mod tests {
    use super::{NeuronCore, NeuronState, configuration, state};

    /// A document in the form that the Neuron documentation describes.
    const DOCUMENT: &str = r#"{"neuron_runtime_data":[{"pid":11,"address":"","neuron_runtime_tag":"11","error":"","report":
        {"neuroncore_counters":{"period":5.0,"neuroncores_in_use":{"10":{"neuroncore_utilization":80.5,"flops":1},
        "2":{"neuroncore_utilization":42.25}},"error":""},"memory_used":{"period":5.0,"neuron_runtime_used_bytes":
        {"host":1000,"neuron_device":5000,"usage_breakdown":{"host":{"constants":0}}},"error":""}}},{"pid":12,"error":"",
        "report":{"memory_used":{"neuron_runtime_used_bytes":{"host":1,"neuron_device":2}}}}],
        "system_data":{},"instance_info":{"instance_type":"trn1.32xlarge"},
        "neuron_hardware_info":{"neuron_device_count":16,"neuroncore_per_device_count":2,"error":""}}"#;

    #[test]
    fn a_document_has_the_cores_and_the_memory_of_all_processes() {
        let cores = vec![NeuronCore { index: 2, busy: 42.25 }, NeuronCore { index: 10, busy: 80.5 }];
        assert_eq!(state(DOCUMENT), Some(NeuronState { cores, memory_used: 5002, host_memory_used: 1001 }));
        let idle = r#"{"neuron_runtime_data":[],"neuron_hardware_info":{}}"#;
        assert_eq!(state(idle), Some(NeuronState::default()));
        for wrong in ["", "[]", "{\"neuron_runtime_data\":3}", "neuron-monitor: error", "{\"a\":"] {
            let is_read = state(wrong);
            assert!(is_read.is_none(), "{wrong}: {is_read:?}");
        }
        let configuration: serde_json::Value = serde_json::from_str(&configuration(5)).expect("JSON");
        assert_eq!(configuration["period"], "5s");
    }
}
