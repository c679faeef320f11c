"""Three-node clusters of Kunlog's metadata log and of etcd, on this machine, with mutual TLS and fsync on."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid

from .common import Failure, free_ports, run

MEMBERS = 3


def end_with_parent():
    """In the child: a benchmark that is killed must leave no servers behind."""
    import ctypes
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


class Cluster:
    """Servers, three unless something else is said; subclasses know how one is started."""
    system = ""
    title = ""

    def __init__(self, kunlog, directory, members=MEMBERS):
        self.kunlog = kunlog
        self.members = members
        self.directory = os.path.join(directory, self.system)
        os.makedirs(self.directory)
        self.certificates = os.path.join(self.directory, "certificates")
        os.makedirs(self.certificates)
        self.processes = [None] * self.members
        # Where the members have file systems of their own (disks.MemberDisks).
        self.disks = None
        self.names = [f"{self.system}-{number + 1}" for number in range(self.members)]
        run([kunlog, "bench", "meta", "certificates", "--directory", self.certificates, "client=admin",
             *(f"{name}=meta" for name in self.names)])
        self.choose_ports()

    def choose_ports(self):
        self.ports = free_ports(self.members)

    def certificate(self, name):
        return [os.path.join(self.certificates, f"{name}.{kind}") for kind in ("crt", "key")]

    @property
    def authority(self):
        return os.path.join(self.certificates, "ca.crt")

    def data(self, member):
        path = os.path.join(self.directory, self.names[member])
        return os.path.join(path, "data") if self.disks else path

    def command(self, member):
        raise NotImplementedError

    def start_member(self, member):
        log = open(os.path.join(self.directory, f"{self.names[member]}.log"), "a", encoding="utf-8")
        self.processes[member] = subprocess.Popen(
            self.command(member), stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=end_with_parent)
        log.close()

    def start(self):
        for member in range(self.members):
            self.start_member(member)
        self.prepare()

    def prepare(self):
        """Waits for a leader; its position."""
        try:
            return json.loads(self.client("prepare", timeout=60))["leader"]
        except Failure as failure:
            raise Failure(f"{self.title} does not start: {failure}\n{self.last_lines()}") from None

    def last_lines(self):
        lines = []
        for name in self.names:
            with open(os.path.join(self.directory, f"{name}.log"), encoding="utf-8", errors="replace") as log:
                lines += [f"{name}: {line.rstrip()}" for line in log.readlines()[-5:]]
        return "\n".join(lines)

    def pids(self):
        return [process.pid for process in self.processes if process is not None and process.poll() is None]

    def signal_member(self, member, number):
        self.processes[member].send_signal(number)

    def kill_member(self, member):
        process = self.processes[member]
        if process is not None and process.poll() is None:
            process.kill()
            process.wait()
        self.processes[member] = None

    def stop(self, keep=False):
        for process in self.processes:
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
        for process in self.processes:
            if process is not None:
                try:
                    process.wait(15)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        self.processes = [None] * self.members
        if self.disks:
            self.disks.close()
        if not keep:
            shutil.rmtree(self.directory, ignore_errors=True)

    def endpoints(self, members=None):
        return ",".join(f"127.0.0.1:{self.ports[member]}" for member in members or range(self.members))

    def client_command(self, command, *arguments, members=None):
        certificate, key = self.certificate("client")
        return [
            self.kunlog, "bench", "meta", command, "--system", self.system, "--endpoints", self.endpoints(members),
            "--certificate", certificate, "--key", key, "--authority", self.authority, *map(str, arguments)]

    def client(self, command, *arguments, members=None, timeout=600):
        """Runs the client program to its end; what it printed."""
        return run(self.client_command(command, *arguments, members=members), timeout=timeout)

    def load(self, *flags, **options):
        """One measurement of the client program: its report."""
        arguments = list(flags)
        for name, value in options.items():
            arguments += ["--" + name.replace("_", "-"), value]
        for pid in self.pids():
            arguments += ["--process", pid]
        report = json.loads(self.client("load", *arguments))
        if report["completed"] == 0 or report["failed"] * 1000 > report["completed"]:
            raise Failure(f"{self.title}: {report['failed']} operations failed: {report.get('failure')}")
        return report

    def memory_bytes(self):
        """Resident memory of each server."""
        sizes = []
        for pid in self.pids():
            with open(f"/proc/{pid}/statm", encoding="ascii") as file:
                sizes.append(int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
        return sizes

    def transfer(self, leader, target):
        """Has the leader hand over to another member."""
        raise NotImplementedError


class KunlogCluster(Cluster):
    system = "kunlog"
    title = "Kunlog"

    def __init__(self, kunlog, directory, options=(), members=MEMBERS):
        self.cluster_id = uuid.uuid4().hex
        self.options = list(options)
        super().__init__(kunlog, directory, members)

    def version(self):
        return "this tree"

    def command(self, member):
        certificate, key = self.certificate(self.names[member])
        command = [
            self.kunlog, "meta", "--name", self.names[member], "--node-id", str(member + 1), "--cluster-id",
            self.cluster_id, "--listen", f"127.0.0.1:{self.ports[member]}", "--certificate", certificate, "--key", key,
            "--authority", self.authority, "--data", self.data(member), *self.options]
        for number, port in enumerate(self.ports):
            command += ["--member", f"{number + 1}=127.0.0.1:{port}"]
        return command

    def transfer(self, leader, target):
        certificate, key = self.certificate("client")
        run([
            self.kunlog, "meta", "transfer", "--endpoints", self.endpoints(), "--certificate", certificate, "--key", key,
            "--authority", self.authority, "--to", str(target + 1)], timeout=30)


class EtcdCluster(Cluster):
    system = "etcd"
    title = "etcd"

    def choose_ports(self):
        ports = free_ports(2 * self.members)
        self.ports, self.peer_ports = ports[:self.members], ports[self.members:]

    def version(self):
        return run(["etcd", "--version"]).split("\n")[0]

    def command(self, member):
        certificate, key = self.certificate(self.names[member])
        peer, client = (f"https://127.0.0.1:{ports[member]}" for ports in (self.peer_ports, self.ports))
        return [
            "etcd", "--name", self.names[member], "--data-dir", self.data(member), "--log-level", "error",
            "--listen-client-urls", client, "--advertise-client-urls", client,
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
            "--initial-cluster", ",".join(
                f"{name}=https://127.0.0.1:{port}" for name, port in zip(self.names, self.peer_ports)),
            "--initial-cluster-token", self.directory, "--initial-cluster-state", "new",
            "--cert-file", certificate, "--key-file", key, "--trusted-ca-file", self.authority, "--client-cert-auth",
            "--peer-cert-file", certificate, "--peer-key-file", key, "--peer-trusted-ca-file", self.authority,
            "--peer-client-cert-auth",
            # Its default of 2 GiB could fill up within a long run, and it would then refuse writes.
            "--quota-backend-bytes", str(8 << 30)]

    def transfer(self, leader, target):
        self.client("prepare", "--transfer-to", target, timeout=30)


def require_etcd():
    if not shutil.which("etcd"):
        raise Failure("etcd is missing: apt-get install etcd-server")


def find_kunlog(given, root):
    path = given or os.path.join(root, ".build", "release", "kunlog")
    if not os.access(path, os.X_OK):
        raise Failure(
            f"{path} is missing: swift build -c release --static-swift-stdlib --product kunlog, or name one with --kunlog")
    return path
