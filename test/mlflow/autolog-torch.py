"""Trains with PyTorch Lightning or with transformers' Trainer, which log themselves; arguments: the server, a framework."""

import sys

import mlflow
import torch
from mlflow import MlflowClient, MlflowException
from sklearn.datasets import load_digits

mlflow.set_tracking_uri(sys.argv[1])
framework = sys.argv[2]
mlflow.set_experiment(f"autolog-{framework}")
torch.manual_seed(0)


def pytorch():
    import pytorch_lightning as lightning

    images, labels = (torch.from_numpy(array) for array in load_digits(return_X_y=True))
    data = torch.utils.data.TensorDataset(images.float() / 16, labels)

    class Classifier(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(64, 10)

        def forward(self, images):
            return self.layer(images)

        def training_step(self, batch, index):
            loss = torch.nn.functional.cross_entropy(self(batch[0]), batch[1])
            self.log("loss", loss, on_epoch=True, on_step=False)
            return loss

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=0.01)

    mlflow.pytorch.autolog()
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = lightning.Trainer(max_epochs=3, accelerator="cpu", **quiet)
    trainer.fit(Classifier(), torch.utils.data.DataLoader(data, batch_size=256))
    return {"params": {"epochs": "3", "optimizer_name": "Adam"}, "steps": {"loss": [0, 1, 2]}, "model": "model"}


def transformers():
    from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    model = BertForSequenceClassification(BertConfig(vocab_size=50, num_labels=2, **shape))
    rows = [{"input_ids": [i % 50, 1, 2], "attention_mask": [1, 1, 1], "labels": i % 2} for i in range(32)]
    often = {"max_steps": 4, "logging_steps": 1, "save_strategy": "no"}
    Trainer(
        model=model,
        args=TrainingArguments(output_dir="out", report_to=["mlflow"], use_cpu=True, disable_tqdm=True, **often),
        train_dataset=rows,
    ).train()
    mlflow.end_run()
    return {"params": {"max_steps": "4", "hidden_size": "16"}, "steps": {"loss": [1, 2, 3, 4]}}


want = {"pytorch": pytorch, "transformers": transformers}[framework]()

client = MlflowClient()
experiment = client.get_experiment_by_name(f"autolog-{framework}")
[found] = client.search_runs([experiment.experiment_id])
assert found.info.status == "FINISHED", found.info.status
for key, value in want["params"].items():
    assert found.data.params[key] == value, (key, found.data.params)
for key, steps in want["steps"].items():
    history = client.get_metric_history(found.info.run_id, key)
    assert [metric.step for metric in history] == steps, history
    assert all(metric.value == metric.value for metric in history), history
if "model" in want:
    model = mlflow.pytorch.load_model(f"runs:/{found.info.run_id}/{want['model']}")
    assert model(torch.zeros(1, 64)).shape == (1, 10)
    # Its class is the script's own, pickled as code: it may be kept in the run, yet no version may serve it unseen.
    try:
        mlflow.register_model(f"runs:/{found.info.run_id}/{want['model']}", f"autolog-{framework}")
        raise AssertionError("a pickle with code of its own was let through")
    except MlflowException as error:
        assert "pickle-import: cloudpickle" in str(error), error
print("all good")
