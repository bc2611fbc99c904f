"""The application: routes that fetch what is read elsewhere, and put it into a page."""

import time
from collections.abc import Callable
from typing import Any, Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from driftline.api.guard import KeyRing
from driftline.console import column, quality
from driftline.console.alerts import alert_page, alerts_page
from driftline.console.books import Books
from driftline.console.config import ConsoleConfig
from driftline.console.doorkeeper import LOGIN, REPORT_PAGE, STATIC, Doorkeeper
from driftline.console.forms import choice, own_path, read_form, time_us, whole
from driftline.console.live import Live
from driftline.console.overview import TRAFFIC_HOURS, overview
from driftline.console.predictions import find_prediction
from driftline.console.reading import Reading, reading
from driftline.console.rendering import STATIC_DIR, make_environment
from driftline.console.reports import Asked, Reports
from driftline.console.sessions import COOKIE, SESSION_S, Sessions
from driftline.errors import MonitorError, ProfileError
from driftline.monitor.history import AlertHistory
from driftline.monitor.judge import ALL

_UNBUFFERED: Final = {"x-accel-buffering": "no"}
"""Proxies would else keep events until there are enough of them."""
_NOT_FOUND: Final = 404
_FAILED: Final = 500
_UNAVAILABLE: Final = 503
_PROBLEMS: Final = {"busy": "One is being made; one at a time.", "time": "A time could not be read."}


class Console:
    """The pages, and what goes on behind them.

    Args:
        config: See :class:`ConsoleConfig`.

    Attributes:
        app: Answers requests.
    """

    def __init__(self, config: ConsoleConfig) -> None:
        self._config = config
        self._live = Live(config.store)
        self._books = Books(config.outbox_dir, config.log_dir, self._live.tell)
        self._reports = Reports(config.reports_dir, config.data)
        keys = None if config.keys is None else KeyRing(config.keys)
        self._sessions = None if keys is None else Sessions(keys)
        self._templates = make_environment(config.app_name, guarded=keys is not None)
        pages = Starlette(
            routes=[
                Route("/", self._overview),
                Route("/columns", self._column),
                Route("/columns/{name:path}", self._column),
                Route("/predictions", self._predictions),
                Route("/quality", self._quality),
                Route("/alerts", self._alerts),
                Route("/alerts/{alert_id}", self._alert),
                Route("/reports", self._reports_page),
                Route("/reports", self._make_report, methods=["POST"]),
                Route(f"/reports/{{report_id}}{REPORT_PAGE}", self._report),
                Route("/events", self._events),
                Route(LOGIN, self._login),
                Route(LOGIN, self._log_in, methods=["POST"]),
                Route("/logout", self._log_out, methods=["POST"]),
                Mount(STATIC, StaticFiles(directory=STATIC_DIR)),
            ],
            exception_handlers={
                HTTPException: self._on_http_error,
                MonitorError: self._on_monitor_error,
                Exception: self._on_failure,
            },
        )
        pages.router.redirect_slashes = False
        # Around all of it, so that what fails has safe headers, too.
        self.app = Doorkeeper(pages, keys, self._sessions, config.any_host)

    async def stop(self) -> None:
        """Ends what goes on in the background."""
        self._live.stop()
        await self._reports.stop()

    # -- pages

    async def _overview(self, request: Request) -> Response:
        hours = choice(request, "hours", TRAFFIC_HOURS)
        counted = self._books.latest()
        return await self._page(
            "overview.html", lambda found: {**overview(found, _now_us(), hours), "counted": counted}
        )

    async def _column(self, request: Request) -> Response:
        query = request.query_params
        asked = column.Asked(
            request.path_params.get("name") or query.get("name", ""),
            query.get("stream") or ALL,
            query.get("version") or None,
            whole(query.get("window")),
            choice(request, "together", column.TOGETHER),
        )

        def context(found: Reading) -> dict[str, Any]:
            try:
                return column.column_page(found, asked)
            except ProfileError as error:
                raise HTTPException(_NOT_FOUND, error.message) from error

        return await self._page("column.html", context)

    async def _predictions(self, request: Request) -> Response:
        asked = request.query_params.get("id", "").strip()
        log_dir = self._config.log_dir
        return await self._page(
            "predictions.html",
            lambda found: {"asked": asked, "found": find_prediction(found, log_dir, asked) if asked else None},
        )

    async def _quality(self, request: Request) -> Response:
        query = request.query_params
        maturity_us = whole(query.get("maturity"))
        asked = quality.Asked(
            choice(request, "together", quality.TOGETHER),
            query.get("segment") or None,
            query.get("version") or None,
            maturity_us if maturity_us in quality.MATURITIES else None,
        )
        return await self._page("quality.html", lambda found: quality.quality_page(found, asked, _now_us()))

    async def _alerts(self, _: Request) -> Response:
        now_us = _now_us()
        return await self._page(
            "alerts.html",
            lambda found: alerts_page(found, now_us),
        )

    async def _alert(self, request: Request) -> Response:
        alert_id = request.path_params["alert_id"]

        def context(found: Reading) -> dict[str, Any]:
            shown = alert_page(found, alert_id)
            if shown is None:
                raise HTTPException(_NOT_FOUND, "There is no such alert; old ones are forgotten.")
            return shown

        return await self._page("alert.html", context)

    async def _reports_page(self, request: Request) -> Response:
        made, usual_s = await run_in_threadpool(lambda: (self._reports.all(), self._reports.usual_s()))
        return self._rendered(
            "reports.html",
            {
                "reports": made,
                "usual_s": usual_s,
                "running": self._reports.running,
                "can_make": self._reports.can_make,
                "problem": _PROBLEMS.get(request.query_params.get("problem", "")),
                "now_us": _now_us(),
            },
        )

    async def _make_report(self, request: Request) -> Response:
        form = await read_form(request)
        try:
            times = {name: time_us(form.get(name, "")) for name in Asked.__struct_fields__ if name.endswith("_us")}
        except ValueError:
            return RedirectResponse("/reports?problem=time", 303)
        asked = Asked(**times, rows=whole(form.get("rows")))
        began = self._reports.can_make and self._reports.begin(asked)
        return RedirectResponse("/reports" if began else "/reports?problem=busy", 303)

    async def _report(self, request: Request) -> Response:
        path = await run_in_threadpool(self._reports.page, request.path_params["report_id"])
        if path is None:
            raise HTTPException(_NOT_FOUND, "There is no such report; the oldest are removed.")
        return FileResponse(path, media_type="text/html")

    async def _events(self, _: Request) -> Response:
        return StreamingResponse(self._live.events(), media_type="text/event-stream", headers=_UNBUFFERED)

    # -- the way in

    async def _login(self, request: Request) -> Response:
        asked = own_path(request.query_params.get("next", "/"))
        return self._rendered("login.html", {"next": asked, "wrong": False})

    async def _log_in(self, request: Request) -> Response:
        form = await read_form(request)
        asked = own_path(form.get("next", "/"))
        if self._sessions is None:
            return RedirectResponse(asked, 303)
        value = self._sessions.begin(form.get("key", "").strip(), time.time(), time.monotonic())
        if value is None:
            return self._rendered("login.html", {"next": asked, "wrong": True}, status=401)
        response = RedirectResponse(asked, 303)
        response.set_cookie(
            COOKIE, value, max_age=SESSION_S, httponly=True, samesite="strict", secure=self._config.secure
        )
        return response

    async def _log_out(self, _: Request) -> Response:
        response = RedirectResponse(LOGIN, 303)
        response.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=self._config.secure)
        return response

    # -- how pages are made

    async def _page(self, template: str, context: Callable[[Reading], dict[str, Any]]) -> Response:
        def made() -> Response:
            with reading(self._config.store) as found:
                return self._rendered(
                    template, {**context(found), "open_alerts": sum(AlertHistory(found.connection).counts().values())}
                )

        return await run_in_threadpool(made)

    def _rendered(self, template: str, context: dict[str, Any], status: int = 200) -> Response:
        text = self._templates.get_template(template).render({"open_alerts": 0, **context})
        return HTMLResponse(text, status)

    async def _on_http_error(self, _: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return self._rendered("error.html", {"status": error.status_code, "detail": error.detail}, error.status_code)

    async def _on_failure(self, _: Request, error: Exception) -> Response:
        del error  # it is raised again, and logged, once this has been sent
        return self._rendered("error.html", {"status": _FAILED, "detail": "This page could not be made."}, _FAILED)

    async def _on_monitor_error(self, _: Request, error: Exception) -> Response:
        assert isinstance(error, MonitorError)
        return self._rendered("error.html", {"status": _UNAVAILABLE, "detail": error.message}, _UNAVAILABLE)


def _now_us() -> int:
    return time.time_ns() // 1000
