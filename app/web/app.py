"""The web application: the vendors' door, the API, health and metrics."""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing.util import Finalize

from flask import Flask

from app.pipeline.notifier import Notifier
from app.pipeline.receipts import ReceiptWriter
from app.pipeline.receive import Receiver
from app.web import answers, api, bridges, health, metrics, openapi, webhooks
from app.web.auth import Door
from app.web.bridges import Answering
from app.web.ports import WebServices

#: Where the application keeps the function that ends its threads.
CLOSE = "backhaul.close"


def create_app(services: WebServices) -> Flask:
    """The WSGI application of a built hub, with its writer of receipts running.

    `app.extensions[CLOSE]()` writes what waits and ends the threads; it also happens when the process ends. Raises
    ConfigError when a connection's messages could not be verified.
    """
    # No static files, no templates: nothing is served from disk.
    app = Flask("backhaul", static_folder=None, template_folder=None)
    app.url_map.strict_slashes = False
    # A redirect would tell what is there, and nobody follows one with a POST.
    app.url_map.merge_slashes = False
    notifier = Notifier(services.wakes.wake if services.wakes else _wake_nobody)
    receipts = ReceiptWriter(services.ledger, notifier.tell)
    answering = Answering(services, receipts.reject) if services.site.bridges else None
    door = Door(services.site.hub, services.ledger, services.clock)
    # The server forks its workers, which end without the handlers of `atexit`; these run in both cases.
    close = Finalize(app, _closer(receipts, notifier, answering, door), exitpriority=10)
    app.extensions[CLOSE] = close
    receiver = Receiver(services.site, receipts, services.clock, services.ids)
    answers.install(app, services.ids)
    door.install(app)
    app.register_blueprint(webhooks.blueprint(receiver))
    app.wsgi_app = webhooks.ShortWay(  # type: ignore[method-assign]
        receiver, app.wsgi_app, lambda failed: answers.unexpected(failed, services.ids)
    )
    if answering:
        app.register_blueprint(bridges.blueprint(answering.bridges))
    app.register_blueprint(api.blueprint(services, services.site.masker(), door))
    app.register_blueprint(openapi.blueprint())
    app.register_blueprint(health.blueprint(services.ledger, services.clock))
    app.register_blueprint(metrics.blueprint(services.site, services.ledger, services.clock))
    return app


def _wake_nobody(lane: str) -> None:
    """The clock finds the work."""


def _closer(receipts: ReceiptWriter, notifier: Notifier, answering: Answering | None, door: Door) -> Callable[[], None]:
    def close() -> None:
        door.close()
        if answering:
            answering.close()
        receipts.close()
        notifier.close()

    return close
