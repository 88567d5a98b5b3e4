//! The accelerators of instance types, for hosts that cannot be examined: the other hosts of a job with several
//! instance groups.
//!
//! This host is examined directly. The numbers come from the platform contract, section 11.

/// The accelerators of an instance type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accelerators {
    /// The number of NVIDIA GPUs.
    pub gpus: usize,
    /// The number of Neuron cores.
    pub neuron_cores: usize,
}

impl Accelerators {
    /// Returns the number of training processes that fit: one for each GPU, else one for each Neuron core, else one.
    pub fn processes(self) -> usize {
        [self.gpus, self.neuron_cores].into_iter().find(|count| *count > 0).unwrap_or(1)
    }
}

/// Returns the accelerators of an instance type such as `ml.g5.12xlarge`, or `None` if the type is unknown.
pub fn accelerators(instance_type: &str) -> Option<Accelerators> {
    let (family, size) = instance_type.strip_prefix("ml.")?.split_once('.')?;
    let gpus = |gpus| Some(Accelerators { gpus, neuron_cores: 0 });
    let neuron_cores = |neuron_cores| Some(Accelerators { gpus: 0, neuron_cores });
    match (family, size) {
        ("p4d" | "p4de" | "p5e" | "p5en" | "p6-b200" | "p6-b300" | "p3dn", _) => gpus(8),
        ("p5", "48xlarge") | ("p3", "16xlarge") => gpus(8),
        ("p5", "4xlarge") | ("p3", "2xlarge") => gpus(1),
        ("p6e-gb200", "36xlarge") | ("p3", "8xlarge") | ("g4dn", "12xlarge") => gpus(4),
        ("g5" | "g6" | "g6e" | "g7e", "48xlarge") => gpus(8),
        ("g5" | "g6" | "g6e" | "g7e", "24xlarge") | ("g5" | "g6" | "g6e", "12xlarge") => gpus(4),
        ("g7e", "12xlarge") => gpus(2),
        ("g5" | "g6", "xlarge" | "2xlarge" | "4xlarge" | "8xlarge" | "16xlarge") => gpus(1),
        ("g4dn", "xlarge" | "2xlarge" | "4xlarge" | "8xlarge" | "16xlarge") => gpus(1),
        ("trn1", "32xlarge") => neuron_cores(32),
        ("trn2", "48xlarge") => neuron_cores(64),
        // Families without accelerators: c5, c6i, m5, m7g, r5, t3 and so on.
        _ if has_no_accelerator(family) => Some(Accelerators::default()),
        _ => None,
    }
}

fn has_no_accelerator(family: &str) -> bool {
    let mut letters = family.chars();
    matches!(letters.next(), Some('c' | 'm' | 'r' | 't')) && letters.next().is_some_and(|c| c.is_ascii_digit())
}

/// Returns the memory of an instance type, in bytes, or `None` if the type is unknown.
///
/// The sizes are those of Amazon's table of instance types: most families have a fixed amount for each processor.
pub fn memory(instance_type: &str) -> Option<u64> {
    let (family, size) = instance_type.strip_prefix("ml.")?.split_once('.')?;
    let processors = match size {
        "large" => 2,
        "xlarge" => 4,
        size => 4 * size.strip_suffix("xlarge")?.parse::<u64>().ok()?,
    };
    let is_recent = family.chars().nth(1).is_some_and(|generation| ('5'..='9').contains(&generation));
    let gibibytes = match (family, size) {
        ("p4d" | "p4de", "24xlarge") => 1152,
        ("p5" | "p5e" | "p5en" | "trn2", "48xlarge") => 2048,
        ("p5", "4xlarge") => 256,
        ("p3", "2xlarge" | "8xlarge" | "16xlarge") => 61 * processors / 8,
        ("p3dn", "24xlarge") => 768,
        ("trn1" | "trn1n", "32xlarge") => 512,
        ("trn1", "2xlarge") => 32,
        ("g6e", _) => 8 * processors,
        ("g4dn" | "g5" | "g6" | "t3" | "m4", _) => 4 * processors,
        ("c5n", _) => return None,
        _ if family.starts_with('c') && is_recent => 2 * processors,
        _ if family.starts_with('m') && is_recent => 4 * processors,
        _ if family.starts_with('r') && is_recent => 8 * processors,
        _ => return None,
    };
    Some(gibibytes << 30)
}

/// Returns true if EFA devices of this instance type support remote direct memory access. On other types, enabling it crashed
/// data loaders (platform contract, section 11).
pub fn has_efa_rdma(instance_type: &str) -> bool {
    let family = instance_type.strip_prefix("ml.").and_then(|rest| rest.split('.').next()).unwrap_or_default();
    matches!(family, "p4d" | "p4de" | "p6e-gb200" | "trn1") || family.starts_with("p5")
}

#[cfg(test)]
mod tests {
    use super::{Accelerators, accelerators, has_efa_rdma, memory};

    #[test]
    fn the_memory_of_instance_types_is_known() {
        for (instance_type, gibibytes) in [
            ("ml.m5.large", Some(8)),
            ("ml.m7i.48xlarge", Some(768)),
            ("ml.c5.9xlarge", Some(72)),
            ("ml.c6i.32xlarge", Some(256)),
            ("ml.r5.24xlarge", Some(768)),
            ("ml.t3.2xlarge", Some(32)),
            ("ml.g4dn.12xlarge", Some(192)),
            ("ml.g5.xlarge", Some(16)),
            ("ml.g5.48xlarge", Some(768)),
            ("ml.g6e.48xlarge", Some(1536)),
            ("ml.p3.2xlarge", Some(61)),
            ("ml.p3.16xlarge", Some(488)),
            ("ml.p4d.24xlarge", Some(1152)),
            ("ml.p5.48xlarge", Some(2048)),
            ("ml.trn1.32xlarge", Some(512)),
            ("ml.c5n.18xlarge", None),
            ("ml.x9.large", None),
            ("ml.m5.none", None),
            ("local", None),
        ] {
            assert_eq!(memory(instance_type), gibibytes.map(|size: u64| size << 30), "{instance_type}");
        }
    }

    #[test]
    fn instance_types_are_recognized_by_family_and_size() {
        let gpus = |instance_type| accelerators(instance_type).map(|found| found.gpus);
        for (instance_type, count) in [
            ("ml.p4d.24xlarge", Some(8)),
            ("ml.p5.4xlarge", Some(1)),
            ("ml.p5.48xlarge", Some(8)),
            ("ml.p6e-gb200.36xlarge", Some(4)),
            ("ml.g5.16xlarge", Some(1)),
            ("ml.g6.24xlarge", Some(4)),
            ("ml.g7e.12xlarge", Some(2)),
            ("ml.g4dn.12xlarge", Some(4)),
            ("ml.c5.18xlarge", Some(0)),
            ("ml.m7g.large", Some(0)),
            ("ml.trn1.32xlarge", Some(0)),
            ("ml.x9.large", None),
            ("local", None),
            ("", None),
        ] {
            assert_eq!(gpus(instance_type), count, "{instance_type}");
        }
        assert_eq!(accelerators("ml.trn2.48xlarge"), Some(Accelerators { gpus: 0, neuron_cores: 64 }));
        let rdma = ["ml.p4d.24xlarge", "ml.p5en.48xlarge", "ml.trn1.32xlarge"];
        assert!(rdma.iter().all(|instance_type| has_efa_rdma(instance_type)));
        assert!(
            !["ml.g5.48xlarge", "ml.p3dn.24xlarge", "local"].iter().any(|instance_type| has_efa_rdma(instance_type))
        );
    }
}
