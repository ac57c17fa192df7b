"""Compiles schemas/caffe2.proto of a checkout to caffe2.desc, which `messages` loads.

python -m caffe2ops.formats.compile_proto        (wants grpcio-tools, of the extra dev)
"""

from __future__ import annotations

import tempfile
from pathlib import Path

COMPILED = Path(__file__).with_name("caffe2.desc")
SOURCE = Path(__file__).parents[2] / "schemas" / "caffe2.proto"


def compile_proto() -> bytes:
    """The serialized FileDescriptorSet of the schema."""
    from grpc_tools import protoc

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.desc"
        code = protoc.main(["protoc", f"-I{SOURCE.parent}", f"--descriptor_set_out={out}", str(SOURCE)])
        if code:
            raise SystemExit(code)
        return out.read_bytes()


if __name__ == "__main__":
    COMPILED.write_bytes(compile_proto())
