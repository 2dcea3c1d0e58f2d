"""The data: the same identifiers as a zone file, as a file that idctl imports, and as questions."""

import random

PREFIX = "88.118.8"
ZONE = "id.example."
TTL_S = 3600
# The names of all identifiers, below the zone: docs/dns.md, "Names".
BELOW = "88-118-8.hdl"
# A 统一社会信用代码 whose check character is right.
CERTIFICATE_CODE = "91110000600037341L"


def identifier(number):
    return f"{PREFIX}/YE3{number:010d}"


def owner(number):
    return f"ye3{number:010d}.{BELOW}"


def url(number):
    return f"https://id.example.cn/p/{number:010d}"


def write_zone(path, names):
    """What the node answers for these identifiers, in the form that all servers read. The node
    has URI records too, which nobody is asked for here."""
    with open(path, "w", buffering=1 << 20) as out:
        out.write(f"$ORIGIN {ZONE}\n$TTL {TTL_S}\n")
        out.write("@ SOA ns1 hostmaster 1 3600 600 1209600 300\n@ NS ns1\nns1 A 127.0.0.1\n")
        for number in range(names):
            name, link = owner(number), url(number)
            out.write(
                f'{name} NAPTR 100 1 "U" "https+I2R" "!^.*$!{link}!" .\n'
                f'{name} TXT "identifier={identifier(number)}"\n'
                f'{name} TXT "index=1 type=URL data={link}"\n'
            )


def write_import(path, names, mark="YE3", edition=""):
    """The same as CSV for idctl import; with another mark, other identifiers, with an edition
    other values."""
    with open(path, "w", buffering=1 << 20) as out:
        out.write("identifier,index,type,data,ttl\n")
        for number in range(names):
            out.write(f"{PREFIX}/{mark}{number:010d},1,URL,{url(number)}{edition},{TTL_S}\n")


def write_questions(path, numbers, seed, missing_share=0.0):
    """A question for each of the numbers, in that order, NAPTR and TXT by turns; a share of them
    for names that do not exist, spread evenly."""
    chance = random.Random(seed)
    with open(path, "w", buffering=1 << 20) as out:
        for place, number in enumerate(numbers):
            kind = ("NAPTR", "TXT")[place % 2]
            if chance.random() < missing_share:
                out.write(f"no{number:010d}.{BELOW}.{ZONE} {kind}\n")
            else:
                out.write(f"{owner(number)}.{ZONE} {kind}\n")


def choose(names, asked, seed):
    """The numbers of `asked` identifiers at random, each once."""
    return random.Random(seed).sample(range(names), min(asked, names))
