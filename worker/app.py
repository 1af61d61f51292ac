"""The Celery application. Redis only rings: messages carry a row number, the ledger says what is due and who has it."""

from celery import Celery

from worker.settings import Settings

RESTORE_QUEUE, DELIVER_QUEUE = "restore", "deliver"
# Workers read their queues in the order of the alphabet, capitals first: urgent rows, then what is nearly done.
STAT_PREFIX = "STAT."
BROKER_TIMEOUT_S = 10.0

app = Celery("thinslice", include=["worker.tasks"])
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    task_serializer="json",
    accept_content=["json"],
    worker_prefetch_multiplier=1,
    worker_disable_prefetch=True,
    worker_enable_prefetch_count_reduction=False,
    worker_soft_shutdown_timeout=30,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
)


def configure(settings: Settings) -> Celery:
    """Point the application at the broker, with a visibility timeout that no task reaches."""
    app.conf.broker_url = settings.worker.broker_url
    app.conf.broker_transport_options = {
        "visibility_timeout": int(2 * settings.worker.job_limit_s) + 3600,
        "unacked_restore_interval": 2,
        "unacked_restore_throttle": 1,
        "queue_order_strategy": "sorted",
        "socket_connect_timeout": BROKER_TIMEOUT_S,
        "socket_timeout": BROKER_TIMEOUT_S,
        "socket_keepalive": True,
    }
    return app


def queue_for(queue: str, priority: int) -> str:
    """Name of the queue for rows of a priority: the urgent ones have one of their own."""
    return STAT_PREFIX + queue if priority > 0 else queue


def queues_of(queues: str) -> str:
    """The queues that a worker reads for those it is told, comma-separated: each with the one for urgent rows."""
    names = [name.strip() for name in queues.split(",")]
    return ",".join(name for queue in names for name in (queue_for(queue, 1), queue))
