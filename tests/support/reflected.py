"""A gRPC client that knows nothing of the services but what the server's reflection tells, as grpcurl does."""

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_REFLECT = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"


def _fields(data):
    """(number, content) of the length-delimited fields of a message."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        tag = varint()
        value = varint()
        if tag & 7 == 2:
            yield tag >> 3, data[at : at + value]
            at += value


def _inside(data, *path):
    found = [data]
    for number in path:
        found = [content for one in found for field, content in _fields(one) if field == number]
    return found


class Reflected:
    def __init__(self, address):
        self.channel = grpc.insecure_channel(address)
        self.pool = descriptor_pool.DescriptorPool()
        self.known = set()

    def _ask(self, number, text):
        request = bytes([number << 3 | 2, len(text)]) + text.encode()
        stream = self.channel.stream_stream(_REFLECT, request_serializer=None, response_deserializer=None)
        return next(iter(stream(iter([request]), timeout=10)))

    def services(self):
        return {name.decode() for name in _inside(self._ask(7, ""), 6, 1, 1)}

    def health(self, name):
        """The serving status; its service's file is not among those that gRPC's C++ library tells."""
        request = bytes([1 << 3 | 2, len(name)]) + name.encode()
        return self.channel.unary_unary("/grpc.health.v1.Health/Check")(request, timeout=10)[1]

    def service(self, name):
        """The service's methods as callables of keyword arguments."""
        files = {}
        for text in _inside(self._ask(4, name), 4, 1):
            file = descriptor_pb2.FileDescriptorProto.FromString(text)
            files[file.name] = file
        for file in list(files):
            self._add(file, files)
        methods = self.pool.FindServiceByName(name).methods
        return {method.name: self._callable(name, method) for method in methods}

    def _add(self, name, files):
        file = files.pop(name, None)
        if file is None or name in self.known:
            return
        self.known.add(name)
        for other in file.dependency:
            self._add(other, files)
        self.pool.Add(file)

    def _callable(self, service, method):
        request = message_factory.GetMessageClass(method.input_type)
        reply = message_factory.GetMessageClass(method.output_type)
        make = self.channel.unary_stream if method.server_streaming else self.channel.unary_unary
        call = make(
            f"/{service}/{method.name}", request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=reply.FromString,
        )
        return lambda timeout=30, **fields: call(request(**fields), timeout=timeout)
