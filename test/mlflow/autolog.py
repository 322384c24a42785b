"""Trains with real frameworks and logs by MLflow's autologging alone; arguments: the tracking server's address, a framework."""

import sys

import mlflow
import numpy as np
from mlflow import MlflowClient
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

mlflow.set_tracking_uri(sys.argv[1])
framework = sys.argv[2]
mlflow.set_experiment(f"autolog-{framework}")
images, labels = load_digits(return_X_y=True)
train_images, test_images, train_labels, test_labels = train_test_split(images, labels, random_state=0)


def sklearn():
    from sklearn.ensemble import RandomForestClassifier

    mlflow.sklearn.autolog()
    RandomForestClassifier(n_estimators=10, random_state=0).fit(train_images, train_labels)
    return {"params": {"n_estimators": "10"}, "metrics": {"training_accuracy_score"}}


def sklearn_search():
    from sklearn.model_selection import GridSearchCV
    from sklearn.tree import DecisionTreeClassifier

    mlflow.sklearn.autolog(max_tuning_runs=3)
    GridSearchCV(DecisionTreeClassifier(random_state=0), {"max_depth": [2, 4, 8]}, cv=2).fit(train_images, train_labels)
    return {"params": {"best_max_depth": "8"}, "metrics": {"best_cv_score"}, "children": 3, "models": 2}


def xgboost():
    import xgboost as xgb

    mlflow.xgboost.autolog()
    train, test = xgb.DMatrix(train_images, train_labels), xgb.DMatrix(test_images, test_labels)
    params = {"objective": "multi:softprob", "num_class": 10, "max_depth": 3, "eval_metric": "mlogloss"}
    xgb.train(params, train, num_boost_round=5, evals=[(test, "test")])
    return {"params": {"max_depth": "3", "num_boost_round": "5"}, "metrics": {"test-mlogloss"}, "steps": 5}


def lightgbm():
    import lightgbm as lgb

    mlflow.lightgbm.autolog()
    train = lgb.Dataset(train_images, train_labels)
    test = lgb.Dataset(test_images, test_labels, reference=train)
    params = {"objective": "multiclass", "num_class": 10, "num_leaves": 7, "verbose": -1}
    lgb.train(params, train, num_boost_round=5, valid_sets=[test], valid_names=["test"])
    return {"params": {"num_leaves": "7"}, "metrics": {"test-multi_logloss"}, "steps": 5}


want = {"sklearn": sklearn, "sklearn-search": sklearn_search, "xgboost": xgboost, "lightgbm": lightgbm}[framework]()
mlflow.flush_async_logging()

client = MlflowClient()
experiment = client.get_experiment_by_name(f"autolog-{framework}")
runs = client.search_runs([experiment.experiment_id])
parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
[run] = parents
assert len(runs) - 1 == want.get("children", 0), len(runs)
assert run.info.status == "FINISHED", run.info.status
for key, value in want["params"].items():
    assert run.data.params[key] == value, (key, run.data.params)
assert want["metrics"] <= set(run.data.metrics), run.data.metrics
for key in want["metrics"]:
    history = client.get_metric_history(run.info.run_id, key)
    assert len(history) == want.get("steps", 1), (key, len(history))
assert run.inputs.dataset_inputs, "no data set was logged"
models = client.search_logged_models([experiment.experiment_id], filter_string=f"source_run_id = '{run.info.run_id}'")
assert len(models) == want.get("models", 1), models
model = models[0]
assert model.status.value == "READY", model.status

version = mlflow.register_model(model.model_uri, f"autolog-{framework}")
loaded = mlflow.pyfunc.load_model(f"models:/{version.name}/{version.version}")
predicted = np.asarray(loaded.predict(test_images[:5]))
assert len(predicted) == 5
print("all good")
