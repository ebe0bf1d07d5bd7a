"""Runs a SavedModel through TensorFlow's C++ loader, in a process without Python TensorFlow.

    python cpp_loader.py LIBRARY_FOLDER SAVED_MODEL OUT.npz INPUT OUTPUT... < pictures

`TF_LoadSessionFromSavedModel` is what TF Serving calls `tensorflow::LoadSavedModel` by. INPUT and
OUTPUT are tensor names of the graph, such as `serving_default_image_bytes:0`. Standard input holds
pickled bytes of the pictures. A script of the tests, not a part of the package.
"""

import ctypes
import pathlib
import pickle
import sys

import numpy as np

FLOAT, STRING = 1, 7
STRING_SIZE = 24  # of a TF_TString


class Output(ctypes.Structure):
    _fields_ = [("operation", ctypes.c_void_p), ("index", ctypes.c_int)]


def load_library(folder):
    framework = next(folder.glob("libtensorflow_framework.so.2"))
    ctypes.CDLL(str(framework), mode=ctypes.RTLD_GLOBAL)
    library = ctypes.CDLL(str(next(folder.glob("libtensorflow_cc.so.2"))), mode=ctypes.RTLD_GLOBAL)
    for name in (
        "TF_NewStatus TF_NewGraph TF_NewSessionOptions TF_LoadSessionFromSavedModel "
        "TF_GraphOperationByName TF_AllocateTensor TF_TensorData TF_StringGetDataPointer"
    ).split():
        getattr(library, name).restype = ctypes.c_void_p
    for name in ("TF_Message",):
        getattr(library, name).restype = ctypes.c_char_p
    for name in ("TF_Dim", "TF_StringGetSize", "TF_TensorByteSize"):
        getattr(library, name).restype = ctypes.c_size_t
    return library


class Session:
    """A SavedModel, loaded by tag `serve`."""

    def __init__(self, library, path):
        self.library = library
        self.status = ctypes.c_void_p(library.TF_NewStatus())
        self.graph = ctypes.c_void_p(library.TF_NewGraph())
        tags = (ctypes.c_char_p * 1)(b"serve")
        options = ctypes.c_void_p(library.TF_NewSessionOptions())
        self.session = ctypes.c_void_p(
            library.TF_LoadSessionFromSavedModel(
                options, None, str(path).encode(), tags, 1, self.graph, None, self.status
            )
        )
        self.check()

    def check(self):
        if self.library.TF_GetCode(self.status):
            sys.exit(f"code {self.library.TF_GetCode(self.status)}: {self.message()}")

    def message(self):
        return self.library.TF_Message(self.status).decode()

    def output(self, name):
        operation, index = name.split(":")
        found = self.library.TF_GraphOperationByName(self.graph, operation.encode())
        if not found:
            sys.exit(f"no operation {operation}")
        return Output(found, int(index))

    def strings(self, values):
        """A string tensor (len(values),)."""
        dims = (ctypes.c_int64 * 1)(len(values))
        tensor = self.library.TF_AllocateTensor(
            STRING, dims, 1, ctypes.c_size_t(STRING_SIZE * len(values))
        )
        start = self.library.TF_TensorData(ctypes.c_void_p(tensor))
        for row, value in enumerate(values):
            place = ctypes.c_void_p(start + STRING_SIZE * row)
            self.library.TF_StringInit(place)
            self.library.TF_StringCopy(place, value, ctypes.c_size_t(len(value)))
        return tensor

    def run(self, input_name, values, output_names):
        inputs = (Output * 1)(self.output(input_name))
        input_tensors = (ctypes.c_void_p * 1)(self.strings(values))
        outputs = (Output * len(output_names))(*map(self.output, output_names))
        tensors = (ctypes.c_void_p * len(output_names))()
        self.library.TF_SessionRun(
            *(self.session, None, inputs, input_tensors, 1),
            *(outputs, tensors, len(output_names), None, 0, None, self.status),
        )
        self.check()
        return [self.array(ctypes.c_void_p(tensor)) for tensor in tensors]

    def array(self, tensor):
        library = self.library
        shape = tuple(library.TF_Dim(tensor, axis) for axis in range(library.TF_NumDims(tensor)))
        data = library.TF_TensorData(tensor)
        if library.TF_TensorType(tensor) == FLOAT:
            content = ctypes.string_at(data, library.TF_TensorByteSize(tensor))
            return np.frombuffer(content, "float32").reshape(shape)
        texts = []
        for row in range(int(np.prod(shape))):
            place = ctypes.c_void_p(data + STRING_SIZE * row)
            pointer = library.TF_StringGetDataPointer(place)
            size = library.TF_StringGetSize(place)
            texts.append(ctypes.string_at(pointer, size))
        return np.array(texts, "S").reshape(shape)


def main():
    folder, path, out, input_name, *output_names = sys.argv[1:]
    session = Session(load_library(pathlib.Path(folder)), path)
    arrays = session.run(input_name, pickle.load(sys.stdin.buffer), output_names)
    if "tensorflow" in sys.modules:
        sys.exit("Python TensorFlow was imported")
    np.savez(out, **dict(zip(output_names, arrays, strict=True)))


if __name__ == "__main__":
    main()
