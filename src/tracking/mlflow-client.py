"""Drives a tracking server with the unmodified MLflow client, and asserts what it reads back. Usage: <url> <folder>."""
import json
import math
import os
import sys

import mlflow
from mlflow import MlflowClient
from mlflow.entities import (
    Dataset, DatasetInput, InputTag, LoggedModelInput, LoggedModelOutput, LoggedModelParameter,
    Metric, Param, RunTag, ViewType,
)
from mlflow.exceptions import MlflowException

url, folder = sys.argv[1:3]
mlflow.set_tracking_uri(url)
client = MlflowClient(url)


def refused(code, work):
    try:
        work()
    except MlflowException as error:
        assert error.error_code == code, (error.error_code, code, str(error))
        return str(error)
    raise AssertionError(f"{code} was expected")


# Experiments
assert client.get_experiment("0").name == "Default"
exp = client.create_experiment("digits", tags={"team": "vision"})
assert exp.isdigit() and exp != "0", exp
refused("RESOURCE_ALREADY_EXISTS", lambda: client.create_experiment("digits"))
refused("RESOURCE_DOES_NOT_EXIST", lambda: client.get_experiment("424242"))
refused("INVALID_PARAMETER_VALUE", lambda: client._tracking_client.store.create_experiment(""))
assert client.get_experiment_by_name("nobody") is None
found = client.get_experiment_by_name("digits")
assert found.experiment_id == exp and found.tags == {"team": "vision"}, found
assert found.artifact_location == f"mlflow-artifacts:/{exp}", found.artifact_location
client.set_experiment_tag(exp, "stage", "test")
client.delete_experiment_tag(exp, "team")
assert client.get_experiment(exp).tags == {"stage": "test"}
client.rename_experiment(exp, "digits-2")
assert client.get_experiment(exp).name == "digits-2"
assert [e.name for e in client.search_experiments(filter_string="name LIKE 'digits%'")] == ["digits-2"]
assert [e.name for e in client.search_experiments(filter_string="name LIKE 'DIGITS%'")] == []
assert [e.name for e in client.search_experiments(filter_string="name ILIKE 'DIGITS%' AND tags.stage = 'test'")] == ["digits-2"]
first = client.search_experiments(max_results=1, order_by=["name ASC"])
second = client.search_experiments(max_results=1, order_by=["name ASC"], page_token=first.token)
assert [first[0].name, second[0].name] == ["Default", "digits-2"], (first, second)
client.delete_experiment(exp)
assert client.get_experiment(exp).lifecycle_stage == "deleted"
refused("INVALID_PARAMETER_VALUE", lambda: client.create_run(exp))
assert len(client.search_experiments(view_type=ViewType.DELETED_ONLY)) == 1
client.restore_experiment(exp)
assert client.get_experiment(exp).lifecycle_stage == "active"

# Runs
run = client.create_run(exp, run_name="first", tags={"kind": "a"}, start_time=1000)
rid = run.info.run_id
assert len(rid) == 32 and int(rid, 16) >= 0
assert run.info.status == "RUNNING" and run.info.run_name == "first" and run.info.start_time == 1000
assert run.info.artifact_uri == f"mlflow-artifacts:/{exp}/{rid}/artifacts"
assert run.data.tags["kind"] == "a" and run.data.tags["mlflow.runName"] == "first"
client.log_param(rid, "lr", 0.1)
client.log_param(rid, "lr", 0.1)
message = refused("INVALID_PARAMETER_VALUE", lambda: client.log_param(rid, "lr", 0.2))
assert "Changing param values is not allowed" in message, message
for step, value in enumerate([0.5, 0.7, 0.6]):
    client.log_metric(rid, "acc", value, timestamp=1000 + step, step=step)
client.log_metric(rid, "acc", 0.1, timestamp=1, step=1)
client.log_metric(rid, "bad", float("nan"), timestamp=1)
client.log_metric(rid, "inf", float("inf"), timestamp=1)
client.log_metric(rid, "ninf", float("-inf"), timestamp=1)
client.set_tag(rid, "gone", "x")
client.delete_tag(rid, "gone")
refused("RESOURCE_DOES_NOT_EXIST", lambda: client.delete_tag(rid, "gone"))
client.log_batch(
    rid,
    metrics=[Metric("loss", 1 / (i + 1), 2000 + i, i) for i in range(900)],
    params=[Param(f"p{i}", str(i)) for i in range(50)],
    tags=[RunTag(f"t{i}", str(i)) for i in range(50)],
)
got = client.get_run(rid)
assert got.data.metrics["acc"] == 0.6, got.data.metrics
assert got.data.metrics["loss"] == 1 / 900
assert math.isnan(got.data.metrics["bad"]), got.data.metrics["bad"]
assert got.data.metrics["inf"] == sys.float_info.max and got.data.metrics["ninf"] == -sys.float_info.max
assert got.data.params["lr"] == "0.1" and got.data.params["p49"] == "49" and len(got.data.params) == 51
assert got.data.tags["t7"] == "7" and "gone" not in got.data.tags
history = client.get_metric_history(rid, "acc")
assert [(m.step, m.timestamp, m.value) for m in history] == [(1, 1, 0.1), (0, 1000, 0.5), (1, 1001, 0.7), (2, 1002, 0.6)]
assert len(client.get_metric_history(rid, "loss")) == 900
assert client.get_metric_history(rid, "nothing") == []
store = client._tracking_client.store
page = store.get_metric_history(rid, "loss", max_results=500)
rest = store.get_metric_history(rid, "loss", max_results=500, page_token=page.token)
assert (len(page), len(rest), rest.token) == (500, 400, None)
# MLflow cuts long values of parameters and tags rather than losing the run.
store.log_batch(rid, [], [Param("long", "x" * 6001)], [RunTag("long", "x" * 8001)])
long_run = client.get_run(rid).data
assert (len(long_run.params["long"]), len(long_run.tags["long"])) == (6000, 8000)
refused("INVALID_PARAMETER_VALUE", lambda: store.log_metric(rid, Metric("k" * 251, 1, 1, 1)))
refused("INVALID_PARAMETER_VALUE", lambda: store.log_metric(rid, Metric("a/../b", 1, 1, 1)))
refused("INVALID_PARAMETER_VALUE", lambda: store.log_batch(rid, [Metric("m", i, i, i) for i in range(1001)], [], []))
refused("INVALID_PARAMETER_VALUE", lambda: store.log_batch(rid, [Metric("atomic", 1, 1, 1)], [Param("lr", "9")], []))
assert "atomic" not in client.get_run(rid).data.metrics
client.log_inputs(
    rid,
    datasets=[DatasetInput(Dataset("scans", "abc", "local", "{}", "{}", "{}"), [InputTag("mlflow.data.context", "train")])],
)
assert client.get_run(rid).inputs.dataset_inputs[0].dataset.name == "scans"
assert client.get_run(rid).inputs.dataset_inputs[0].tags[0].value == "train"
client.update_run(rid, status="RUNNING", name="renamed")
assert client.get_run(rid).data.tags["mlflow.runName"] == "renamed"
client.set_terminated(rid, status="FINISHED", end_time=5000)
ended = client.get_run(rid)
assert (ended.info.status, ended.info.end_time, ended.info.run_name) == ("FINISHED", 5000, "renamed")

other = client.create_run(exp, start_time=2000, tags={"kind": "b"})
client.log_metric(other.info.run_id, "acc", 0.9)


def search(text, **more):
    return [r.info.run_id for r in client.search_runs([exp], text, **more)]


oid = other.info.run_id
assert search("") == [oid, rid]
assert search("metrics.acc > 0.8") == [oid]
assert search("metrics.acc <= 0.6 AND params.lr = '0.1'") == [rid]
assert search("params.lr LIKE '0.%' and tags.kind != 'b'") == [rid]
assert search("tags.`kind` ILIKE 'B'") == [oid]
assert search("attributes.status = 'FINISHED'") == [rid]
assert search(f"run_id IN ('{rid}', 'x')") == [rid]
assert search("start_time >= 2000") == [oid]
assert search("params.lr IS NULL") == [oid]
assert search("datasets.name = 'scans' AND dataset.context = 'train'") == [rid]
assert search("", order_by=["metrics.acc ASC"]) == [rid, oid]
assert search("", order_by=["params.lr DESC"]) == [rid, oid]
assert search("", order_by=["attributes.start_time ASC"]) == [rid, oid]
one = client.search_runs([exp], max_results=1)
two = client.search_runs([exp], max_results=1, page_token=one.token)
assert [one[0].info.run_id, two[0].info.run_id, two.token] == [oid, rid, None]
refused("INVALID_PARAMETER_VALUE", lambda: search("metrics.acc > 'x'"))
refused("INVALID_PARAMETER_VALUE", lambda: search("nonsense"))
client.delete_run(oid)
assert search("") == [rid] and search("", run_view_type=ViewType.DELETED_ONLY) == [oid]
refused("INVALID_PARAMETER_VALUE", lambda: client.log_metric(oid, "acc", 1))
client.restore_run(oid)
assert search("") == [oid, rid]

# Artifacts
os.makedirs(f"{folder}/tree/sub")
for name in ["tree/a.txt", "tree/sub/b c.txt", "single.bin"]:
    with open(f"{folder}/{name}", "w") as file:
        file.write(name * 1000)
client.log_artifacts(rid, f"{folder}/tree", "tree")
client.log_artifact(rid, f"{folder}/single.bin")
client.log_text(rid, "", "empty.txt")
client.log_dict(rid, {"a": 1}, "conf/x.json")
assert [(f.path, f.is_dir) for f in client.list_artifacts(rid)] == [
    ("conf", True), ("empty.txt", False), ("single.bin", False), ("tree", True)], client.list_artifacts(rid)
assert [(f.path, f.is_dir, f.file_size) for f in client.list_artifacts(rid, "tree")] == [
    ("tree/a.txt", False, 10000), ("tree/sub", True, None)], client.list_artifacts(rid, "tree")
assert client.list_artifacts(rid, "single.bin") == []
local = client.download_artifacts(rid, "tree")
with open(f"{local}/sub/b c.txt") as file:
    assert file.read() == "tree/sub/b c.txt" * 1000
assert mlflow.artifacts.load_dict(f"runs:/{rid}/conf/x.json") == {"a": 1}
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

repository = get_artifact_repository(f"mlflow-artifacts:/{exp}/{rid}/artifacts")
assert [f.path for f in repository.list_artifacts("tree")] == ["tree/a.txt", "tree/sub"]
repository.delete_artifacts("tree")
assert [f.path for f in client.list_artifacts(rid)] == ["conf", "empty.txt", "single.bin"]

from mlflow.models import Model

store.record_logged_model(rid, Model(artifact_path="old", run_id=rid))
store.record_logged_model(rid, Model(artifact_path="new", run_id=rid))
models = json.loads(client.get_run(rid).data.tags["mlflow.log-model.history"])
assert [m["artifact_path"] for m in models] == ["old", "new"], models

# Logged models
model = client.create_logged_model(
    exp, name="net", source_run_id=rid, params={f"q{i}": str(i) for i in range(150)}, tags={"x": "1"}, model_type="onnx")
mid = model.model_id
assert str(model.status) == "PENDING" and model.params["q149"] == "149" and model.tags["x"] == "1", model
client.log_model_artifact(mid, f"{folder}/single.bin")
assert [f.path for f in client.list_logged_model_artifacts(mid)] == ["single.bin"]
client.log_metric(rid, "f1", 0.75, model_id=mid, dataset_name="scans", dataset_digest="abc")
client.set_logged_model_tags(mid, {"y": "2"})
client.delete_logged_model_tag(mid, "x")
client.log_outputs(rid, [LoggedModelOutput(mid, 3)])
client.log_inputs(rid, models=[LoggedModelInput(mid)])
client.finalize_logged_model(mid, "READY")
model = client.get_logged_model(mid)
assert str(model.status) == "READY" and dict(model.tags)["y"] == "2" and "x" not in model.tags
assert [(m.key, m.value, m.dataset_name) for m in model.metrics] == [("f1", 0.75, "scans")], model.metrics
assert client.get_run(rid).outputs.model_outputs[0].step == 3
assert client.get_run(rid).inputs.model_inputs[0].model_id == mid
assert [m.model_id for m in client.search_logged_models([exp], "name = 'net' AND metrics.f1 > 0.5")] == [mid]
assert client.search_logged_models([exp], "params.q1 = 'no'") == []

# Registry
made = client.create_registered_model("digits", tags={"owner": "me"}, description="numbers")
assert made.description == "numbers" and made.tags == {"owner": "me"}
refused("RESOURCE_ALREADY_EXISTS", lambda: client.create_registered_model("digits"))
refused("RESOURCE_DOES_NOT_EXIST", lambda: client.get_registered_model("nobody"))
v1 = client.create_model_version("digits", f"runs:/{rid}/single.bin", rid, tags={"q": "1"}, description="one")
v2 = client.create_model_version("digits", f"models:/{mid}", rid, model_id=mid)
assert (v1.version, v2.version, v1.status) == ("1", "2", "READY"), (v1, v2)
assert client.get_model_version_download_uri("digits", "1") == f"runs:/{rid}/single.bin"
client.set_registered_model_alias("digits", "champion", "1")
client.set_registered_model_alias("digits", "champion", "2")
assert client.get_model_version_by_alias("digits", "champion").version == "2"
assert client.get_model_version("digits", "2").aliases == ["champion"]
refused("INVALID_PARAMETER_VALUE", lambda: client.set_registered_model_alias("digits", "v1", "1"))
client.update_model_version("digits", "1", description="changed")
client.set_model_version_tag("digits", "1", "r", "2")
client.delete_model_version_tag("digits", "1", "q")
changed = client.get_model_version("digits", "1")
assert (changed.description, changed.tags) == ("changed", {"r": "2"}), changed
client.transition_model_version_stage("digits", "1", "Production")
client.transition_model_version_stage("digits", "2", "production", archive_existing_versions=True)
assert [v.current_stage for v in map(lambda n: client.get_model_version("digits", n), "12")] == ["Archived", "Production"]
assert [v.version for v in client.get_latest_versions("digits", ["Production"])] == ["2"]
assert [v.version for v in client.search_model_versions("name = 'digits'", order_by=["version_number DESC"])] == ["2", "1"]
assert [v.version for v in client.search_model_versions(f"run_id = '{rid}' AND tags.r = '2'")] == ["1"]
client.set_registered_model_tag("digits", "area", "vision")
client.delete_registered_model_tag("digits", "owner")
client.update_registered_model("digits", description="new words")
client.rename_registered_model("digits", "numbers")
renamed = client.get_registered_model("numbers")
assert (renamed.name, renamed.description, renamed.tags) == ("numbers", "new words", {"area": "vision"}), renamed
assert renamed.aliases == {"champion": "2"}, renamed.aliases
assert {v.version for v in renamed.latest_versions} == {"1", "2"}
assert [m.name for m in client.search_registered_models("name ILIKE 'NUM%' AND tags.area = 'vision'")] == ["numbers"]
prompt = mlflow.register_prompt("greet", "Hello {{name}}")
assert mlflow.load_prompt("prompts:/greet/1").format(name="you") == "Hello you"
assert [m.name for m in client.search_registered_models()] == ["numbers"]
assert [p.name for p in client.search_prompts()] == ["greet"]
client.delete_registered_model_alias("numbers", "champion")
refused("INVALID_PARAMETER_VALUE", lambda: client.get_model_version_by_alias("numbers", "champion"))
client.delete_model_version("numbers", "2")
refused("RESOURCE_DOES_NOT_EXIST", lambda: client.get_model_version("numbers", "2"))
assert client.create_model_version("numbers", "s3://bucket/x").version == "3"
client.delete_registered_model("numbers")
assert client.search_registered_models() == []

client.delete_logged_model(mid)
refused("RESOURCE_DOES_NOT_EXIST", lambda: client.get_logged_model(mid))

# The fluent way, as a training script writes it
mlflow.set_experiment("fluent")
with mlflow.start_run() as active:
    mlflow.log_params({"a": 1, "b": "two"})
    mlflow.log_metrics({"m": 1.5}, step=1)
    mlflow.set_tag("note", "\u00fcml\u00e4ut")
    mlflow.log_text("hello", "hello.txt")
read = client.get_run(active.info.run_id)
assert (read.info.status, read.data.params["b"], read.data.metrics["m"]) == ("FINISHED", "two", 1.5)
assert read.data.tags["note"] == "\u00fcml\u00e4ut"
# A dangerous model is registered, and says why it is of no use
danger = os.path.join(folder, "danger")
os.makedirs(danger)
with open(os.path.join(danger, "model.pkl"), "wb") as file:
    file.write(b"cposix\nsystem\n(S'echo athanor'\ntR.")
bad_run = client.create_run(exp)
client.log_artifacts(bad_run.info.run_id, danger, "model")
client.create_registered_model("danger")
source = f"{bad_run.info.artifact_uri}/model"
try:
    client.create_model_version("danger", source, bad_run.info.run_id)
    raise AssertionError("a failed registration was expected")
except MlflowException as error:
    assert "FAILED_REGISTRATION" in str(error) and "model.pkl: pickle-import: posix.system" in str(error), error
bad = client.get_model_version("danger", "1")
assert bad.status == "FAILED_REGISTRATION" and "posix.system" in bad.status_message, bad
refused("PERMISSION_DENIED", lambda: client.set_registered_model_alias("danger", "champion", "1"))
refused("PERMISSION_DENIED", lambda: client.get_model_version_download_uri("danger", "1"))

print("all good")
