"""Sends the held-out digits through the gateway with Triton's own client, in the Open Inference Protocol."""

import argparse
import json
import time

import numpy as np
import tritonclient.http as triton

parser = argparse.ArgumentParser()
parser.add_argument("--gateway", required=True, help="host:port")
parser.add_argument("--service", default="default/digits", help="namespace/name")
parser.add_argument("--data", required=True, help="held_out.npz")
arguments = parser.parse_args()
namespace, name = arguments.service.split("/")

with np.load(arguments.data) as data:
    images, labels = data["images"], data["labels"]

client = triton.InferenceServerClient(f"{arguments.gateway}/{namespace}/{name}")
metadata = client.get_model_metadata(name)
label_output = next(output["name"] for output in metadata["outputs"] if output["datatype"] == "INT64")


def ask(batch):
    """Labels of a batch of images [n, 64]."""
    tensor = triton.InferInput(metadata["inputs"][0]["name"], list(batch.shape), "FP32")
    tensor.set_data_from_numpy(batch, binary_data=False)
    wanted = [triton.InferRequestedOutput(label_output, binary_data=False)]
    return client.infer(name, [tensor], outputs=wanted).as_numpy(label_output)


started = time.perf_counter()
answers = np.concatenate([ask(images[index : index + 1]) for index in range(len(images))])
seconds = time.perf_counter() - started
accuracy = float((answers.ravel() == labels).mean())
print(json.dumps({"accuracy": accuracy, "requests": len(images), "requestsPerSecond": round(len(images) / seconds, 1)}))
