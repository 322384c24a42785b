"""Trains a digit classifier as a gang of two: each rank on its own seed; rank 0 registers the better one.

Rank 0 waits for the other ranks at MASTER_ADDR:MASTER_PORT and takes each one's model with its validation score.
"""

import json
import os
import sys
import time
import urllib.request
from multiprocessing.connection import Client, Listener

import mlflow
import numpy as np
from skl2onnx import to_onnx
from sklearn.neural_network import MLPClassifier

EPOCHS = int(os.environ.get("EPOCHS", "25"))
MODEL_NAME = os.environ.get("MODEL_NAME", "digits")
RANK, WORLD_SIZE = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
MEETING_PLACE = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
SECRET = os.environ["ATHANOR_JOB_UID"].encode()
MEETING_SECONDS = 60


def load():
    """Images [n, 64] float32 in 0..1 and labels [n] int64, split 60/20/20 into train, validation and held-out."""
    with np.load("/data/digits/digits.npz") as data:
        images, labels = data["images"] / np.float32(16), data["labels"]
    order = np.random.default_rng(0).permutation(len(labels))
    train, validation, held_out = np.split(order, [int(0.6 * len(order)), int(0.8 * len(order))])
    return [(images[part], labels[part]) for part in (train, validation, held_out)]


def report(epoch, metrics):
    """Tells the platform how far this job is (Kubeflow Trainer's progress contract)."""
    status = {
        "progressPercentage": round(100 * epoch / EPOCHS),
        "metrics": [{"name": name, "value": f"{value:.4f}"} for name, value in metrics.items()],
    }
    with open(os.environ["KUBEFLOW_TRAINER_SERVER_TOKEN"], encoding="utf-8") as file:
        headers = {"Authorization": f"Bearer {file.read()}", "Content-Type": "application/json"}
    body = json.dumps({"trainerStatus": status}).encode()
    urllib.request.urlopen(
        urllib.request.Request(os.environ["KUBEFLOW_TRAINER_SERVER_URL"], body, headers), timeout=10
    ).close()


def train(train_set, validation_set):
    """Epoch by epoch; returns the model and its validation accuracy."""
    model = MLPClassifier(hidden_layer_sizes=(64,), learning_rate_init=0.005, batch_size=64, random_state=RANK)
    accuracy = 0.0
    for epoch in range(1, EPOCHS + 1):
        model.partial_fit(*train_set, classes=np.arange(10))
        accuracy = model.score(*validation_set)
        mlflow.log_metrics({"loss": model.loss_, "val_accuracy": accuracy}, step=epoch)
        if epoch % 5 == 0 or epoch == EPOCHS:
            print(f"rank {RANK} epoch {epoch:3d} loss {model.loss_:.4f} val_accuracy {accuracy:.4f}")
            report(epoch, {"loss": model.loss_, "val_accuracy": accuracy})
    return model, accuracy


def collect(own):
    """Rank 0: own result and those of all other ranks."""
    results = [own]
    with Listener(MEETING_PLACE, authkey=SECRET) as listener:
        while len(results) < WORLD_SIZE:
            with listener.accept() as connection:
                results.append(connection.recv())
    return results


def deliver(result):
    """Other ranks: hands the result to rank 0, which may still be training."""
    deadline = time.monotonic() + MEETING_SECONDS
    while True:
        try:
            with Client(MEETING_PLACE, authkey=SECRET) as connection:
                connection.send(result)
            return
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def register(model, held_out):
    """Logs the model as ONNX under the current run and registers it as a new version with the alias `champion`."""
    os.makedirs("/outputs", exist_ok=True)
    images, labels = held_out
    # Tensors only: no map of class to probability, which the inference protocol cannot say.
    onnx = to_onnx(model, images[:1], options={"zipmap": False}, target_opset=18)
    with open("/outputs/model.onnx", "wb") as file:
        file.write(onnx.SerializeToString())
    np.savez_compressed("/outputs/held_out.npz", images=images, labels=labels)
    mlflow.log_artifact("/outputs/model.onnx", "model")
    client = mlflow.MlflowClient()
    if not client.search_registered_models(f"name = '{MODEL_NAME}'"):
        client.create_registered_model(MODEL_NAME)
    run = mlflow.active_run()
    version = client.create_model_version(MODEL_NAME, f"{run.info.artifact_uri}/model", run.info.run_id)
    client.set_registered_model_alias(MODEL_NAME, "champion", version.version)
    return version.version


def main():
    train_set, validation_set, held_out = load()
    mlflow.set_experiment("digits")
    with mlflow.start_run(run_name=f"{os.environ['ATHANOR_JOB_NAME']}-rank-{RANK}") as run:
        mlflow.log_params({"seed": RANK, "epochs": EPOCHS, "hidden": 64, "job": os.environ["ATHANOR_JOB_NAME"]})
        model, accuracy = train(train_set, validation_set)
        if RANK != 0:
            deliver((accuracy, RANK, model))
            return
        accuracy, rank, best = max(collect((accuracy, RANK, model)), key=lambda result: result[0])
        held_out_accuracy = best.score(*held_out)
        mlflow.log_metric("test_accuracy", held_out_accuracy)
        mlflow.set_tag("best_rank", rank)
        version = register(best, held_out)
        print(f"rank {rank} won with val_accuracy {accuracy:.4f}, test_accuracy {held_out_accuracy:.4f}")
        with open("/outputs/result.json", "w", encoding="utf-8") as file:
            json.dump({"version": version, "runId": run.info.run_id, "experimentId": run.info.experiment_id}, file)


if __name__ == "__main__":
    sys.exit(main())
