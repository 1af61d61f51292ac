"""Carries out the blows of a soak's plan, one after the other, and counts them."""

import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import psutil
import redis

from tests.faults.kit.cluster import Cluster
from tests.faults.kit.holders import family
from tests.servers import Pacs, Server, ServerError
from tests.soak.plan import Action


@dataclass
class Chaos:
    """The parts that may be hit, and how often each blow fell."""

    cluster: Cluster
    pacs: Pacs
    redis: Server
    postgres: Server
    counts: Counter[str] = field(default_factory=Counter)
    troubles: list[str] = field(default_factory=list)

    def run(self, plan: Iterator[Action], until: float) -> None:
        """Follow the plan until ``time.monotonic()`` is past ``until``; every part runs again at the end."""
        for action in plan:
            time.sleep(max(min(action.pause_s, until - time.monotonic()), 0))
            if time.monotonic() >= until:
                break
            try:
                self._do(action)
            except (ServerError, OSError, redis.RedisError) as error:
                self.troubles.append(f"{action.what}: {type(error).__name__}")
            self.counts[action.what] += 1
            self.revive()

    def revive(self) -> None:
        """Start again whatever does not run, as systemd would."""
        for server in (self.redis, self.postgres, self.pacs):
            if server.daemon.process is None or server.daemon.process.poll() is not None:
                server.daemon.start()
        for name, part in list(self.cluster.parts.items()):
            if part.poll() is not None:
                self.counts["ended by itself"] += 1
                self.cluster.start_part(name)

    def line(self) -> str:
        """How often each blow fell, in short."""
        blows = dict.fromkeys(("kill", "freeze", "end", "flush"), 0)
        for what, count in self.counts.items():
            kind = what.partition(" ")[0]
            if kind in blows and what != "ended by itself":
                blows[kind] += count
        bounces = ", ".join(f"{self.counts[f'restart {name}']} of {name}" for name in ("redis", "pacs", "postgres"))
        return (
            f"{blows['kill']} kills, {blows['freeze']} freezes, {blows['end']} SIGTERMs, {blows['flush']} flushes, "
            f"bounces {bounces}"
        )

    def details(self) -> list[str]:
        """Blows that could not be carried out, and workers that ended without one, if any."""
        ended = self.counts["ended by itself"]
        return self.troubles + ([f"{ended} processes ended by themselves"] if ended else [])

    def _do(self, action: Action) -> None:
        kind, _, what = action.what.partition(" ")
        if kind == "restart":
            self._bounce({"redis": self.redis, "pacs": self.pacs, "postgres": self.postgres}[what], action.lasts_s)
        elif kind == "flush":
            redis.Redis.from_url(self.redis.url).flushall()
        else:
            names = sorted(name for name in self.cluster.parts if name.startswith(what))
            self._hit(kind, names[int(action.which * len(names))], action.lasts_s)

    def _bounce(self, server: Server, lasts_s: float) -> None:
        # PostgreSQL's postmaster ends its children on SIGQUIT alone, as pg_ctl stop -m immediate does.
        server.daemon.stop(signal.SIGQUIT if server is self.postgres else signal.SIGKILL)
        time.sleep(lasts_s)
        server.daemon.start()

    def _hit(self, kind: str, name: str, lasts_s: float) -> None:
        if kind == "kill":
            self.cluster.kill_part(name)
            self.cluster.start_part(name)
        elif kind == "end":  # a deploy: the old one ends in its own time, a new one starts beside it
            old = self.cluster.parts.pop(name)
            old.terminate()
            threading.Thread(target=old.wait, daemon=True).start()
            self.cluster.start_part(name)
        else:
            _freeze(self.cluster.parts[name].pid, lasts_s)


def _freeze(pid: int, lasts_s: float) -> None:
    frozen = family(pid)
    for process in frozen:
        _signal(process, signal.SIGSTOP)
    time.sleep(lasts_s)
    for process in frozen:
        _signal(process, signal.SIGCONT)


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return
