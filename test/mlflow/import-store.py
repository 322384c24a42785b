"""Writes an MLflow store by the real client, or compares one with a server. Usage: write|compare <store> [<url>]."""
import math
import os
import sys

os.environ["MLFLOW_ALLOW_FILE_STORE"] = "1"
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, ViewType

verb, store = sys.argv[1:3]
client = MlflowClient(store, registry_uri=store)


def write():
    exp = client.create_experiment("digits & letters", tags={"team": "vision", "a/b": "ü"})
    run = client.create_run(exp, run_name="first", tags={"t": "v", "multi": "a\nb"}).info
    for key, value in {"lr": "0.1", "deep/er": "x" * 500, "ünicode": "ü"}.items():
        client.log_param(run.run_id, key, value)
    for step in range(50):
        client.log_metric(run.run_id, "loss/train", 1 / (step + 1), timestamp=1000 + step, step=step)
    for step, value in enumerate([float("nan"), float("inf"), float("-inf"), 1e-300, -5]):
        client.log_metric(run.run_id, "odd", value, timestamp=2000 + step, step=step)
    client.log_metric(run.run_id, "odd", 7, timestamp=3000, step=-1)
    data = Dataset("set", "digest", "local", '{"uri": "x"}', '{"s": 1}', None)
    client.log_inputs(run.run_id, [DatasetInput(data, [InputTag("mlflow.data.context", "train")])])
    with open("a ü.txt", "w") as file:
        file.write("content")
    client.log_artifact(run.run_id, "a ü.txt", "model/deep")
    client.set_terminated(run.run_id, "FAILED")
    client.delete_run(client.create_run(exp).info.run_id)
    gone = client.create_experiment("gone")
    client.create_run(gone)
    client.delete_experiment(gone)
    client.create_registered_model("m", tags={"x": "y"}, description="words")
    source = client.get_run(run.run_id).info.artifact_uri + "/model"
    for number in range(3):
        client.create_model_version("m", source, run.run_id, tags={"n": str(number)}, description=f"v{number}")
    client.delete_model_version("m", "2")
    client.set_registered_model_alias("m", "champion", "3")
    if hasattr(client, "create_logged_model"):
        model = client.create_logged_model(exp, "lm", source_run_id=run.run_id, tags={"k": "v"}, params={"p": "1"})
        client.finalize_logged_model(model.model_id, "READY")


def describe(client, moved):
    said = {}
    for exp in client.search_experiments(ViewType.ALL):
        tags = {key: value for key, value in exp.tags.items()}
        said["experiment", exp.name] = (exp.lifecycle_stage, tags)
        for run in client.search_runs([exp.experiment_id], run_view_type=ViewType.ALL):
            info = run.info
            history = {
                key: sorted((p.timestamp, p.step, repr(clip(p.value))) for p in client.get_metric_history(info.run_id, key))
                for key in run.data.metrics
            }
            inputs = [
                (i.dataset.name, i.dataset.digest, i.dataset.source, i.dataset.schema, i.dataset.profile, [(t.key, t.value) for t in i.tags])
                for i in run.inputs.dataset_inputs
            ]
            latest = {key: repr(clip(value)) for key, value in run.data.metrics.items()}
            said["run", info.run_id] = (
                info.run_name, info.status, info.start_time, info.end_time, info.user_id, info.lifecycle_stage,
                dict(run.data.params), dict(run.data.tags), history, inputs, latest,
            )
            said["files", info.run_id] = sorted(walk(client, info.run_id, "")) if info.lifecycle_stage == "active" else None
    for model in client.search_registered_models():
        said["model", model.name] = (model.description, dict(model.tags), aliases(model))
        for version in client.search_model_versions(f"name='{model.name}'"):
            inside = version.source.split("/artifacts")[-1]
            said["version", version.name, int(version.version)] = (
                version.run_id, version.description, dict(version.tags), version.current_stage,
                version.creation_timestamp, inside, aliases(model),
            )
            if moved:
                assert version.source.startswith("mlflow-artifacts:/"), version.source
    if hasattr(client, "search_logged_models"):
        for exp in client.search_experiments():
            for model in client.search_logged_models([exp.experiment_id]):
                said["logged", model.model_id] = (model.name, str(model.status), dict(model.params), dict(model.tags), model.creation_timestamp)
    return said


def aliases(model):
    return {alias: str(version) for alias, version in model.aliases.items()}


def clip(value):
    """A database keeps infinity as the largest number, here as there."""
    return value if math.isnan(value) else max(-1.7976931348623157e308, min(1.7976931348623157e308, value))


def walk(client, run_id, path):
    for file in client.list_artifacts(run_id, path):
        if file.is_dir:
            yield from walk(client, run_id, file.path)
        else:
            yield (file.path, file.file_size)


if verb == "write":
    write()
else:
    url = sys.argv[3]
    here, there = describe(client, False), describe(MlflowClient(url, registry_uri=url), True)
    assert here.keys() == there.keys(), here.keys() ^ there.keys()
    for key, value in here.items():
        assert value == there[key], (key, value, there[key])
    run_id = next(key[1] for key, value in there.items() if key[0] == "files" and value)
    path = MlflowClient(url).download_artifacts(run_id, "model/deep/a ü.txt", ".")
    assert open(path).read() == "content"
    print(f"{len(here)} things are equal")
