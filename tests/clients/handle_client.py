#!/usr/bin/env python3
"""A Handle client (RFC 3652, with the numbers that running servers use) in plain Python 3.

It shares no code with the node, so that somebody else's reading of the protocol checks the node's.
It resolves one handle and prints a JSON object:

    {"code": 1, "handle": "…", "values": [{"index", "type", "data", "encoding", "ttl",
     "permissions"}], "message": ""}

`data` is text, or base64 where "encoding" says so. `handle` and `values` of codes 302 and 303 are
the referral's. Exit status: 0 for any well-formed answer, 1 for none, 2 for a malformed one.
"""

import argparse
import base64
import json
import os
import socket
import ssl
import struct
import sys

ENVELOPE = struct.Struct(">BBBBIIII")
HEADER = struct.Struct(">IIIHBBII")
PIECE = 492  # payload of a datagram
LIMIT = 262144  # longest message
RESOLVE = 1
RECURSE = 0x10000000
NO_REFERRAL = 0x00100000
PUBLIC_ONLY = 0x01000000
REQUEST_DIGEST = 0x00800000


class Malformed(Exception):
    """The answer breaks the protocol."""


class Reader:
    """Big-endian fields out of a byte string, each checked against its end."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        if count > len(self.data) - self.at:
            raise Malformed(f"{count} bytes at {self.at} of {len(self.data)}")
        self.at += count
        return self.data[self.at - count : self.at]

    def u8(self):
        return self.take(1)[0]

    def u32(self):
        return int.from_bytes(self.take(4), "big")

    def sized(self):
        return self.take(self.u32())

    def text(self):
        try:
            return self.sized().decode("utf-8")
        except UnicodeDecodeError as error:
            raise Malformed(f"text at {self.at}: {error}") from error

    def done(self):
        return self.at == len(self.data)


def sized(data):
    return struct.pack(">I", len(data)) + data


def request(arguments, request_id):
    """A resolution request, envelope first."""
    major, minor = (int(part) for part in arguments.version.split("."))
    flags = PUBLIC_ONLY if arguments.public else 0
    flags |= RECURSE if arguments.recurse else 0
    flags |= NO_REFERRAL if arguments.no_referral else 0
    body = sized(arguments.handle.encode("utf-8"))
    body += struct.pack(">I", len(arguments.index))
    for index in arguments.index:
        body += struct.pack(">I", index)
    body += struct.pack(">I", len(arguments.type))
    for value_type in arguments.type:
        body += sized(value_type.encode("utf-8"))
    header = HEADER.pack(RESOLVE, 0, flags, 0xFFFF, arguments.hops, 0, 0, len(body))
    contents = header + body + struct.pack(">I", 0)
    envelope = ENVELOPE.pack(major, minor, 0, 0, 0, request_id, 0, len(contents))
    return envelope + contents


def parse_envelope(data, request_id):
    """The sequence number and message length of an envelope that answers the request."""
    if len(data) < ENVELOPE.size:
        raise Malformed(f"{len(data)} bytes are no envelope")
    major, _, flags, _, _, echoed, sequence, length = ENVELOPE.unpack_from(data)
    if major != 2:
        raise Malformed(f"major version {major}")
    if flags & 0xC0:
        raise Malformed("a compressed or encrypted answer")
    if echoed != request_id:
        raise Malformed(f"request id {echoed:#x}, asked with {request_id:#x}")
    if length > LIMIT:
        raise Malformed(f"a message of {length} bytes")
    return sequence, length


def over_tls(authority):
    """The exchange over TLS, with a server whose certificate this authority vouches for."""
    context = ssl.create_default_context(cafile=authority)

    def exchange(address, message, request_id, timeout):
        with socket.create_connection(address, timeout) as connection:
            with context.wrap_socket(connection, server_hostname=address[0]) as encrypted:
                return over_connection(encrypted, message, request_id)

    return exchange


def over_tcp(address, message, request_id, timeout):
    with socket.create_connection(address, timeout) as connection:
        return over_connection(connection, message, request_id)


def over_connection(connection, message, request_id):
    connection.sendall(message)

    def read(count):
        data = b""
        while len(data) < count:
            more = connection.recv(count - len(data))
            if not more:
                raise Malformed(f"closed after {len(data)} of {count} bytes")
            data += more
        return data

    sequence, length = parse_envelope(read(ENVELOPE.size), request_id)
    if sequence != 0:
        raise Malformed(f"sequence {sequence} over TCP")
    return read(length)


def over_udp(address, message, request_id, timeout):
    family, kind, _, _, target = socket.getaddrinfo(*address, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind) as udp:
        udp.settimeout(timeout)
        udp.connect(target)
        contents = message[ENVELOPE.size :]
        pieces = [contents[at : at + PIECE] for at in range(0, len(contents), PIECE)]
        for sequence, piece in enumerate(pieces):
            head = message[:12] + struct.pack(">II", sequence, len(contents))
            udp.send(head + piece)
        answer, announced = {}, None
        while announced is None or sum(map(len, answer.values())) < announced:
            datagram = udp.recv(65536)
            if len(datagram) > ENVELOPE.size + PIECE:
                raise Malformed(f"a datagram of {len(datagram)} bytes")
            sequence, length = parse_envelope(datagram, request_id)
            if announced not in (None, length):
                raise Malformed(f"a message of {announced} and of {length} bytes")
            announced = length
            answer[sequence] = datagram[ENVELOPE.size :]
        if sorted(answer) != list(range(len(answer))):
            raise Malformed(f"sequence numbers {sorted(answer)}")
        return b"".join(answer[sequence] for sequence in sorted(answer))


def parse_value(reader):
    index, _timestamp = reader.u32(), reader.u32()
    ttl_type, ttl, permissions = reader.u8(), reader.u32(), reader.u8()
    if ttl_type > 1:
        raise Malformed(f"TTL type {ttl_type}")
    value_type, data = reader.text(), reader.sized()
    for _ in range(reader.u32()):
        reader.text()
        reader.u32()
    try:
        text, encoding = data.decode("utf-8"), "text"
        if any(ord(character) < 0x20 and character not in "\t\r\n" for character in text):
            raise ValueError("control characters")
    except ValueError:
        text, encoding = base64.b64encode(data).decode("ascii"), "base64"
    return {
        "index": index,
        "type": value_type,
        "data": text,
        "encoding": encoding,
        "ttl": ttl,
        "permissions": format(permissions & 0xF, "04b"),
    }


def parse_answer(contents):
    reader = Reader(contents)
    fields = HEADER.unpack(reader.take(HEADER.size))
    op_code, code, flags, body_length = fields[0], fields[1], fields[2], fields[7]
    if op_code != RESOLVE:
        raise Malformed(f"operation {op_code}")
    if code == 0:
        raise Malformed("a request instead of an answer")
    if flags & REQUEST_DIGEST:
        raise Malformed("a digest nobody asked for")
    body = Reader(reader.take(body_length))
    if reader.sized() or not reader.done():
        raise Malformed("a credential, or bytes behind it")
    answer = {"code": code, "handle": "", "values": [], "message": ""}
    if code in (1, 302, 303):
        answer["handle"] = body.text()
        if code == 1 or not body.done():
            answer["values"] = [parse_value(body) for _ in range(body.u32())]
    elif not body.done():
        answer["message"] = body.text()
    if not body.done():
        raise Malformed("bytes behind the body")
    return answer


def main():
    parser = argparse.ArgumentParser(description="Resolves a handle.")
    parser.add_argument("--tcp", action="store_true", help="over TCP instead of UDP")
    parser.add_argument("--tls", metavar="FILE", help="over TLS; certificates that vouch for the server's")
    parser.add_argument("--public", action="store_true", help="ask for public values only")
    parser.add_argument("--recurse", action="store_true", help="let the server ask others")
    parser.add_argument("--no-referral", action="store_true", help="want an error instead of a referral")
    parser.add_argument("--hops", default=0, type=int, help="servers the question has passed through")
    parser.add_argument("--type", action="append", default=[], help="a value type asked for")
    parser.add_argument("--index", action="append", default=[], type=int, help="a value index asked for")
    parser.add_argument("--version", default="2.11", help="protocol version to write in and be answered in")
    parser.add_argument("--timeout", type=float, default=5.0, help="seconds")
    parser.add_argument("server", metavar="HOST:PORT")
    parser.add_argument("handle", metavar="HANDLE")
    arguments = parser.parse_args()
    host, _, port = arguments.server.rpartition(":")
    request_id = int.from_bytes(os.urandom(4), "big")
    exchange = over_tcp if arguments.tcp else over_udp
    if arguments.tls:
        exchange = over_tls(arguments.tls)
    try:
        message = request(arguments, request_id)
        contents = exchange((host.strip("[]"), int(port)), message, request_id, arguments.timeout)
        print(json.dumps(parse_answer(contents), ensure_ascii=False))
    except Malformed as error:
        print(f"malformed answer: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"no answer: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")
    sys.exit(main())
