#!/usr/bin/env python3
"""Reads an escrow deposit without any of the project's code: docs/escrow.md and the openssl program.

escrow_client.py DIRECTORY RECEIVER.pem SIGNER.pub: verifies and opens the deposit in a directory, and
writes its document to standard output. SM2, SM3 and SM4 are OpenSSL's; Galois hashing is done here.
"""

import io
import json
import subprocess
import sys
import tempfile
import zipfile
from base64 import b64decode
from pathlib import Path

USER_ID = "1234567812345678"


def run(*command, data=b""):
    done = subprocess.run(command, input=data, capture_output=True)
    if done.returncode:
        sys.exit(f"{command}: {done.stderr.decode()}{done.stdout.decode()}")
    return done.stdout


def sm3(data):
    return run("openssl", "dgst", "-sm3", "-binary", data=data)


def verify(line, signature, signer):
    with tempfile.TemporaryDirectory() as directory:
        message, proof = Path(directory, "message"), Path(directory, "proof")
        message.write_bytes(line)
        proof.write_bytes(signature)
        run("openssl", "pkeyutl", "-verify", "-pubin", "-inkey", signer, "-rawin", "-in", message,
            "-digest", "sm3", "-sigfile", proof, "-pkeyopt", f"distid:{USER_ID}")


def sm4(mode, key, iv, data):
    arguments = ["openssl", "enc", f"-sm4-{mode}", "-nopad", "-K", key.hex()]
    return run(*arguments, *(["-iv", iv.hex()] if iv else []), data=data)


def multiplied(left, right):
    """In GF(2^128), the first bit of a block its highest power (SP 800-38D, 6.3)."""
    product = 0
    for bit in range(127, -1, -1):
        if left >> bit & 1:
            product ^= right
        right = right >> 1 ^ (0xE1 << 120 if right & 1 else 0)
    return product


def table_of(h):
    """The multiples of h by each value of each byte."""
    powers = [multiplied(1 << bit, h) for bit in range(128)]
    tables = []
    for byte in range(16):
        row = [0] * 256
        for value in range(256):
            for bit in range(8):
                if value >> bit & 1:
                    row[value] ^= powers[byte * 8 + bit]
        tables.append(row)
    return tables


def ghash(tables, data, text):
    blocks = b"".join(part + bytes(-len(part) % 16) for part in (data, text))
    blocks += (len(data) * 8).to_bytes(8, "big") + (len(text) * 8).to_bytes(8, "big")
    state = 0
    for at in range(0, len(blocks), 16):
        state ^= int.from_bytes(blocks[at:at + 16], "big")
        state = 0 if not state else _times(tables, state)
    return state.to_bytes(16, "big")


def _times(tables, state):
    product = 0
    for byte in range(16):
        product ^= tables[byte][state >> (8 * byte) & 0xFF]
    return product


def opened(container, receiver):
    """What a container holds, its compression, and the receiver it names."""
    magic, version, compression, log2, reserved = container[:8], *container[8:12]
    assert (magic, version, log2, reserved) == (b"IDNESCRW", 1, 16, 0), "not a container"
    name, prefix = container[12:44], container[44:51]
    length = int.from_bytes(container[51:53], "big")
    header, rest = container[:53 + length], container[53 + length:]
    public = run("openssl", "pkey", "-in", receiver, "-pubout", "-outform", "DER")
    assert sm3(public) == name, "another receiver"
    key = run("openssl", "pkeyutl", "-decrypt", "-inkey", receiver, data=header[53:])
    assert len(key) == 16
    data, size = sm3(header), (1 << log2) + 16
    tables = table_of(int.from_bytes(sm4("ecb", key, b"", bytes(16)), "big"))
    plain, count = [], max(1, -(-len(rest) // size))
    for number in range(count):
        chunk = rest[number * size:(number + 1) * size]
        text, tag = chunk[:-16], chunk[-16:]
        nonce = prefix + number.to_bytes(4, "big") + bytes([number == count - 1])
        mask = sm4("ctr", key, nonce + (1).to_bytes(4, "big"), bytes(16))
        hashed = ghash(tables, data, text)
        assert bytes(a ^ b for a, b in zip(mask, hashed)) == tag, f"chunk {number}"
        if text:
            plain.append(sm4("ctr", key, nonce + (2).to_bytes(4, "big"), text))
    return b"".join(plain), compression


def main(directory, receiver, signer):
    directory = Path(directory)
    line, second, rest = (directory / "manifest").read_bytes().split(b"\n")
    assert not rest and second.startswith(b"SM2-SM3 ")
    verify(line, b64decode(second[8:], validate=True), signer)
    manifest = json.loads(line)
    container = b""
    for number, part in enumerate(manifest["parts"], 1):
        data = (directory / f"part-{number:05}").read_bytes()
        assert (part["number"], part["bytes"]) == (number, len(data)), f"part {number}"
        assert sm3(data).hex() == part["sm3"], f"part {number}"
        container += data
    packed, compression = opened(container, receiver)
    assert {1: "zip", 2: "zstd"}[compression] == manifest["compression"]
    if compression == 1:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            assert archive.namelist() == ["deposit.xml"] and archive.testzip() is None
            document = archive.read("deposit.xml")
    else:
        document = run("zstd", "-dc", data=packed)
    sys.stdout.buffer.write(document)


if __name__ == "__main__":
    main(*sys.argv[1:])
