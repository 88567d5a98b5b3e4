"""The names that framework containers import."""

import sys

import sagemaker_containers as _package
from sagemaker_containers import entry_point, training_env

content_types = _package._content_types
encoders = _package._encoders
env = _package._env
errors = _package._errors
files = _package._files
functions = _package._functions
intermediate_output = _package._intermediate_output
logging = _package._logging
mapping = _package._mapping
modules = _package._modules
params = _package._params
process = _package._process
runner = _package._runner
server = _package._server
trainer = _package._trainer
transformer = _package._transformer
worker = _package._worker

for _name in (
    "content_types encoders entry_point env errors files functions intermediate_output mapping modules params process runner "
    "server trainer transformer worker"
).split():
    sys.modules[__name__ + "." + _name] = globals()[_name]
