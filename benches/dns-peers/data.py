"""The identifiers of a case, in the forms that servers and load generator read. Files are made
when they are first wanted, and stay in the work directory."""

import os

import zone

# Identifiers from which on files that are in a database are not kept beside it.
BIG = 2_000_000


class Data:
    def __init__(self, work, names):
        self.names = names
        self.work = work
        self.folder = os.path.join(work, f"data-{names}")
        os.makedirs(self.folder, exist_ok=True)

    def made(self, name, write):
        """The path of a file that `write` writes if it is not there."""
        path = os.path.join(self.folder, name)
        if not os.path.exists(path):
            write(path + ".part")
            os.rename(path + ".part", path)
        return path

    @property
    def zone_file(self):
        return self.made("zone", lambda path: zone.write_zone(path, self.names))

    @property
    def import_file(self):
        return self.made("import.csv", lambda path: zone.write_import(path, self.names))

    def imported(self, name):
        """A database has what this file holds: a big one makes room, it can be made again."""
        path = os.path.join(self.folder, name)
        if self.names >= BIG and os.path.exists(path):
            os.unlink(path)

    def questions(self, name, numbers, seed, missing_share=0.0):
        """A file of questions for these numbers; `name` stands for all the arguments."""
        return self.made(f"questions-{name}", lambda path: zone.write_questions(
            path, numbers(), seed, missing_share))

    def store(self, server):
        """A folder in which a server's database of this data is kept for further runs."""
        path = os.path.join(self.work, "stores", f"{server}-{self.names}")
        os.makedirs(path, exist_ok=True)
        return path
