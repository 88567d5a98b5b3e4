"""Fits y = slope * x to a channel of CSV data, as it did under sagemaker-training."""

import argparse
import csv
import json
import os
import pathlib

parser = argparse.ArgumentParser()
parser.add_argument("--ridge", type=float, default=0.0)
parser.add_argument("--training", type=pathlib.Path, default=os.environ.get("SM_CHANNEL_TRAINING"))
parser.add_argument("--model-dir", type=pathlib.Path, default=os.environ.get("SM_MODEL_DIR"))
arguments = parser.parse_args()

with open(arguments.training / "data.csv", newline="") as file:
    rows = [(float(row["x"]), float(row["y"])) for row in csv.DictReader(file)]
slope = sum(x * y for x, y in rows) / (sum(x * x for x, _ in rows) + arguments.ridge)
print(f"rows={len(rows)} slope={slope:.4f}")
(arguments.model_dir / "model.json").write_text(json.dumps({"slope": slope}))
