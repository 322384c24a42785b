"""Reads exported tables by pyarrow, Python's csv or json, and prints them as JSON. Usage: <folder> <format>."""
import csv
import json
import pathlib
import sys

folder, kind = sys.argv[1:3]
tables = {}
for path in sorted(pathlib.Path(folder).iterdir()):
    if kind == "parquet":
        import pyarrow.parquet as parquet

        table = parquet.read_table(path)
        tables[path.stem] = {"schema": {f.name: str(f.type) for f in table.schema}, "rows": table.to_pylist()}
    elif kind == "csv":
        with open(path, newline="") as file:
            tables[path.stem] = {"rows": list(csv.DictReader(file))}
    else:
        tables[path.stem] = {"rows": json.loads(path.read_text())}
print(json.dumps(tables, default=lambda value: value.isoformat()))
