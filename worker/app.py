"""The Celery application. Redis only rings: messages carry a row number, the ledger says what is due and who has it."""

from celery import Celery

from worker.settings import Settings

RESTORE_QUEUE, DELIVER_QUEUE = "restore", "deliver"

app = Celery("thinslice", include=["worker.tasks"])
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    task_serializer="json",
    accept_content=["json"],
    worker_prefetch_multiplier=1,
    worker_soft_shutdown_timeout=30,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        "visibility_timeout": 86400,
        "unacked_restore_interval": 2,
        "unacked_restore_throttle": 1,
    },
    task_routes={"worker.restore": {"queue": RESTORE_QUEUE}, "worker.deliver": {"queue": DELIVER_QUEUE}},
)


def configure(settings: Settings) -> Celery:
    """Point the application at the broker."""
    app.conf.broker_url = settings.worker.broker_url
    return app
