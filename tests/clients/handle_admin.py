#!/usr/bin/env python3
"""A Handle client that writes (RFC 3652, with the numbers that running servers and clients use).

It shares no code with the node, so that somebody else's reading of the protocol checks the node's.
It reads commands as JSON lines from standard input and answers each with a JSON line:

    {"do": "connect"}                        a new connection
    {"do": "send", "op": 100, "handle": …, "values": [[index, type, data, permissions]], …}
    {"do": "prove"}                          answers the last challenge
    {"do": "raw", "hex": …}                  bytes as they are

Fields of "send": op, handle, values, indexes, index, types, flags, session, body (hex instead of
the fields), no_credential (the message ends with its body), encrypt (by the session's key).
Answers: {"op", "code", "session", "flags", "text", "handles", "values", "challenge", "more",
"body"}; {"closed": true} when the server closed.

Who it is: --identity INDEX:HANDLE with --secret TEXT, or --key FILE (PEM, RSA).
"""

import argparse
import hashlib
import hmac
import json
import os
import socket
import struct
import sys

ENVELOPE = struct.Struct(">BBBBIIII")
HEADER = struct.Struct(">IIIHBBII")
REQUEST_DIGEST = 0x00800000
CONTINUES = 0x04000000
ENCRYPTED = 0x20000000
DIGESTS = {1: ("md5", 16), 2: ("sha1", 20), 3: ("sha256", 32)}
LISTS = (105, 106, 302)


def sized(data):
    return struct.pack(">I", len(data)) + data


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        if count > len(self.data) - self.at:
            raise ValueError(f"{count} bytes at {self.at} of {len(self.data)}")
        self.at += count
        return self.data[self.at - count : self.at]

    def u16(self):
        return int.from_bytes(self.take(2), "big")

    def u32(self):
        return int.from_bytes(self.take(4), "big")

    def sized(self):
        return self.take(self.u32())

    def left(self):
        return len(self.data) - self.at


class Client:
    def __init__(self, arguments):
        self.arguments = arguments
        host, _, port = arguments.server.rpartition(":")
        self.address = (host, int(port))
        self.socket = None
        self.number = int.from_bytes(os.urandom(3), "big")
        self.challenge = None
        self.key = None  # of the session

    def connect(self):
        if self.socket:
            self.socket.close()
        self.socket = socket.create_connection(self.address, 20)
        return {"connected": True}

    def read(self, count):
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def body(self, command):
        op = command["op"]
        if "body" in command:
            return bytes.fromhex(command["body"])
        body = sized(command.get("handle", "").encode())
        if op in (100, 102, 104):
            values = command["values"]
            body += struct.pack(">I", len(values))
            for index, kind, data, permissions in values:
                data = bytes.fromhex(data[4:]) if data.startswith("hex:") else data.encode()
                body += struct.pack(">IIBIB", index, 1_700_000_000, 0, 86400, permissions)
                body += sized(kind.encode()) + sized(data) + struct.pack(">I", 0)
        elif op == 103:
            indexes = command["indexes"]
            body += struct.pack(f">I{len(indexes)}I", len(indexes), *indexes)
        elif op == 2001:
            body += struct.pack(">I", command["index"])
        elif op in (1, 2, 2000):
            indexes, types = command.get("indexes", []), command.get("types", [])
            body += struct.pack(f">I{len(indexes)}I", len(indexes), *indexes)
            body += struct.pack(">I", len(types)) + b"".join(sized(t.encode()) for t in types)
        return body

    def send(self, command):
        body = self.body(command)
        flags = command.get("flags", 0)
        if command.get("encrypt"):
            flags |= ENCRYPTED
        self.number += 1
        number = command.get("number", self.number)
        header = HEADER.pack(command["op"], 0, flags, 0xFFFF, 0, 0, 0, len(body))
        contents = header + body + (b"" if command.get("no_credential") else bytes(4))
        major, minor = (int(part) for part in self.arguments.version.split("."))
        envelope_flags = 0x02
        if command.get("encrypt"):
            contents = self.encrypt(contents)
            envelope_flags |= 0x40
        envelope = ENVELOPE.pack(
            major, minor, envelope_flags, 11, command.get("session", 0), number, 0, len(contents))
        self.socket.sendall(envelope + contents)
        return self.answers(number)

    def answers(self, number):
        answer = self.answer(number)
        parts = answer
        while parts.get("more"):
            parts = self.answer(number)
            answer["handles"] += parts["handles"]
            answer["messages"] = answer.get("messages", 1) + 1
        return answer

    def answer(self, number):
        envelope = self.read(ENVELOPE.size)
        major, _, flags, _, session, echoed, sequence, length = ENVELOPE.unpack(envelope)
        if major != 2 or sequence or echoed != number:
            raise ValueError(f"an envelope of another answer: {envelope.hex()}")
        contents = self.read(length)
        encrypted = bool(flags & 0x40)
        if encrypted:
            contents = self.decrypt(contents)
        reader = Reader(contents)
        op, code, flags, _, _, _, _, body_length = HEADER.unpack(reader.take(HEADER.size))
        body = Reader(reader.take(body_length))
        reader.sized()
        if reader.left():
            raise ValueError(f"{reader.left()} bytes behind the credential")
        answer = {"op": op, "code": code, "session": session, "flags": flags}
        answer["encrypted"] = encrypted
        if flags & REQUEST_DIGEST:
            kind = body.take(1)[0]
            name, size = DIGESTS[kind]
            answer["digest"] = name
            digest = body.take(size)
        if code == 402:
            self.challenge = (body.sized(), digest, session)
            answer["challenge"] = len(self.challenge[0])
        elif code == 1 and op in LISTS:
            answer["handles"] = [body.sized().decode() for _ in range(body.u32())]
            answer["more"] = bool(flags & CONTINUES)
        elif code == 1 and op == 1:
            body.sized()
            answer["values"] = [self.value(body) for _ in range(body.u32())]
        elif code not in (1, 302, 303) and body.left():
            answer["text"] = body.sized().decode()
        answer["body"] = body.take(body.left()).hex()
        return answer

    def value(self, body):
        index = body.u32()
        body.take(9)
        permissions = body.take(1)[0]
        kind, data = body.sized().decode(), body.sized()
        for _ in range(body.u32()):
            body.sized(), body.u32()
        return [index, kind, data.decode("utf-8", "backslashreplace"), permissions]

    def proof(self, nonce, digest):
        covered = nonce + digest
        if self.arguments.secret is not None:
            secret = self.arguments.secret.encode()
            if self.arguments.older:
                response = b"\x02" + hashlib.sha1(secret + covered + secret).digest()
                return b"HS_SECKEY", response
            salt = os.urandom(16)
            rounds = self.arguments.iterations
            # A number that the server must not believe is not derived here either.
            key = hashlib.pbkdf2_hmac("sha1", secret, salt, min(rounds, 100_000), 20)
            mac = hmac.new(key, covered, "sha1").digest()
            response = b"\x22" + sized(salt) + struct.pack(">II", rounds, 160) + sized(mac)
            return b"HS_SECKEY", response
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding
        signature = self.private().sign(covered, padding.PKCS1v15(), hashes.SHA256())
        return b"HS_PUBKEY", sized(b"SHA-256") + sized(signature)

    def private(self):
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
        with open(self.arguments.key, "rb") as file:
            return load_pem_private_key(file.read(), None)

    def prove(self, command):
        nonce, digest, session = self.challenge
        index, _, handle = self.arguments.identity.partition(":")
        kind, response = self.proof(nonce, digest)
        if command.get("wrong"):
            response = response[:-1] + bytes([response[-1] ^ 1])
        body = sized(kind) + sized(handle.encode()) + struct.pack(">I", int(index)) + sized(response)
        session = command.get("session", session)
        return self.send({"op": 200, "body": body.hex(), "session": session})

    def take_key(self, command):
        """Reads the session's key out of the body of a set-up's answer."""
        from cryptography.hazmat.primitives.asymmetric import padding
        reader = Reader(bytes.fromhex(command["body"]))
        mode, sealed = reader.u16(), reader.sized()
        plain = Reader(self.private().decrypt(sealed, padding.PKCS1v15()))
        algorithm = plain.u32()
        self.key = plain.take(plain.left())
        return {"mode": mode, "algorithm": algorithm, "length": len(self.key)}

    def cipher(self, vector):
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
        return Cipher(algorithms.AES(self.key), modes.CBC(vector))

    def encrypt(self, contents):
        pad = 16 - len(contents) % 16
        vector = os.urandom(16)
        encryptor = self.cipher(vector).encryptor()
        return vector + encryptor.update(contents + bytes([pad]) * pad) + encryptor.finalize()

    def decrypt(self, contents):
        decryptor = self.cipher(contents[:16]).decryptor()
        plain = decryptor.update(contents[16:]) + decryptor.finalize()
        return plain[: -plain[-1]]

    def raw(self, command):
        self.socket.sendall(bytes.fromhex(command["hex"]))
        return {"sent": True}


def main():
    parser = argparse.ArgumentParser(description="Writes handles.")
    parser.add_argument("--identity", default="300:0.NA/88.118.8")
    parser.add_argument("--secret")
    parser.add_argument("--older", action="store_true", help="the proof of protocol 2.1 to 2.6")
    parser.add_argument("--iterations", default=10000, type=int)
    parser.add_argument("--key")
    parser.add_argument("--version", default="2.11")
    parser.add_argument("server", metavar="HOST:PORT")
    client = Client(parser.parse_args())
    client.connect()
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = getattr(client, command["do"])(command) if command["do"] != "connect" \
                else client.connect()
        except (EOFError, ConnectionError):
            answer = {"closed": True}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
