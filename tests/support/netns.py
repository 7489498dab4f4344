"""Hosts of a test's own: network namespaces whose cables (veth pairs) end in a switch, a bridge in a namespace that
nobody else uses. All see the machine's files, as cluster nodes see a shared folder.

    with Hosts(2) as (one, two):
        two.run("ping", "-c", "1", one.address)
        two.unplug()

Needs root and the right to make namespaces: why_not() says what is missing.
"""

import contextlib
import itertools
import os
import pathlib
import subprocess

_numbers = itertools.count(1)


def _ip(*words, check=True):
    return subprocess.run(["ip", *map(str, words)], capture_output=True, text=True, check=check)


def why_not():
    """Why there can be no such hosts here; nothing when there can."""
    try:
        with Hosts(1):
            return None
    except FileNotFoundError:
        return "not installed: ip (deploy/bootstrap --tests)"
    except subprocess.CalledProcessError as error:
        return f"network namespaces do not work here: {error.stderr.strip()}"


def why_no_shaping():
    """Why the kernel cannot limit a rate; nothing when it can."""
    unusable = why_not()
    if unusable:
        return unusable
    try:
        with Hosts(1) as (host,):
            host.limit("1gbit")
            return None
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        return f"no token bucket (tc … tbf) here: {getattr(error, 'stderr', error)}"


class Host:
    """`address`: where the others reach it; `name`: its namespace."""

    def __init__(self, name, switch, number):
        self.name = name
        self.switch = switch
        self.port = f"port{number}"
        self.address = f"10.77.0.{number}"

    def command(self, *words):
        """`words` as a command line that runs on this host; its process is the command's own."""
        return ["ip", "netns", "exec", self.name, *map(str, words)]

    def run(self, *words, timeout=60, check=True, **more):
        result = subprocess.run(self.command(*words), capture_output=True, text=True, timeout=timeout, **more)
        assert not check or result.returncode == 0, f"{words}: {result.stdout}{result.stderr}"
        return result

    def unplug(self):
        """Pulls the cable out of the switch: nothing goes through, and nobody is told."""
        _ip("-n", self.switch, "link", "set", self.port, "down")

    def plug_in(self):
        _ip("-n", self.switch, "link", "set", self.port, "up")

    def limit(self, rate):
        """At most so much each way: "10mbit"."""
        for namespace, device in ((self.name, "eth0"), (self.switch, self.port)):
            subprocess.run(["tc", "-n", namespace, "qdisc", "replace", "dev", device, "root", "tbf", "rate", rate, "burst",
                            "128kb", "latency", "50ms"], capture_output=True, text=True, check=True)


class Hosts:
    def __init__(self, count):
        self.prefix = f"mdgen{os.getpid()}-{next(_numbers)}"
        self.switch = f"{self.prefix}-switch"
        self.hosts = [Host(f"{self.prefix}-h{number}", self.switch, number) for number in range(1, count + 1)]

    def __enter__(self):
        try:
            self._make()
        except BaseException:
            self.__exit__()
            raise
        return self.hosts

    def __exit__(self, *_):
        with contextlib.suppress(FileNotFoundError):
            for name in [host.name for host in self.hosts] + [self.switch]:
                _ip("netns", "del", name, check=False)

    def _make(self):
        _ip("netns", "add", self.switch)
        _ip("-n", self.switch, "link", "add", "bridge", "type", "bridge")
        _ip("-n", self.switch, "link", "set", "bridge", "up")
        for host in self.hosts:
            _ip("netns", "add", host.name)
            _ip("-n", host.name, "link", "set", "lo", "up")
            _ip("-n", host.name, "link", "add", "eth0", "type", "veth", "peer", "name", host.port, "netns", self.switch)
            _ip("-n", self.switch, "link", "set", host.port, "master", "bridge", "up")
            _ip("-n", host.name, "address", "add", f"{host.address}/24", "dev", "eth0")
            _ip("-n", host.name, "link", "set", "eth0", "up")


def remote_shell(folder, hosts):
    """A program in ssh's place: `PROGRAM ADDRESS COMMAND…` runs the command on the host with that address, under a host
    name of its own. For mpirun's --mca plm_rsh_agent."""
    program = pathlib.Path(folder) / "remote_shell"
    cases = "\n".join(f"  {host.address}) name={host.name} ;;" for host in hosts)
    program.write_text(
        f'#!/bin/bash\naddress=$1; shift\ncase $address in\n{cases}\n  *) exit 255 ;;\nesac\n'
        'exec ip netns exec "$name" unshare --uts bash -c "hostname $name; $*"\n')
    program.chmod(0o755)
    return program
