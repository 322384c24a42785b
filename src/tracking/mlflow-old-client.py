"""What scripts of two years ago do with the client they have; arguments: the tracking server's address, an empty folder."""

import os
import sys

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

mlflow.set_tracking_uri(sys.argv[1])
folder = sys.argv[2]
mlflow.set_experiment("old")
with mlflow.start_run(run_name="first") as active:
    mlflow.log_params({"lr": 0.1, "layers": "3"})
    for step in range(5):
        mlflow.log_metric("loss", 1 / (step + 1), step=step)
    mlflow.log_metrics({"acc": 0.9, "nan": float("nan")})
    mlflow.set_tag("team", "red")
    with open(os.path.join(folder, "notes.txt"), "w", encoding="utf-8") as file:
        file.write("hello")
    mlflow.log_artifacts(folder, "notes")
    mlflow.log_dict({"a": 1}, "config.json")

client = MlflowClient()
run = client.get_run(active.info.run_id)
assert (run.info.status, run.data.params["lr"], run.data.metrics["acc"]) == ("FINISHED", "0.1", 0.9)
assert [metric.value for metric in client.get_metric_history(run.info.run_id, "loss")][:2] == [1, 0.5]
assert [file.path for file in client.list_artifacts(run.info.run_id, "notes")] == ["notes/notes.txt"]
found = client.search_runs([run.info.experiment_id], "metrics.acc > 0.5 and tags.team = 'red'", order_by=["metrics.acc DESC"])
assert [one.info.run_id for one in found] == [run.info.run_id]
assert mlflow.artifacts.load_dict(f"{run.info.artifact_uri}/config.json") == {"a": 1}

client.create_registered_model("old-model", tags={"k": "v"})
version = client.create_model_version("old-model", f"{run.info.artifact_uri}/notes", run.info.run_id)
client.set_registered_model_alias("old-model", "champion", version.version)
client.transition_model_version_stage("old-model", version.version, "Production")
assert client.get_model_version_by_alias("old-model", "champion").run_id == run.info.run_id
assert client.get_latest_versions("old-model", ["Production"])[0].version == version.version
path = mlflow.artifacts.download_artifacts(f"models:/old-model/{version.version}", dst_path=folder)
assert os.path.exists(os.path.join(path, "notes.txt"))


@mlflow.trace
def double(number):
    return 2 * number


assert double(21) == 42
[trace] = client.search_traces(experiment_ids=[run.info.experiment_id])
assert client.get_trace(trace.info.request_id).data.spans[0].outputs == 42
client.set_trace_tag(trace.info.request_id, "k", "v")
assert len(client.search_traces(experiment_ids=[run.info.experiment_id], filter_string="tags.k = 'v'")) == 1

try:
    client.get_run("nobody")
    raise AssertionError("a run that is not there was found")
except MlflowException as error:
    assert error.error_code == "RESOURCE_DOES_NOT_EXIST", error.error_code
print("all good")
