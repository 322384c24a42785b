"""Writes real model files, dangerous and harmless, into two folders. Runs none of them; every payload is `echo`.

Libraries write what they can write. PyTorch's files are written by pickle and zipfile under the names of its own modules,
since PyTorch itself is half a gigabyte; TensorFlow's and Keras' by hand for the same reason.
"""
import bz2
import gzip
import io
import json
import os
import pickle
import random
import struct
import sys
import tarfile
import types
import zipfile
import zlib

ROOT = sys.argv[1]
COMMAND = "echo athanor"


def write(kind, name, content):
    place = os.path.join(ROOT, kind, name)
    os.makedirs(os.path.dirname(place), exist_ok=True)
    with open(place, "wb") as file:
        file.write(content)


def bad(name, content):
    write("malicious", name, content)


def good(name, content):
    write("benign", name, content)


class Call:
    """Pickles as a call of `callee`."""

    def __init__(self, callee, *args, state=None):
        self.answer = (callee, args) if state is None else (callee, args, state)

    def __reduce__(self):
        return self.answer


def named(module, name):
    """A thing that pickles as an import of this name."""
    if module not in sys.modules:
        sys.modules[module] = types.ModuleType(module)
    made = type(name, (), {"__module__": module, "__qualname__": name})
    setattr(sys.modules[module], name, made)
    return made


def text4(text):
    return b"\x8c" + bytes([len(text)]) + text.encode()


def stack_global(module, name):
    return text4(module) + text4(name) + b"\x93"


def call4(module, name, argument=COMMAND):
    return b"\x80\x04" + stack_global(module, name) + text4(argument) + b"\x85R."


def call0(module, name, argument=COMMAND):
    return f"c{module}\n{name}\n(S'{argument}'\ntR.".encode()


def dangerous_pickles():
    for protocol in range(6):
        bad(f"system-protocol-{protocol}.pkl", pickle.dumps(Call(os.system, COMMAND), protocol))
    # Imports that block lists knew late or not at all: picklescan's advisories name most of these.
    for module, name in [
        ("subprocess", "Popen"), ("builtins", "eval"), ("builtins", "exec"), ("builtins", "getattr"), ("nt", "system"),
        ("posix", "system"), ("runpy", "_run_code"), ("webbrowser", "open"), ("pty", "spawn"), ("shutil", "rmtree"),
        ("socket", "create_connection"), ("requests.api", "get"), ("importlib", "import_module"), ("timeit", "timeit"),
        ("pydoc", "pipepager"), ("bdb", "Bdb"), ("code", "InteractiveInterpreter"), ("cProfile", "run"),
        ("doctest", "debug_script"), ("ensurepip", "_run_pip"), ("idlelib.autocomplete", "AutoComplete"),
        ("lib2to3.pgen2.pgen", "ParserGenerator.make_label"), ("numpy.testing._private.utils", "runstring"),
        ("numpy.f2py.crackfortran", "getlincoef"), ("torch.utils.bottleneck.__main__", "run_cprofile"),
        ("torch.serialization", "load"), ("torch.jit.unsupported_tensor_ops", "execWrapper"),
        ("joblib.numpy_pickle", "load"), ("pandas.io.pickle", "read_pickle"), ("sklearn.datasets._base", "load_files"),
        ("numpy", "load"), ("_pickle", "loads"), ("pickle", "loads"), ("marshal", "loads"), ("types", "FunctionType"),
        ("cloudpickle.cloudpickle", "_make_function"), ("functools", "partial"), ("operator", "methodcaller"),
        ("operator", "attrgetter"), ("ctypes", "CDLL"), ("logging", "FileHandler"), ("io", "FileIO"), ("_io", "FileIO"),
        ("uuid", "_get_command_stdout"), ("_aix_support", "_read_cmd_output"), ("_osx_support", "_read_output"),
        ("imaplib", "IMAP4_stream"), ("_pyrepl.pager", "pipe_pager"), ("asyncio.unix_events", "_UnixSubprocessTransport"),
        ("distutils.file_util", "write_file"), ("linecache", "getline"), ("smtplib", "SMTP"), ("antigravity", "geohash"),
    ]:
        bad(f"import-{module}.{name}.pkl", call4(module, name))
    bad("dotted-name.pkl", call4("collections", "OrderedDict.fromkeys.__globals__"))
    bad("dotted-allowed-module.pkl", call4("numpy", "testing.suppress_warnings"))
    bad("old-global.dat", call0("os", "system"))
    bad("looks-like-a-text.txt", call0("os", "system"))
    bad("config.json", call0("posix", "system"))
    bad("model.safetensors", pickle.dumps(Call(os.system, COMMAND), 4))
    bad("model.onnx", pickle.dumps(Call(os.system, COMMAND), 2))
    bad("inst.pkl", b"(S'echo athanor'\nios\nsystem\n.")
    bad("obj.pkl", b"(cos\nsystem\nS'echo athanor'\no.")
    bad("newobj.pkl", b"\x80\x02csubprocess\nPopen\nU\x04echo\x85\x81.")
    bad("newobj-ex.pkl", b"\x80\x04" + stack_global("subprocess", "Popen") + text4("echo") + b"\x85}\x92.")
    bad("build-setstate.pkl", pickle.dumps(Call(bytearray, 4), 4)[:-1] + b"0" + call4("os", "system")[2:])
    # Names that come out of the memo, in the wrong order, through DUP and POP.
    bad("memo-names.pkl", b"\x80\x04" + text4("system") + b"\x94" + text4("os") + b"\x940" + b"0h\x01h\x00\x93" + text4(COMMAND) + b"\x85R.")
    bad("dup-pop.pkl", b"\x80\x04" + text4("os") + b"2" + b"0" + text4("system") + b"\x93" + text4(COMMAND) + b"\x85R.")
    bad("get-long-put.pkl", b"\x80\x02cos\nsystem\nr\xff\xff\x00\x000j\xff\xff\x00\x00U\x04echo\x85R.")
    # Names that are computed.
    bad("computed-name.pkl", b"\x80\x04" + text4("os") + b"\x8c\x00\x94\x8c\x06system\x94\x86R0" + call4("os", "system")[2:])
    bad("computed-by-str.pkl", b"\x80\x04" + stack_global("builtins", "str") + text4("os") + b"\x85R" + text4("system") + b"\x93" + text4(COMMAND) + b"\x85R.")
    bad("escaped-unicode-name.pkl", b"\x80\x04V\\u006f\\u0073\nV\\u0073ystem\n\x93" + text4(COMMAND) + b"\x85R.")
    bad("escaped-string-name.pkl", b"\x80\x04S'\\x6fs'\nS'system'\n\x93" + text4(COMMAND) + b"\x85R.")
    bad("long-name.pkl", b"\x80\x04X" + struct.pack("<I", 600) + b"o" * 600 + text4("system") + b"\x93" + text4(COMMAND) + b"\x85R.")
    # A thing called that was computed, and an import that is changed.
    bad("computed-callee.pkl", b"\x80\x04" + stack_global("collections", "defaultdict") + b")R" + text4(COMMAND) + b"\x85R.")
    bad("changed-import.pkl", b"\x80\x04" + stack_global("collections", "OrderedDict") + b"}" + text4("__reduce__") + b"Nsb.")
    bad("changed-import-slots.pkl", b"\x80\x04" + stack_global("numpy", "dtype") + b"N}" + text4("x") + b"Ns\x86b.")
    bad("extension-1.pkl", b"\x80\x02\x82\x01.")
    bad("extension-2.pkl", b"\x80\x02\x83\x01\x01.")
    bad("extension-4.pkl", b"\x80\x02\x84\x01\x01\x00\x00.")
    bad("persistent-id.pkl", b"Prun something\n.")
    bad("persistent-tuple.pkl", b"\x80\x02X\x06\x00\x00\x00moduleU\x03abc\x86Q.")
    # Streams that break, after they have run.
    whole = pickle.dumps(Call(os.system, COMMAND), 4)
    bad("without-stop.pkl", whole[:-1])
    bad("broken-later.pkl", whole[:-1] + b"0\xff\xff")
    bad("broken-frame.pkl", b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f" + whole[2:])
    bad("cut-string.pkl", whole[:-1] + b"0X\xff\xff\xff\x7fabc")
    bad("no-protocol.weights", whole[11:] if whole[2:3] == b"\x95" else whole[2:])
    bad("broken-without-import.pkl", b"\x80\x04}\xff")
    bad("harmless-then-broken.joblib", b"\x80\x04K\x01")
    bad("unknown-protocol.pkl", b"\x80\x09N.")
    bad("out-of-band.pkl", b"\x80\x05\x97.")
    # Something behind the end.
    bad("second-pickle.pkl", pickle.dumps([1, 2]) + whole)
    bad("trailing-bytes.pkl", pickle.dumps([1, 2]) + b"\x00\x01 more")
    bad("hidden-in-weights.bin", whole + random.Random(1).randbytes(10_000))
    bad("torch-magic-then-more.pt", pickle.dumps(0x1950A86A20F9469CFC6C, 2) + whole)
    bad("wrong-quotes.pkl", b"cos\nsystem\n(Secho\ntR.")
    bad("carriage-return.pkl", call0("os\r", "system"))
    bad("unicode-name.pkl", "cоs\nsystem\n(S'echo'\ntR.".encode())
    bad("invalid-utf8-name.pkl", b"co\xff\xfes\nsystem\n(S'echo'\ntR.")


def torch_tensor_pickle(torch, items=4):
    """What torch.save writes for {'weight': tensor}: a persistent id for the storage and a call to build the tensor."""

    class Storage:
        pass

    class Tensor:
        def __init__(self, key):
            self.storage = Storage()
            self.storage.key = key

        def __reduce__(self):
            return torch.rebuild, (self.storage, 0, (items,), (1,), False, Call(torch.ordered))

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            if isinstance(value, Storage):
                return ("storage", torch.float_storage, value.key, "cpu", items)
            return None

    out = io.BytesIO()
    Pickler(out, 2).dump({"weight": Tensor("0"), "bias": Tensor("1")})
    return out.getvalue()


class Torch:
    def __init__(self):
        import collections

        self.rebuild = named("torch._utils", "_rebuild_tensor_v2")
        self.float_storage = named("torch", "FloatStorage")
        self.ordered = collections.OrderedDict


def torch_zip(data, more=(), root="archive"):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(f"{root}/data.pkl", data)
        archive.writestr(f"{root}/byteorder", "little")
        for key in ("0", "1"):
            archive.writestr(f"{root}/data/{key}", struct.pack("<4f", 1, 2, 3, 4))
        archive.writestr(f"{root}/version", "3\n")
        for name, content in more:
            archive.writestr(name, content)
    return out.getvalue()


def torch_legacy(data, tail=None):
    sizes = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    head = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickle.dumps(sizes, 2)
    storage = struct.pack("<q", 4) + struct.pack("<4f", 1, 2, 3, 4)
    return head + data + pickle.dumps(["0", "1"], 2) + (storage * 2 if tail is None else tail)


def torch_files():
    torch = Torch()
    data = torch_tensor_pickle(torch)
    evil = pickle.dumps(Call(os.system, COMMAND), 2)
    good("torch.pt", torch_zip(data))
    good("torch-other-root.pth", torch_zip(data, root="model"))
    good("torch-legacy.bin", torch_legacy(data))
    bad("torch.pt", torch_zip(evil))
    bad("torch-legacy.bin", torch_legacy(evil))
    bad("torch-legacy-tail.bin", torch_legacy(data, tail=evil))
    bad("torch-storage-is-a-pickle.pt", torch_zip(data, [("archive/data/2", evil)]))
    bad("torch-constants.pt", torch_zip(data, [("archive/constants.pkl", evil)]))
    bad("torch-second-root.pt", torch_zip(data, [("other/data.pkl", evil)]))
    bad("torch-own-class.pt", torch_zip(pickle.dumps(Call(named("my_model", "Net")), 2)))
    tampered_zips(torch_zip(evil), torch_zip(data))
    bad("polyglot-zip-behind-pickle.bin", pickle.dumps([1]) + torch_zip(evil))
    bad("polyglot-zip-behind-gguf.gguf", gguf([]) + torch_zip(evil))


def tampered_zips(evil, plain):
    """picklescan's bypasses: flags and checksums that PyTorch ignores, headers that disagree, entries no list names."""
    at = evil.index(b"PK\x01\x02")
    for flag in (0x1, 0x20, 0x40):
        for where in ("local", "both"):
            changed = bytearray(evil)
            changed[6] |= flag
            if where == "both":
                changed[at + 8] |= flag
            bad(f"zip-flag-{flag:x}-{where}.pt", bytes(changed))
    changed = bytearray(plain)
    changed[14] ^= 0xFF
    bad("zip-crc-local.pt", bytes(changed))
    changed = bytearray(plain)
    changed[plain.index(b"PK\x01\x02") + 16] ^= 0xFF
    changed[14] = changed[plain.index(b"PK\x01\x02") + 16]
    bad("zip-crc-both.pt", bytes(changed))
    changed = bytearray(plain)
    changed[30:45] = b"archive/evil.pk"
    bad("zip-other-local-name.pt", bytes(changed))
    hidden = io.BytesIO()
    with zipfile.ZipFile(hidden, "w") as archive:
        archive.writestr("archive/hidden.pkl", b"x" * 100)
    bad("zip-bytes-in-front.pt", hidden.getvalue()[:130] + plain)
    bad("zip-end-twice.pt", plain + plain[plain.index(b"PK\x05\x06"):])
    bad("zip-more-behind.pt", plain + b"#!/bin/sh\n")
    changed = bytearray(plain)
    end = plain.index(b"PK\x05\x06")
    changed[end + 8:end + 12] = struct.pack("<HH", 1, 1)
    bad("zip-wrong-count.pt", bytes(changed))


def zip_of(entries, method=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return out.getvalue()


def tar_of(entries, mode="w"):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:
        for name, content, kind in entries:
            member = tarfile.TarInfo(name)
            member.type = kind
            member.size = len(content) if kind == tarfile.REGTYPE else 0
            member.linkname = "/etc/passwd" if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def archives():
    evil = pickle.dumps(Call(os.system, COMMAND), 4)
    file = tarfile.REGTYPE
    bad("pickle-in.zip", zip_of([("weights.bin", evil)]))
    bad("pickle-in-zip-in.zip", zip_of([("inner.zip", zip_of([("x", evil)]))]))
    bad("pickle-in.tar", tar_of([("x", evil, file)]))
    bad("pickle-in.tar.gz", tar_of([("x", evil, file)], "w:gz"))
    bad("pickle.pkl.gz", gzip.compress(evil))
    bad("pickle.z", zlib.compress(evil))
    bad("pickle.bz2", bz2.compress(evil))
    bad("pickle.7z", b"7z\xbc\xaf\x27\x1c\x00\x04" + evil)
    bad("path.zip", zip_of([("../../etc/cron.d/x", b"x")]))
    bad("absolute.zip", zip_of([("/etc/cron.d/x", b"x")]))
    bad("windows.zip", zip_of([("..\\..\\x", b"x")]))
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    bad("link.zip", zip_of([(link, "/etc/passwd")]))
    bad("path.tar", tar_of([("../x", b"x", file)]))
    bad("absolute.tar", tar_of([("/x", b"x", file)]))
    bad("link.tar", tar_of([("x", b"", tarfile.SYMTYPE)]))
    bad("hard-link.tar", tar_of([("x", b"", tarfile.LNKTYPE)]))
    bad("device.tar", tar_of([("x", b"", tarfile.CHRTYPE)]))
    bad("long-path.tar", tar_of([("a/" * 80 + "../" * 100 + "x", b"x", file)]))
    bad("bomb.zip", zip_of([("zeros", b"\0" * (80 * 1024 * 1024))]))
    bad("bomb.gz", gzip.compress(b"\0" * (80 * 1024 * 1024)))
    nested = zip_of([("x", b"x")])
    for _ in range(6):
        nested = zip_of([("x.zip", nested)])
    bad("nested.zip", nested)
    bad("tar-that-is-a-pickle.tar", tar_of([("cos\nsystem\n(S'echo'\ntR.", b"x", file)]))
    bad("cut.zip", zip_of([("a", b"x" * 1000)], zipfile.ZIP_STORED)[:600] + b"PK\x05\x06")
    good("plain.zip", zip_of([("a/config.json", b"{}"), ("a/notes.txt", b"hello")]))
    good("plain.tar.gz", tar_of([("a/config.json", b"{}", file)], "w:gz"))


def keras_zip(config):
    return zip_of([("metadata.json", b"{}"), ("config.json", json.dumps(config)), ("model.weights.h5", b"\x89HDF\r\n\x1a\n")])


def keras_files():
    import h5py

    def layer(class_name, module="keras.layers", config=None, **more):
        return {"class_name": class_name, "module": module, "config": config or {}, "registered_name": None, **more}

    def model(*layers):
        return layer("Functional", "keras.src.models.functional", {"layers": list(layers)})

    dense = layer("Dense", config={"units": 3, "activation": "relu"})
    lambda_layer = layer("Lambda", config={"function": {"class_name": "__lambda__", "config": {"code": "4wEAAA=="}}})
    good("dense.keras", keras_zip(model(dense)))
    bad("lambda.keras", keras_zip(model(dense, lambda_layer)))
    bad("function-of-os.keras", keras_zip(model(layer("function", "os", "system"))))
    bad("get-file.keras", keras_zip(model(layer("function", "keras.utils", "get_file"))))
    bad("own-class.keras", keras_zip(model(layer("Evil", "evil", registered_name="pkg>Evil"))))
    bad("torch-module.keras", keras_zip(model(layer("TorchModuleWrapper", "keras.src.utils.torch_utils"))))
    bad("vocabulary.keras", keras_zip(model(layer("StringLookup", config={"vocabulary": "/etc/passwd"}))))
    for kind, name, config in [
        ("benign", "dense.h5", model(dense)), ("malicious", "lambda.h5", model(lambda_layer)),
        ("malicious", "vocabulary.h5", model(layer("StringLookup", config={"vocabulary": "/etc/passwd"}))),
    ]:
        out = io.BytesIO()
        with h5py.File(out, "w") as file:
            file.attrs["model_config"] = json.dumps(config)
            file.create_dataset("weights", data=list(range(100)))
        write(kind, name, out.getvalue())
    escaped = json.dumps(model(lambda_layer)).replace("class_name", "\\u0063lass_name")
    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        file.attrs["model_config"] = escaped
    bad("escaped.h5", out.getvalue())


def varint(number):
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def field(number, content):
    if isinstance(content, int):
        return varint(number * 8) + varint(content)
    return varint(number * 8 + 2) + varint(len(content)) + content


def saved_model(operation, in_function=False):
    node = field(1, b"n") + field(2, operation)
    graph = field(2, field(1, field(3, node))) if in_function else field(1, node)
    return field(1, 1) + field(2, field(2, graph))


def graphs():
    import numpy
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    good("saved_model/saved_model.pb", saved_model(b"MatMul"))
    for operation in (b"ReadFile", b"WriteFile", b"PyFunc", b"EagerPyFunc", b"ImmutableConst"):
        bad(f"{operation.decode()}/saved_model.pb", saved_model(operation))
    bad("in-function/saved_model.pb", saved_model(b"PyFunc", in_function=True))
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])
    weights = numpy_helper.from_array(numpy.ones(2, numpy.float32), "w")

    def onnx_of(tensor, nodes=None):
        nodes = nodes or [helper.make_node("Add", ["x", "w"], ["y"])]
        graph = helper.make_graph(nodes, "g", [value], [output], [tensor])
        return helper.make_model(graph, producer_name="athanor").SerializeToString()

    def external(location):
        tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2], data_location=TensorProto.EXTERNAL)
        tensor.external_data.add(key="location", value=location)
        return tensor

    good("model.onnx", onnx_of(weights))
    good("external.onnx", onnx_of(external("weights.bin")))
    for name, location in [("up", "../../secret"), ("absolute", "/etc/passwd"), ("windows", "C:\\x")]:
        bad(f"external-{name}.onnx", onnx_of(external(location)))
    constant = helper.make_node("Constant", [], ["w2"], value=external("../secret"))
    bad("external-in-node.onnx", onnx_of(weights, [constant, helper.make_node("Add", ["x", "w2"], ["y"])]))
    branch = helper.make_graph([constant], "b", [], [helper.make_tensor_value_info("w2", TensorProto.FLOAT, [2])])
    choose = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    bad("external-in-subgraph.onnx", onnx_of(weights, [choose]))
    bad("external-without-ending", onnx_of(external("../secret")))


def gguf_text(text):
    return struct.pack("<Q", len(text)) + text.encode()


def gguf(values, tensors=()):
    out = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(values))
    for key, value in values:
        out += gguf_text(key) + struct.pack("<I", 8) + gguf_text(value)
    for name, dims, offset in tensors:
        out += gguf_text(name) + struct.pack("<I", len(dims)) + struct.pack(f"<{len(dims)}Q", *dims)
        out += struct.pack("<IQ", 0, offset)
    return out


EVIL_TEMPLATE = "{% for x in ().__class__.__base__.__subclasses__() %}{{ x.__init__.__globals__ }}{% endfor %}"
GOOD_TEMPLATE = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] | trim }}\n{% endfor %}"


def tensors():
    import gguf as gguf_library
    import numpy
    from safetensors.numpy import save

    place = os.path.join(ROOT, "benign", "real.gguf")
    writer = gguf_library.GGUFWriter(place, "llama")
    writer.add_chat_template(GOOD_TEMPLATE)
    writer.add_array("tokenizer.ggml.tokens", ["a", "b"])
    writer.add_tensor("w", numpy.ones((4, 4), numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    bad("template.gguf", gguf([("tokenizer.chat_template", EVIL_TEMPLATE)]))
    bad("named-template.gguf", gguf([("tokenizer.chat_template.tool_use", EVIL_TEMPLATE)]))
    bad("tensors-outside.gguf", gguf([], [("w", (4,), 1 << 40)]))
    bad("long-text.gguf", gguf([("a", "b")])[:-9] + struct.pack("<Q", 1 << 60) + b"x")
    bad("many-values.gguf", b"GGUF" + struct.pack("<IQQ", 3, 0, 1 << 50))
    tensor = save({"w": numpy.ones((2, 2), numpy.float32)}, {"format": "np"})
    good("real.safetensors", tensor)
    bad("cut.safetensors", tensor[:-1])
    bad("longer.safetensors", tensor + b"\0" * 9)
    header = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 1 << 40]}}).encode()
    bad("outside.safetensors", struct.pack("<Q", len(header)) + header)
    bad("no-json.safetensors", struct.pack("<Q", 4) + b"{abc" + b"\0" * 8)
    good("tokenizer_config.json", json.dumps({"chat_template": GOOD_TEMPLATE}).encode())
    bad("tokenizer_config.json", json.dumps({"chat_template": EVIL_TEMPLATE}).encode())
    bad("named_tokenizer_config.json", json.dumps({"chat_template": [{"name": "a", "template": EVIL_TEMPLATE}]}).encode())
    bad("chat_template.jinja", b"{{ self|attr('\\x5f\\x5finit\\x5f\\x5f') }}")
    good("chat_template.jinja", GOOD_TEMPLATE.encode())
    bad("config.yaml", b"a: !!python/object/apply:os.system ['echo']\n")


def numpy_files():
    import numpy

    def npy(array, **options):
        out = io.BytesIO()
        numpy.save(out, array, **options)
        return out.getvalue()

    good("floats.npy", npy(numpy.linspace(0, 1, 1000)))
    good("records.npy", npy(numpy.zeros(3, [("Overall", "<f8"), ("Name", "U10"), ("at", "<i4", (2,))])))
    good("objects.npy", npy(numpy.array(["a", None, 3], object)))
    bad("objects.npy", npy(numpy.array([Call(os.system, COMMAND)], object)))
    structured = numpy.zeros(1, [("a", "O")])
    structured["a"] = Call(os.system, COMMAND)
    bad("structured.npy", npy(structured))
    for name, save in (("arrays.npz", numpy.savez), ("compressed.npz", numpy.savez_compressed)):
        out = io.BytesIO()
        save(out, a=numpy.arange(1000), b=numpy.ones((3, 3)))
        good(name, out.getvalue())
        out = io.BytesIO()
        save(out, a=numpy.array([Call(os.system, COMMAND)], object))
        bad(name, out.getvalue())
    good("array.pkl", pickle.dumps(numpy.arange(10.0), 2))
    good("array-0.pkl", pickle.dumps(numpy.arange(10.0), 0))
    good("array-5.pkl", pickle.dumps({"a": numpy.arange(10.0), "b": numpy.float64(3), "c": numpy.random.RandomState(3)}, 5))


def learned():
    import cloudpickle
    import joblib
    import numpy
    import pandas
    import xgboost
    from sklearn.compose import ColumnTransformer
    from sklearn.datasets import load_iris
    from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression, SGDClassifier
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
    from sklearn.svm import SVC

    x, y = load_iris(return_X_y=True)

    def dump(model, **options):
        out = io.BytesIO()
        joblib.dump(model, out, **options)
        return out.getvalue()

    for model in [
        LogisticRegression(max_iter=500), SGDClassifier(), RandomForestClassifier(5), GradientBoostingClassifier(n_estimators=3),
        HistGradientBoostingClassifier(max_iter=3), KNeighborsClassifier(algorithm="kd_tree"), SVC(),
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)),
    ]:
        name = type(model).__name__
        model.fit(x, y)
        good(f"{name}.joblib", dump(model))
        good(f"{name}.pkl", pickle.dumps(model))
        good(f"{name}-cloud.pkl", cloudpickle.dumps(model))
    forest = RandomForestClassifier(5).fit(x, y)
    good("forest.joblib.gz", dump(forest, compress=("gzip", 3)))
    good("forest.joblib.z", dump(forest, compress=("zlib", 3)))
    table = pandas.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "x"], "c": pandas.Categorical(["u", "v", "u"])})
    columns = ColumnTransformer([("one", OneHotEncoder(), ["b"]), ("rest", "passthrough", ["a"])]).fit(table)
    good("columns.joblib", dump(columns))
    good("table.pkl", pickle.dumps(table))
    good("table-of-joblib.joblib", dump({"t": table, "o": numpy.array(["a", None], object)}))
    boosted = xgboost.XGBClassifier(n_estimators=3).fit(x, y)
    good("xgboost.pkl", pickle.dumps(boosted))
    for ending in ("json", "ubj"):
        boosted.get_booster().save_model(os.path.join(ROOT, "benign", f"xgboost.{ending}"))
    bad("forest-and-system.joblib", dump([forest, Call(os.system, COMMAND)]))
    bad("object-array.joblib", dump(numpy.array([Call(os.system, COMMAND)], object)))
    bad("compressed.joblib", dump([Call(os.system, COMMAND)], compress=3))
    bad("function-transformer.joblib", dump(FunctionTransformer(os.system)))
    bad("own-function.pkl", cloudpickle.dumps(lambda text: os.system(text)))
    # For joblib the inner pickle recalls its own first names, for pickle.load the outer ones.
    outer = dump(["posix", "system", "echo", numpy.array(["numpy", "dtype", "f8"], object)])
    at = outer.rindex(b"\x80", 0, outer.rindex(b"numpy") + 1)
    kept = b"".join(text4(text) + b"\x940" for text in ("x", "numpy", "dtype", "f8"))
    inner = b"\x80\x04" + kept + b"h\x01h\x02\x93h\x03\x85R."
    rest = io.BytesIO(outer[at:])
    pickle.load(rest)
    bad("two-memos.joblib", outer[:at] + inner + rest.read())
    # As plain pickle the bytes of an array go on as opcodes: joblib's padding is what keeps them apart.
    wrapped = dump(numpy.arange(8, dtype=numpy.uint8))
    at = wrapped.index(bytes(range(8)))
    pad = wrapped[:at].rstrip(b"\xff")
    bad("array-without-padding.joblib", pad[:-1] + call0("os", "system") + wrapped[at:])


for folder in ("malicious", "benign"):
    os.makedirs(os.path.join(ROOT, folder), exist_ok=True)
dangerous_pickles()
numpy_files()
archives()
keras_files()
graphs()
tensors()
learned()
# Last: other libraries look whether a module of that name is there.
torch_files()
good("README.md", b"# A model\n\nIt learns.\n")
good("vocab.txt", b"cat\ndog\nthe\n(if\nyou\n.\n")
good("requirements.txt", b"cloudpickle==3.1.1\nnumpy==2.3\n")
good("conda.yaml", b"channels:\n- conda-forge\ndependencies:\n- python=3.11\n- pip:\n  - numpy==2.3\n")
