"""Where weights lie in the file beside an ONNX graph: each where vector instructions can load it.

onnxruntime 1.31 writes weights, and what it has packed of them, one behind the other; then it loads the packed ones
with instructions that kill the process at an address which is no multiple of the register's width. One weight of an odd
size, say 771 biases, does that to all behind it.

Only the few fields of the format that say where a weight lies are read; all others are copied as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

ALIGNMENT_BYTES: Final = 64
"""As onnxruntime's own allocator has it: a cache line, and the widest register."""

_GRAPH, _INITIALIZER, _EXTERNAL_DATA, _KEY, _VALUE = 7, 5, 13, 1, 2  # ModelProto, GraphProto, TensorProto, entry


def align(model: bytes, weights: bytearray) -> bytes:
    """The model, with misaligned weights copied to the end of `weights` and found there. ValueError if it is no model,
    or of a kind that onnxruntime does not write.
    """
    places = _Places(weights)
    aligned = _each(model, _GRAPH, lambda graph: _each(graph, _INITIALIZER, places.tensor))
    if model.count(b"prepacked_") != places.packed_count:
        raise ValueError("there are packed weights in a graph within the graph")
    return aligned


class _Places:
    """Where weights are in the file beside the graph."""

    def __init__(self, weights: bytearray) -> None:
        self.packed_count = 0
        self._weights = weights

    def tensor(self, content: bytes) -> bytes:
        entries = dict(_entry(value) for number, _, value in _fields(content) if number == _EXTERNAL_DATA)

        def moved(content: bytes) -> bytes:
            key, value = _entry(content)
            if key == b"offset":
                value = self._aligned(value, entries[b"length"])
            elif key.startswith(b"prepacked_"):
                value = self._packed(value)
            return _field(_KEY, key) + _field(_VALUE, value)

        return _each(content, _EXTERNAL_DATA, moved)

    def _packed(self, value: bytes) -> bytes:
        """`kernel+hash|offset;size;checksum|…`"""
        self.packed_count += 1
        kernel, *blobs = value.split(b"|")
        moved = []
        for blob in blobs:
            offset, size, checksum = blob.split(b";")
            moved.append(b";".join((self._aligned(offset, size), size, checksum)))
        return b"|".join((kernel, *moved))

    def _aligned(self, offset: bytes, size: bytes) -> bytes:
        start, end = int(offset), int(offset) + int(size)
        if end > len(self._weights):
            raise ValueError(f"a weight ends at {end}, the file at {len(self._weights)}")
        if start % ALIGNMENT_BYTES == 0:
            return offset
        self._weights.extend(bytes(-len(self._weights) % ALIGNMENT_BYTES))
        target = len(self._weights)
        self._weights.extend(self._weights[start:end])
        return b"%d" % target


def _each(message: bytes, number: int, change: Callable[[bytes], bytes]) -> bytes:
    """The message with every field of that number changed."""
    return b"".join(_field(found, change(value)) if found == number else raw for found, raw, value in _fields(message))


def _entry(content: bytes) -> tuple[bytes, bytes]:
    parts = {number: value for number, _, value in _fields(content)}
    return parts[_KEY], parts[_VALUE]


def _fields(message: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Number, the whole field, and its content where that is bytes."""
    at = 0
    while at < len(message):
        start = at
        tag, at = _number(message, at)
        value_at = at
        match tag & 7:
            case 0:  # a number
                _, at = _number(message, at)
            case 1:  # eight bytes
                at += 8
            case 2:  # a size and so many bytes
                size, value_at = _number(message, at)
                at = value_at + size
            case 5:  # four bytes
                at += 4
            case kind:
                raise ValueError(f"a field of unknown kind {kind} at byte {start}")
        if at > len(message):
            raise ValueError("it ends within a field")
        yield tag >> 3, message[start:at], message[value_at:at]


def _number(message: bytes, at: int) -> tuple[int, int]:
    """A protobuf varint, and where it ends."""
    value = shift = 0
    while at < len(message):
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise ValueError("it ends within a number")


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
