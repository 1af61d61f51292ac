"""The Celery tasks, and the bell that sends them. An argument is a row number and nothing else."""

from celery import Task, shared_task
from kombu.exceptions import OperationalError

from worker.app import DELIVER_QUEUE, RESTORE_QUEUE, configure, queue_for
from worker.errors import BrokerError
from worker.hands import Hands
from worker.settings import Settings


def hands_of(task: Task) -> Hands:
    """What works in this process; ``serve`` put it there."""
    hands: Hands = task.app.conf.thinslice_hands
    return hands


@shared_task(name="worker.restore", bind=True)
def restore_task(self: Task, job_id: int) -> None:
    """Restore a job, if one is due."""
    hands_of(self).restore(job_id)


@shared_task(name="worker.deliver", bind=True)
def deliver_task(self: Task, delivery_id: int) -> None:
    """Take a delivery one step further, if it is still due."""
    hands_of(self).deliver(delivery_id)


class CeleryBell:
    """Rings through the broker. Should the broker be away, the clock rings again later."""

    def __init__(self, settings: Settings) -> None:
        self._app = configure(settings)

    def restore(self, job_id: int, priority: int = 0) -> None:
        """Tell a worker that a job is queued."""
        self._send("worker.restore", job_id, queue_for(RESTORE_QUEUE, priority))

    def deliver(self, delivery_id: int, priority: int = 0) -> None:
        """Tell a worker that a delivery is due."""
        self._send("worker.deliver", delivery_id, queue_for(DELIVER_QUEUE, priority))

    def _send(self, name: str, number: int, queue: str) -> None:
        try:
            self._app.send_task(name, args=[number], queue=queue, retry=False)
        except OperationalError as error:
            raise BrokerError(f"the broker does not answer: {error}") from error
