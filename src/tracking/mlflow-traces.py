"""Traces an application with MLflow's own client and reads everything back; argument: the tracking server's address."""

import sys

import mlflow
from mlflow.entities import AssessmentSource, Feedback, SpanType

mlflow.set_tracking_uri(sys.argv[1])
mlflow.set_experiment("traces")


@mlflow.trace(span_type=SpanType.CHAIN)
def outer(question):
    mlflow.update_current_trace(tags={"team": "red"}, client_request_id="request-1")
    return inner(question) + "!"


@mlflow.trace(name="in", attributes={"k": 1})
def inner(question):
    return question.upper()


@mlflow.trace
def fails():
    raise ValueError("no")


with mlflow.start_run() as run:
    assert outer("größe") == "GRÖSSE!"
try:
    fails()
except ValueError:
    pass
mlflow.flush_trace_async_logging()


def search(text=None):
    return mlflow.search_traces(filter_string=text, return_type="list")


failed, good = sorted(search(), key=lambda trace: trace.info.state.value)
assert (failed.info.state.value, len(failed.data.spans)) == ("ERROR", 1)
assert failed.data.spans[0].events[0].name == "exception"
assert (good.info.state.value, len(good.data.spans), good.info.client_request_id) == ("OK", 2, "request-1")
first, second = good.data.spans
assert (first.name, first.inputs, first.outputs) == ("outer", {"question": "größe"}, "GRÖSSE!")
assert (second.name, second.parent_id, second.attributes["k"]) == ("in", first.span_id, 1)

trace_id = good.info.trace_id
source = AssessmentSource("HUMAN", "bob")
said = mlflow.log_feedback(trace_id=trace_id, name="good", value=True, rationale="because", source=source)
mlflow.log_feedback(trace_id=trace_id, name="score", value=0.75)
mlflow.log_expectation(trace_id=trace_id, name="want", value={"x": [1, 2]})
mlflow.set_trace_tag(trace_id, "kept", "1")
mlflow.set_trace_tag(trace_id, "gone", "1")
mlflow.delete_trace_tag(trace_id, "gone")
mlflow.update_assessment(trace_id, said.assessment_id, Feedback(name="good", value=False, rationale="changed"))
read = mlflow.get_trace(trace_id)
by_name = {assessment.name: assessment for assessment in read.info.assessments}
assert (by_name["good"].value, by_name["good"].rationale) == (False, "changed")
assert (by_name["score"].value, by_name["want"].value) == (0.75, {"x": [1, 2]})
assert "kept" in read.info.tags and "gone" not in read.info.tags
mlflow.override_feedback(trace_id=trace_id, assessment_id=said.assessment_id, value=True)
now = [(a.value, a.valid) for a in mlflow.get_trace(trace_id).info.assessments if a.name == "good"]
assert sorted(now, key=str) == [(False, False), (True, True)], now

for text, count in {
    "tags.team = 'red'": 1,
    "status = 'ERROR'": 1,
    "trace.status = 'OK'": 1,
    "name = 'outer'": 1,
    "feedback.good = 'true'": 1,
    "feedback.good = 'false'": 0,
    "feedback.score > 0.5": 1,
    "span.name = 'in'": 1,
    "span.type = 'CHAIN' AND tags.team = 'red'": 1,
    "span.content LIKE '%GRÖSSE%'": 1,
    f"run_id = '{run.info.run_id}'": 1,
    "timestamp_ms > 0": 2,
}.items():
    assert len(search(text)) == count, (text, len(search(text)))

mlflow.MlflowClient().delete_traces(experiment_id=good.info.experiment_id, trace_ids=[trace_id])
assert [trace.info.trace_id for trace in search()] == [failed.info.trace_id]
print("all good")
