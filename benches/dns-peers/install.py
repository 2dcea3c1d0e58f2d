"""The peers as Debian has them, unpacked into the work directory: nothing is installed, so
nothing is started and nothing of the machine changes."""

import os
import shutil
import subprocess

# Packages by server.
PACKAGES = {"nsd": ["nsd"], "knot": ["knot"], "bind": ["bind9"],
            "pdns": ["pdns-server", "pdns-backend-lmdb"]}


class Peers:
    """Where the peers' programs and libraries are."""

    def __init__(self, work):
        self.root = os.path.join(work, "peers")
        self.debs = os.path.join(work, "debs")

    def install(self, chosen):
        """Downloads what the chosen servers need and unpacks it, once."""
        packages = [package for server in sorted(set(chosen) & set(PACKAGES))
                    for package in PACKAGES[server]]
        done = os.path.join(self.root, ".complete-" + "-".join(packages))
        if not packages or os.path.exists(done):
            return
        os.makedirs(os.path.join(self.debs, "partial"), exist_ok=True)
        os.makedirs(self.root, exist_ok=True)
        command = ["apt-get", "install", "-qq", "-y", "--no-install-recommends", "--download-only",
                   "--reinstall", "-o", f"Dir::Cache::archives={self.debs}",
                   "-o", "Debug::NoLocking=true"] + packages
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        for deb in sorted(os.listdir(self.debs)):
            if deb.endswith(".deb"):
                subprocess.run(["dpkg-deb", "-x", os.path.join(self.debs, deb), self.root],
                               check=True)
        open(done, "w").close()

    def program(self, name):
        """The path of a program, or nothing if it is not there."""
        for folder in ("usr/sbin", "usr/bin"):
            path = os.path.join(self.root, folder, name)
            if os.path.exists(path):
                return path
        return shutil.which(name)

    def library_folder(self, name):
        """The folder with this file or folder among the unpacked libraries."""
        for folder, folders, files in os.walk(os.path.join(self.root, "usr/lib")):
            if name in files or name in folders:
                return folder
        return None

    def environment(self):
        """The environment in which the unpacked programs find their libraries."""
        folders = [folder for folder, _, files in os.walk(os.path.join(self.root, "usr/lib"))
                   if any(".so" in file for file in files)]
        return dict(os.environ, LD_LIBRARY_PATH=":".join(sorted(folders)))

    def version(self, package):
        """A peer's version as dpkg writes it, if it was downloaded."""
        for deb in os.listdir(self.debs) if os.path.isdir(self.debs) else []:
            if deb.startswith(package + "_"):
                # An archive's file name writes the colon of an epoch as %3a.
                return deb.split("_")[1].replace("%3a", ":")
        return None
