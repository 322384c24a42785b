"""Fits a line by gradient descent and tracks it: `athanor run -p mlflow-skinny examples/track.py --rate 0.1 --name fast`."""

import argparse
import json
import tempfile
from pathlib import Path

import mlflow
from mlflow import MlflowClient

STEPS = 200
# y = 3x + 1, seen at a few points
POINTS = [(x / 10, 3 * x / 10 + 1) for x in range(-10, 11)]

parser = argparse.ArgumentParser()
parser.add_argument("--rate", type=float, default=0.1)
parser.add_argument("--name", default="first")
arguments = parser.parse_args()

mlflow.set_experiment("line")
slope, offset = 0.0, 0.0
with mlflow.start_run(run_name=arguments.name) as run:
    mlflow.log_params({"rate": arguments.rate, "steps": STEPS})
    for step in range(STEPS):
        errors = [(x, slope * x + offset - y) for x, y in POINTS]
        mlflow.log_metric("loss", sum(error * error for _, error in errors) / len(errors), step=step, synchronous=False)
        slope -= arguments.rate * sum(2 * error * x for x, error in errors) / len(errors)
        offset -= arguments.rate * sum(2 * error for _, error in errors) / len(errors)
    mlflow.flush_async_logging()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "line.json").write_text(json.dumps({"slope": slope, "offset": offset}), encoding="utf-8")
        mlflow.log_artifacts(folder, "model")

client = MlflowClient()
if not client.search_registered_models("name = 'line'"):
    client.create_registered_model("line", description="y = slope * x + offset")
version = client.create_model_version("line", f"{run.info.artifact_uri}/model", run.info.run_id)
print(f"slope {slope:.3f}, offset {offset:.3f}: version {version.version} of model line")
