"""Writes event files by the real tensorboard package, or reads one. Usage: write <folder> | read <folder>."""
import json
import os
import sys

verb, folder = sys.argv[1:3]
if verb == "write":
    import numpy as np
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.scalar.summary_v2 import scalar_pb
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    for name in ("train", "eval/deep"):
        writer = EventFileWriter(os.path.join(folder, name))
        for step in range(1000):
            value = Summary.Value(tag="loss (new)", simple_value=1 / (step + 1))
            writer.add_event(Event(wall_time=1700000000 + step, step=step, summary=Summary(value=[value])))
            writer.add_event(Event(wall_time=1700000000.5 + step, step=step, summary=scalar_pb("acc/top1", step / 1000)))
        text = Summary.Value(tag="a histogram", histo=None)
        writer.add_event(Event(wall_time=1700009999, step=1, summary=Summary(value=[text])))
        writer.close()
else:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(folder, size_guidance={"scalars": 0})
    events.Reload()
    print(json.dumps({
        tag: [[event.step, round(event.wall_time * 1000), repr(event.value)] for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }))
