#!/usr/bin/env python3
"""A Handle client that writes (RFC 3652, with the numbers that running servers and clients use).

It shares no code with the node, so that somebody else's reading of the protocol checks the node's.
It reads commands as JSON lines from standard input and answers each with a JSON line:

    {"do": "connect"}                        a new connection
    {"do": "send", "op": 100, "handle": …, "values": [[index, type, data, permissions]], …}
    {"do": "burst", "messages": […]}         what "send" takes, all sent before an answer is read
    {"do": "prove"}                          answers the last challenge
    {"do": "take_key", "body": hex}          the session's key, out of the answer to a set-up
    {"do": "agree", "prime": hex, …}         a session by Diffie-Hellman
    {"do": "exchange"}                       a session whose key is made here
    {"do": "site"}                           site information; its key is taken for the one that signs
    {"do": "raw", "hex": …}                  bytes as they are

Fields of "send": op, handle, values, indexes, index, types, flags, session, body (hex instead of
the fields), no_credential (the message ends with its body), encrypt (by the session's key), mac (of
the session's key), number (the request id), passed (the recursion count), serial (of site information), certify (the answer is to
be signed).
Answers: {"op", "code", "session", "flags", "length" (of the longest message, bytes), "text", "handles", "values", "challenge", "more",
"body", "signed" (by whom, when --site-key, the key of "site" or the session's has verified it; of a list in several
messages: all of them, else "mixed")}; {"closed": true} when the server closed.

Who it is: --identity INDEX:HANDLE with --secret TEXT, or --key FILE (PEM, RSA, DSA or SM2). What Python's
cryptography does not know of SM2 the command openssl does.
"""

import argparse
import hashlib
import hmac
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile

ENVELOPE = struct.Struct(">BBBBIIII")
HEADER = struct.Struct(">IIIHBBII")
REQUEST_DIGEST = 0x00800000
CONTINUES = 0x04000000
CERTIFY = 0x40000000
ENCRYPTED = 0x20000000
AES, SM4 = 3, 4
DIGESTS = {1: ("md5", 16), 2: ("sha1", 20), 3: ("sha256", 32)}
LISTS = (105, 106, 302)
MIRRORED = (1001, 1002)


def sized(data):
    return struct.pack(">I", len(data)) + data


def openssl(command, files, *options):
    """What openssl makes of files: options of the command that name one, and what is in it."""
    with tempfile.TemporaryDirectory() as directory:
        arguments = ["openssl", command, *options]
        for option, data in files.items():
            path = os.path.join(directory, option.lstrip("-"))
            with open(path, "wb") as file:
                file.write(data)
            arguments += [option, path]
        done = subprocess.run(arguments, capture_output=True, check=False)
        if done.returncode:
            raise ValueError(f"{arguments}: {done.stderr.decode()}")
        return done.stdout


def der(tag, data):
    length = len(data)
    if length < 128:
        return bytes([tag, length]) + data
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + data


def der_parts(data):
    """The contents of a DER sequence's parts."""
    parts, at = [], 0
    while at < len(data):
        length, at = data[at + 1], at + 2
        if length & 0x80:
            octets = length & 0x7F
            length, at = int.from_bytes(data[at : at + octets], "big"), at + octets
        parts.append(data[at : at + length])
        at += length
    return parts


def sm2_decrypt(key, sealed):
    """C1 || C3 || C2, which openssl wants as DER."""
    def integer(data):
        return der(2, (b"\0" if data[0] & 0x80 else b"") + data)
    if sealed[0] == 4:
        sealed = sealed[1:]
    x, y = sealed[:32].lstrip(b"\0"), sealed[32:64].lstrip(b"\0")
    text = der(0x30, integer(x) + integer(y) + der(4, sealed[64:96]) + der(4, sealed[96:]))
    return openssl("pkeyutl", {"-inkey": key, "-in": text}, "-decrypt")


def sm2_encrypt(spki, plain):
    text = openssl("pkeyutl", {"-inkey": spki, "-in": plain}, "-encrypt", "-pubin", "-keyform", "DER")
    x, y, digest, text = der_parts(der_parts(text)[0])
    point = b"".join(number.lstrip(b"\0").rjust(32, b"\0") for number in (x, y))
    return b"\4" + point + digest + text


def hash_sm3(data):
    return hashlib.new("sm3", data).digest()


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
        self.received = b""  # of datagrams
        self.number = int.from_bytes(os.urandom(3), "big")
        self.challenge = None
        self.key, self.algorithm = None, AES  # of the session
        self.site_key = None  # by site information

    def connect(self):
        if self.socket:
            self.socket.close()
        if self.arguments.udp:
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.socket.settimeout(20)
            self.socket.connect(self.address)
        else:
            self.socket = socket.create_connection(self.address, 20)
        self.received = b""
        return {"connected": True}

    def read(self, count):
        if self.arguments.udp:
            if not self.received:
                self.received = self.socket.recv(65536)
            data, self.received = self.received[:count], self.received[count:]
            return data
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
        number, message = self.message(command)
        self.socket.sendall(message)
        return self.answers(number)

    def burst(self, command):
        messages = [self.message(one) for one in command["messages"]]
        self.socket.sendall(b"".join(message for _, message in messages))
        return {"answers": [self.answers(number) for number, _ in messages]}

    def message(self, command):
        body = self.body(command)
        flags = command.get("flags", 0)
        if command.get("encrypt"):
            flags |= ENCRYPTED
        if command.get("certify"):
            flags |= CERTIFY
        self.number += 1
        number = command.get("number", self.number)
        passed = command.get("passed", 0)
        header = HEADER.pack(command["op"], 0, flags, command.get("serial", 0xFFFF), passed, 0, 0, len(body))
        contents = header + body
        if command.get("mac"):
            contents += sized(self.mac(contents, command["session"]))
        elif not command.get("no_credential"):
            contents += bytes(4)
        major, minor = (int(part) for part in self.arguments.version.split("."))
        envelope_flags = 0x82 if command.get("compressed") else 0x02
        if command.get("encrypt"):
            contents = self.encrypt(contents)
            envelope_flags |= 0x40
        envelope = ENVELOPE.pack(
            major, minor, envelope_flags, self.arguments.suggests, command.get("session", 0), number, 0, len(contents))
        return number, envelope + contents

    def answers(self, number):
        answer = self.answer(number)
        parts = answer
        while parts.get("more"):
            parts = self.answer(number)
            if "handles" in parts:
                answer["handles"] += parts["handles"]
            answer["messages"] = answer.get("messages", 1) + 1
            answer["length"] = max(answer["length"], parts["length"])
            if parts.get("signed") != answer.get("signed"):
                answer["signed"] = "mixed"
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
        credential = reader.sized()
        if reader.left():
            raise ValueError(f"{reader.left()} bytes behind the credential")
        answer = {"op": op, "code": code, "session": session, "flags": flags, "length": ENVELOPE.size + length}
        if flags & CERTIFY:
            signed = contents[: HEADER.size + body_length]
            if b"HS_MAC" in credential:
                answer["signed"] = "HS_MAC" if credential == self.mac(signed, session) else "wrong"
            else:
                answer["signed"] = self.signer(credential, signed)
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
        elif code == 1 and op in MIRRORED:
            answer["more"] = bool(flags & CONTINUES)
        elif code == 1 and op == 1:
            body.sized()
            answer["values"] = [self.value(body) for _ in range(body.u32())]
        elif code not in (1, 302, 303) and body.left():
            answer["text"] = body.sized().decode()
        answer["body"] = body.take(body.left()).hex()
        return answer

    def signer(self, credential, signed):
        """Who has signed an answer; no other answer than a signed one gets through."""
        reader = Reader(credential)
        if reader.take(4) != bytes(4):
            raise ValueError(f"a credential of another version: {credential.hex()}")
        handle, index, kind = reader.sized(), reader.u32(), reader.sized()
        inner = Reader(reader.sized())
        digest, signature = inner.sized(), inner.sized()
        if not self.site_key:
            with open(self.arguments.site_key, "rb") as file:
                pem = file.read()
        if digest == b"SM3":
            files = {"-inkey": pem, "-in": hash_sm3(signed), "-sigfile": signature}
            sm2 = ("-verify", "-pubin", "-rawin", "-digest", "sm3")
            openssl("pkeyutl", files, *sm2, "-pkeyopt", f"distid:{handle.decode()}")
        elif digest == b"SHA-256":
            from cryptography.hazmat.primitives import hashes
            from cryptography.hazmat.primitives.asymmetric import padding
            from cryptography.hazmat.primitives.serialization import load_pem_public_key
            key = self.site_key or load_pem_public_key(pem)
            key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
        else:
            raise ValueError(f"signed with {digest}")
        return f"{index}:{handle.decode()} {kind.decode()}"

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
        if self.arguments.sm2:
            # SM3 first; then what SM2 digests by itself, with the handle as the user's id.
            handle = self.arguments.identity.partition(":")[2]
            files = {"-inkey": self.pem(), "-in": hash_sm3(covered)}
            sm2 = ("-sign", "-rawin", "-digest", "sm3", "-pkeyopt", f"distid:{handle}")
            return b"HS_PUBKEY", sized(b"SM3") + sized(openssl("pkeyutl", files, *sm2))
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import dsa, padding
        key = self.private()
        name, digest = (b"SHA1", hashes.SHA1()) if self.arguments.sha1 else (b"SHA-256", hashes.SHA256())
        if isinstance(key, dsa.DSAPrivateKey):
            signature = key.sign(covered, digest)
        else:
            signature = key.sign(covered, padding.PKCS1v15(), digest)
        return b"HS_PUBKEY", sized(name) + sized(signature)

    def pem(self):
        with open(self.arguments.key, "rb") as file:
            return file.read()

    def private(self):
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
        return load_pem_private_key(self.pem(), None)

    def prove(self, command):
        nonce, digest, session = self.challenge
        index, _, handle = self.arguments.identity.partition(":")
        kind, response = self.proof(nonce, digest)
        if command.get("wrong"):
            response = response[:-1] + bytes([response[-1] ^ 1])
        body = sized(kind) + sized(handle.encode()) + struct.pack(">I", int(index)) + sized(response)
        session = command.get("session", session)
        proof = {"op": 200, "body": body.hex(), "session": session, "encrypt": command.get("encrypt")}
        return self.send(proof)

    def take_key(self, command):
        """Reads the session's key out of the body of a set-up's answer."""
        reader = Reader(bytes.fromhex(command["body"]))
        mode, sealed = reader.u16(), reader.sized()
        if self.arguments.sm2:
            plain = sm2_decrypt(self.pem(), sealed)
        else:
            from cryptography.hazmat.primitives.asymmetric import padding
            plain = self.private().decrypt(sealed, padding.PKCS1v15())
        plain = Reader(plain)
        self.algorithm = plain.u32()
        self.key = plain.take(plain.left())
        return {"mode": mode, "algorithm": self.algorithm, "length": len(self.key)}

    def set_up(self, command, mode, more=b""):
        body = struct.pack(">HIi", mode, 0, -1) + more
        return self.send({**command, "op": 400, "body": body.hex()})

    def agree(self, command):
        """Sends the numbers in the order of "order" and takes what is agreed on for a key."""
        prime, generator = int(command["prime"], 16), command.get("generator", 2)
        secret = int.from_bytes(os.urandom(32), "big")
        length = (prime.bit_length() + 7) // 8
        numbers = {"p": prime, "g": generator,
                   "y": command.get("public", pow(generator, secret, prime))}
        more = b"".join(
            sized(b"\0" + numbers[which].to_bytes((numbers[which].bit_length() + 7) // 8, "big"))
            for which in command.get("order", "pgy"))
        answer = self.set_up(command, 4, more)
        if answer["code"] == 1:
            reader = Reader(bytes.fromhex(answer["body"]))
            answer["mode"] = reader.u16()
            public = reader.sized()
            agreed = pow(int.from_bytes(public, "big"), secret, prime).to_bytes(length, "big")
            self.key, self.algorithm = hashlib.sha256(agreed).digest()[:16], AES
        return answer

    def exchange(self, command):
        """A set-up whose answer has the server's key, and the session's key encrypted to that."""
        answer = self.set_up(command, 2)
        if answer["code"] != 1 or command.get("no_key"):
            return answer
        reader = Reader(bytes.fromhex(answer["body"]))
        mode, public = reader.u16(), Reader(reader.sized())
        kind = public.sized()
        public.u16()
        self.key = os.urandom(16)
        if kind == b"SM2_PUB_KEY":
            self.algorithm = SM4
            sealed = sm2_encrypt(public.sized(), struct.pack(">I", SM4) + self.key)
        else:
            from cryptography.hazmat.primitives.asymmetric import padding, rsa
            exponent, modulus = (int.from_bytes(public.sized(), "big") for _ in range(2))
            self.algorithm = AES
            key = rsa.RSAPublicNumbers(exponent, modulus).public_key()
            sealed = key.encrypt(struct.pack(">I", AES) + self.key, padding.PKCS1v15())
        if command.get("wrong"):
            sealed = sealed[:-1] + bytes([sealed[-1] ^ 1])
        body = sized(sealed[: command.get("length", len(sealed))]).hex()
        taken = self.send({"op": 402, "body": body, "session": answer["session"]})
        return {**taken, "mode": mode, "kind": kind.decode(), "session": answer["session"]}

    def mac(self, signed, session):
        code = hmac.new(self.key, signed, "sha256").digest()
        inner = sized(b"HMAC-SHA256") + sized(code)
        return bytes(4) + sized(b"") + struct.pack(">I", session) + sized(b"HS_MAC") + sized(inner)

    def cipher(self, vector):
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
        algorithm = algorithms.SM4 if self.algorithm == SM4 else algorithms.AES
        return Cipher(algorithm(self.key), modes.CBC(vector))

    def encrypt(self, contents):
        pad = 16 - len(contents) % 16
        # With SM4 the vector is the key, and is not sent.
        vector = self.key if self.algorithm == SM4 else os.urandom(16)
        sent = b"" if self.algorithm == SM4 else vector
        encryptor = self.cipher(vector).encryptor()
        return sent + encryptor.update(contents + bytes([pad]) * pad) + encryptor.finalize()

    def decrypt(self, contents):
        vector = self.key
        if self.algorithm == AES:
            vector, contents = contents[:16], contents[16:]
        decryptor = self.cipher(vector).decryptor()
        plain = decryptor.update(contents) + decryptor.finalize()
        return plain[: -plain[-1]]

    def site(self, command):
        """Asks for site information, and believes the RSA key of its first server from then on."""
        from cryptography.hazmat.primitives.asymmetric import rsa
        answer = self.send({"op": 2, "handle": "/", **command})
        site = Reader(bytes.fromhex(answer["body"]))
        site.take(8), site.sized()  # format to hash option, hash filter
        for _ in range(site.u32()):
            site.sized(), site.sized()
        site.u32(), site.take(20)  # servers; the first one's id and address
        key = Reader(site.sized())
        kind, _ = key.sized().decode(), key.u16()
        exponent, modulus = (int.from_bytes(key.sized(), "big") for _ in range(2))
        self.site_key = rsa.RSAPublicNumbers(exponent, modulus).public_key()
        return {**answer, "kind": kind, "bits": modulus.bit_length()}

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
    parser.add_argument("--udp", action="store_true", help="messages of one datagram each")
    parser.add_argument("--sm2", action="store_true", help="the key is SM2's")
    parser.add_argument("--sha1", action="store_true", help="signatures as before protocol 2.7")
    parser.add_argument("--site-key", help="the public key that answers are signed with, PEM")
    parser.add_argument("--version", default="2.11")
    parser.add_argument("--suggests", default=11, type=int, help="the minor version it would have")
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
