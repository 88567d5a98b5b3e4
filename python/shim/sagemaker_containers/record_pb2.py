"""The messages of the platform's own format for data, RecordIO of protobuf, as its developer guide states them. They are read with
the protobuf package of the image."""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PACKAGE = "aialgs.data"
_FIELD = descriptor_pb2.FieldDescriptorProto

_NUMBERS = {"keys": (2, _FIELD.TYPE_UINT64), "shape": (3, _FIELD.TYPE_UINT64)}
_TENSORS = {"Float32Tensor": _FIELD.TYPE_FLOAT, "Float64Tensor": _FIELD.TYPE_DOUBLE, "Int32Tensor": _FIELD.TYPE_INT32}
_KINDS = {"float32_tensor": (2, "Float32Tensor"), "float64_tensor": (3, "Float64Tensor"), "int32_tensor": (7, "Int32Tensor")}
_KINDS["bytes"] = (9, "Bytes")


def _add(message, name, number, kind, label=_FIELD.LABEL_OPTIONAL):
    """Adds a field to a message. `kind` is one of protobuf's types, or the name of a message."""
    field = message.field.add(name=name, number=number, label=label)
    if isinstance(kind, str):
        field.type, field.type_name = _FIELD.TYPE_MESSAGE, ".%s.%s" % (_PACKAGE, kind)
    else:
        field.type = kind
    return field


def _file():
    """Returns the description of all messages."""
    file = descriptor_pb2.FileDescriptorProto(name="footplate/record.proto", package=_PACKAGE, syntax="proto2")
    for name, kind in _TENSORS.items():
        tensor = file.message_type.add(name=name)
        for field, (number, of_field) in dict({"values": (1, kind)}, **_NUMBERS).items():
            _add(tensor, field, number, of_field, _FIELD.LABEL_REPEATED).options.packed = True
    text = file.message_type.add(name="Bytes")
    _add(text, "value", 1, _FIELD.TYPE_BYTES, _FIELD.LABEL_REPEATED)
    _add(text, "content_type", 2, _FIELD.TYPE_STRING)
    value = file.message_type.add(name="Value")
    value.oneof_decl.add(name="value")
    for name, (number, kind) in _KINDS.items():
        _add(value, name, number, kind).oneof_index = 0
    record = file.message_type.add(name="Record")
    for number, (name, entry) in enumerate((("features", "FeaturesEntry"), ("label", "LabelEntry")), 1):
        pair = record.nested_type.add(name=entry)
        pair.options.map_entry = True
        _add(pair, "key", 1, _FIELD.TYPE_STRING)
        _add(pair, "value", 2, "Value")
        _add(record, name, number, "Record." + entry, _FIELD.LABEL_REPEATED)
    for number, name in enumerate(("uid", "metadata", "configuration"), 3):
        _add(record, name, number, _FIELD.TYPE_STRING)
    return file


def _classes():
    """Returns the classes of the messages. They have a pool of their own: other packages describe the same messages."""
    pool = descriptor_pool.DescriptorPool()
    pool.Add(_file())
    names = [message.name for message in _file().message_type]
    described = [pool.FindMessageTypeByName("%s.%s" % (_PACKAGE, name)) for name in names]
    # The second is for releases of protobuf before 4.22.
    made = getattr(message_factory, "GetMessageClass", None) or message_factory.MessageFactory(pool).GetPrototype
    return {name: made(each) for name, each in zip(names, described)}


globals().update(_classes())
