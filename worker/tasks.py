"""The Celery tasks, and the bell that sends them. An argument is a row number and nothing else."""

from celery import Task, shared_task
from kombu.exceptions import OperationalError

from worker.app import configure
from worker.errors import BrokerError
from worker.settings import Settings
from worker.steps.deliver import deliver
from worker.steps.restore import restore_job
from worker.wiring import Node, open_node


def node_of(task: Task) -> Node:
    """This process's node, opened at first use: connections must not be shared across a fork."""
    node: Node | None = task.app.conf.get("thinslice_node")
    if node is None:
        node = open_node(task.app.conf.thinslice_settings, "worker")
        task.app.conf.thinslice_node = node
    return node


@shared_task(name="worker.restore", bind=True)
def restore_task(self: Task, job_id: int) -> bool:
    """Restore a job, if it is still due."""
    return restore_job(node_of(self), job_id)


@shared_task(name="worker.deliver", bind=True)
def deliver_task(self: Task, delivery_id: int) -> bool:
    """Take a delivery one step further, if it is still due."""
    return deliver(node_of(self), delivery_id)


class CeleryBell:
    """Rings through the broker. Should the broker be away, the clock rings again later."""

    def __init__(self, settings: Settings) -> None:
        self._app = configure(settings)

    def restore(self, job_id: int) -> None:
        """Tell a worker that a job is queued."""
        self._send("worker.restore", job_id)

    def deliver(self, delivery_id: int) -> None:
        """Tell a worker that a delivery is due."""
        self._send("worker.deliver", delivery_id)

    def _send(self, name: str, number: int) -> None:
        try:
            self._app.send_task(name, args=[number], retry=False)
        except OperationalError as error:
            raise BrokerError(f"the broker does not answer: {error}") from error
