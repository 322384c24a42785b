"""Large artifacts by the unmodified MLflow client, in parts. Usage: <url> <folder> <direct|proxied>."""
import hashlib
import os
import pathlib
import sys

url, folder, kind = sys.argv[1:4]
os.environ["MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE"] = str(1 << 20)
os.environ["MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE"] = str(5 << 20)
os.environ["MLFLOW_MULTIPART_DOWNLOAD_CHUNK_SIZE"] = str(4 << 20)
if len(sys.argv) > 4:
    os.environ["MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD"] = sys.argv[4]
import mlflow
import requests
from mlflow import MlflowClient

mlflow.set_tracking_uri(url)
client = MlflowClient(url)
run = client.create_run("0").info
parts = []
real_put = requests.put


def counting_put(to, **options):
    parts.append(to)
    return real_put(to, **options)


requests.put = counting_put
data = os.urandom((12 << 20) + 3)
large = pathlib.Path(folder, "large ü.bin")
large.write_bytes(data)
empty = pathlib.Path(folder, "empty.bin")
empty.write_bytes(b"")
client.log_artifact(run.run_id, str(large), "models/deep")
client.log_artifact(run.run_id, str(large))
client.log_artifact(run.run_id, str(empty))
assert len(parts) == 6, parts
here = [part for part in parts if part.startswith(url)]
assert len(here) == (0 if kind == "direct" else 6), parts
listed = {file.path: file.file_size for file in client.list_artifacts(run.run_id)}
assert listed == {"models": None, large.name: len(data), "empty.bin": 0}, listed
out = pathlib.Path(folder, "out")
out.mkdir()
client.download_artifacts(run.run_id, "", str(out))
for path in (out / large.name, out / "models" / "deep" / large.name):
    assert hashlib.sha256(path.read_bytes()).hexdigest() == hashlib.sha256(data).hexdigest(), path
assert (out / "empty.bin").read_bytes() == b""

# A part that does not arrive: the client gives the upload up, and nothing is there.
def failing_put(to, **options):
    if to.endswith("/2") or "partNumber=2&" in to:
        raise OSError("the cable is out")
    return real_put(to, **options)


requests.put = failing_put
try:
    client.log_artifact(run.run_id, str(large), "broken")
    raise SystemExit("a broken upload succeeded")
except Exception as error:
    assert "cable" in str(error) or "upload" in str(error), error
assert client.list_artifacts(run.run_id, "broken") == []
print("all good")
