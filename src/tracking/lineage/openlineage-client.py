"""Sends events with OpenLineage's own client; argument: the tracking server's address."""

import sys
from datetime import datetime, timezone

from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import dataset_version_dataset
from openlineage.client.transport.http import HttpConfig, HttpTransport

client = OpenLineageClient(transport=HttpTransport(HttpConfig(url=sys.argv[1])))
RUNS = {
    "clean": "00000000-0000-4000-8000-00000000000a",
    "train": "00000000-0000-4000-8000-00000000000b",
    "serve": "00000000-0000-4000-8000-00000000000c",
}


def version(text):
    return {"version": dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion=text)}


def emit(job, inputs, outputs):
    for state in (RunState.START, RunState.COMPLETE):
        client.emit(
            RunEvent(
                eventType=state,
                eventTime=datetime.now(timezone.utc).isoformat(),
                run=Run(runId=RUNS[job]),
                job=Job(namespace="jobs", name=job),
                producer="https://example.org/test",
                inputs=[InputDataset(namespace="s3://lake", name=name, facets=version(v)) for name, v in inputs],
                outputs=[OutputDataset(namespace="s3://lake", name=name, facets=version(v)) for name, v in outputs],
            )
        )


emit("clean", [("raw", "1")], [("clean", "1")])
emit("train", [("clean", "1"), ("labels", "7")], [("model", "1")])
emit("serve", [("model", "1")], [("service", "1")])
client.close()
print("all good")
