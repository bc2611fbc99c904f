"""What is known of a path before anybody looks at the request: its route's label, what it promises, how it refuses."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from starlette.routing import BaseRoute, Route

from driftline.api.metrics import OTHER_ROUTE
from driftline.contract.problems import Answer

Form = Callable[[Answer], Answer]
"""Tells a problem, as :func:`~driftline.contract.problems.problem` makes it, in the words of another protocol."""


class KeptRoute(Route):
    """A route whose answers promise that something is kept, and whose refusals are counted by reason.

    Args:
        path: May have parameters: ``/models/{name}/predict``.
        endpoint: Answers a POST.
        timed: Whether each answer is that of one prediction, and counts in the metric of how long one takes.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], *, timed: bool = False) -> None:
        super().__init__(path, endpoint, methods=["POST"])
        self.timed: Final = timed


class Place(NamedTuple):
    """What is known of a path.

    Attributes:
        route: Its label in metrics: the path of the route with the names of parameters, never with their values.
        kept: See :class:`KeptRoute`.
        timed: See :class:`KeptRoute`.
        form: How problems are told here; None as problem documents.
    """

    route: str = OTHER_ROUTE
    kept: bool = False
    timed: bool = False
    form: Form | None = None

    def told(self, answer: Answer) -> Answer:
        """Returns a problem as it is told here."""
        return answer if self.form is None else self.form(answer)


class Routes:
    """The places of all paths.

    Args:
        routes: The application's; of several for one path the first counts, as it does for who answers.
        forms: How problems are told at a path and at all that is below it; of two that fit, the longer.
    """

    def __init__(self, routes: Iterable[BaseRoute], forms: Mapping[str, Form]) -> None:
        self._forms: Final = sorted(forms.items(), key=lambda item: len(item[0]), reverse=True)
        self._plain: Final[dict[str, Place]] = {}
        self._with_parameters: Final[list[tuple[Route, Place]]] = []
        for route in routes:
            if not isinstance(route, Route):
                continue
            kept = isinstance(route, KeptRoute)
            place = Place(route.path, kept, isinstance(route, KeptRoute) and route.timed, self._form(route.path))
            if route.param_convertors:
                self._with_parameters.append((route, place))
            else:
                self._plain.setdefault(route.path, place)

    def place(self, path: str) -> Place:
        """Returns what is known of a request's path."""
        found = self._plain.get(path)
        if found is not None:
            return found
        for route, place in self._with_parameters:
            if route.path_regex.match(path):
                return place
        return Place(form=self._form(path))

    def forms(self) -> Iterable[Form | None]:
        """Returns every form that a place may have."""
        return [None, *(form for _, form in self._forms)]

    def _form(self, path: str) -> Form | None:
        for prefix, form in self._forms:
            if path == prefix or path.startswith(f"{prefix}/"):
                return form
        return None
