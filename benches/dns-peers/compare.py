"""Whether all servers give the same answers, as far as codes and numbers of records tell."""

import os

import zone

# How many questions are compared.
COMPARED = 2_000


def compare(bench, running, data, transport, missing_share):
    """Asks all the same questions and fails where two answers differ."""
    count = min(COMPARED, data.names)
    questions = data.questions(f"compared-{count}",
                               lambda: zone.choose(data.names, count, 9), 10, missing_share)
    first = None
    for server in running:
        path = os.path.join(server.folder, f"answers-{transport}")
        asked = bench.ask(server, questions, [
            "--order", "file", "--queries", count, "--in-flight", 20, "--answers", path],
            transport)
        with open(path) as answers:
            lines = answers.read().splitlines()
        if len(lines) != count or asked["mismatched"]:
            raise RuntimeError(f"{server.label} answers {len(lines)} of {count} questions")
        first = first or (server, lines)
        for one, other in zip(first[1], lines):
            if one != other:
                raise RuntimeError(f"{first[0].label} and {server.label} answer differently "
                                   f"over {transport} (question, rcode, records of answer, "
                                   f"authority, additional): {one}; {other}")
    bench.say(f"  {count:,} answers compared: the same codes and numbers of records everywhere")
