"""A program that follows the platform's contract without a toolkit: it reads and writes /opt/ml."""

import csv
import json
import pathlib
import sys

ML = pathlib.Path("/opt/ml")


def train():
    hyperparameters = json.loads((ML / "input/config/hyperparameters.json").read_text())
    with open(ML / "input/data/training/data.csv", newline="") as file:
        rows = [(float(row["x"]), float(row["y"])) for row in csv.DictReader(file)]
    slope = sum(x * y for x, y in rows) / (sum(x * x for x, _ in rows) + float(hyperparameters.get("ridge", "0")))
    print(f"rows={len(rows)} slope={slope:.4f}")
    (ML / "model/model.json").write_text(json.dumps({"slope": slope}))


if __name__ == "__main__":
    if sys.argv[1:] != ["train"]:
        sys.exit(f"this image can only train, not {sys.argv[1:]}")
    train()
