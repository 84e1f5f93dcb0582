"""Message classes and enums of proto/caffelite.proto, under the names a generated module has.

They are built at import from the compiled descriptor set, in a descriptor pool of their own:
any protobuf runtime will do, and another caffe_pb2 in the process does not clash.
"""

import copyreg
from pathlib import Path
from typing import TYPE_CHECKING, Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.internal import enum_type_wrapper

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...


def _load():
    files = descriptor_pb2.FileDescriptorSet.FromString(
        Path(__file__).with_name("caffelite.binpb").read_bytes()
    ).file
    pool = descriptor_pool.DescriptorPool()
    for file in files:
        pool.AddSerializedFile(file.SerializeToString())
    return pool.FindFileByName(files[-1].name)


def _message_class(descriptor):
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(descriptor)
    return message_factory.MessageFactory(DESCRIPTOR.pool).GetPrototype(descriptor)


def _from_bytes(name, data):
    return _message_class(DESCRIPTOR.pool.FindMessageTypeByName(name)).FromString(data)


def _reduce(message):
    return _from_bytes, (message.DESCRIPTOR.full_name, message.SerializePartialToString())


DESCRIPTOR = _load()

for _name, _descriptor in DESCRIPTOR.message_types_by_name.items():
    globals()[_name] = _message_class(_descriptor)
    copyreg.pickle(globals()[_name], _reduce)

for _name, _descriptor in DESCRIPTOR.enum_types_by_name.items():
    globals()[_name] = enum_type_wrapper.EnumTypeWrapper(_descriptor)
    globals().update({_value.name: _value.number for _value in _descriptor.values})
