"""The training interface of the package sagemaker-training, on top of footplate.

Framework containers import these modules. Everything that runs the job (code, requirements, launchers, signals, failure
texts) is done by the program footplate.
"""

SM_EFA_NCCL_INSTANCES = [
    "ml.g4dn.8xlarge",
    "ml.g4dn.12xlarge",
    "ml.g5.48xlarge",
    "ml.p3dn.24xlarge",
    "ml.p4d.24xlarge",
    "ml.p4de.24xlarge",
    "ml.p5.48xlarge",
    "ml.p5e.48xlarge",
    "ml.trn1.32xlarge",
    "ml.p6e-gb200.36xlarge",
]
SM_EFA_RDMA_INSTANCES = [name for name in SM_EFA_NCCL_INSTANCES if name.startswith(("ml.p4d", "ml.p5", "ml.trn1", "ml.p6e"))]
SM_TRAINING_COMPILER_PATHS = [
    "tensorflow/compiler/xla",
    "tensorflow/compiler/tf2xla",
    "tensorflow/python/compiler/xla",
    "torch_xla/",
]
_MPI_ERRORS_ = ["mpirun.real", "ORTE"]


def _python_errors():
    import builtins

    names = [name for name, value in vars(builtins).items() if isinstance(value, type) and issubclass(value, Exception)]
    further = ["Invalid requirement", "ResourceExhaustedError", "OutOfRangeError", "InvalidArgumentError"]
    return ["BaseException"] + [name for name in names if not name.endswith("Warning")] + further


_PYTHON_ERRORS_ = _python_errors()
