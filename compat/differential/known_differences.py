"""Where Trackway answers otherwise than stock MLflow 3.17.2, each with its reason.

A difference that is not here fails the differential tests. Most are of one kind: stock answers 500, which its own
client retries for minutes, where the request is to blame.
"""

import dataclasses
from collections.abc import Callable


@dataclasses.dataclass
class Known:
    reason: str
    applies: Callable  # (call, stock's answer, our answer, where they differ) -> bool


def fails_in_stock(*routes: str, told: str = ""):
    """Stock fails with 500, ours refuses with 4xx and says why."""

    def applies(call, stock, ours, where):
        return (
            any(call.route.endswith(route) for route in routes)
            and stock.status == 500
            and 400 <= ours.status < 500
            and told in stock.text
            and bool(ours.message)
        )

    return applies


def other_code(routes: tuple[str, ...], stock_code: str, our_codes: tuple[str, ...]):
    def applies(call, stock, ours, where):
        return (
            any(call.route.endswith(route) for route in routes)
            and where.startswith("error_code")
            and stock.error_code == stock_code
            and ours.error_code in our_codes
        )

    return applies


KNOWN = [
    Known(
        "a filter or an order that logged models do not know is the caller's mistake, not a failure of the server",
        fails_in_stock("logged-models/search"),
    ),
    Known(
        "archive_existing_versions with Archived or None is refused, stock fails",
        fails_in_stock("model-versions/transition-stage", told="not an Active stage"),
    ),
    Known(
        "renaming a deleted experiment is the caller's mistake",
        fails_in_stock("experiments/update"),
    ),
    Known(
        "the name of another experiment: stock lets the database's words through as BAD_REQUEST",
        other_code(("experiments/update",), "BAD_REQUEST", ("RESOURCE_ALREADY_EXISTS", "INVALID_PARAMETER_VALUE")),
    ),
    Known(
        "an empty experiment id: stock lets the database's words through as BAD_REQUEST",
        other_code(("runs/create", "logged-models"), "BAD_REQUEST", ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST")),
    ),
    Known(
        "a missing logged model as source of a version is the caller's mistake",
        fails_in_stock("model-versions/create"),
    ),
    Known(
        "a run's output that it has already: stock's database complains, ours takes the repeated call of a client as done",
        lambda call, stock, ours, where: call.route == "runs/outputs"
        and (stock.status, ours.status) == (400, 200)
        and "UNIQUE constraint failed: inputs" in stock.text,
    ),
    Known(
        "duplicate fields in order_by are the caller's mistake",
        fails_in_stock("runs/search", told="duplicate"),
    ),
]
