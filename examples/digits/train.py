"""Trains a classifier on the handwritten digits that scikit-learn ships, and leaves it in the model folder."""

import argparse
import json
import os

import joblib
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import train_test_split

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=5)
parser.add_argument("--alpha", type=float, default=1e-4)
arguments = parser.parse_args()

digits = load_digits()
train_x, test_x, train_y, test_y = train_test_split(digits.data / 16, digits.target, random_state=0)
model = SGDClassifier(loss="log_loss", alpha=arguments.alpha, random_state=0)
for epoch in range(1, arguments.epochs + 1):
    model.partial_fit(train_x, train_y, classes=range(10))
    print(f"epoch {epoch} of {arguments.epochs}: accuracy = {model.score(test_x, test_y):.4f};")

joblib.dump(model, os.path.join(os.environ["SM_MODEL_DIR"], "model.joblib"))
with open(os.path.join(os.environ["SM_OUTPUT_DATA_DIR"], "metrics.json"), "w") as file:
    json.dump({"accuracy": model.score(test_x, test_y)}, file)
