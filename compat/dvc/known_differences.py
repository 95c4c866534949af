"""Where Trackway behaves otherwise than DVC 3.67.1 under DVC's names, each with its reason.

A difference that is not here fails the tests. `where` is "exit code", "stdout", "stderr" or "files".
"""

import dataclasses
from collections.abc import Callable


@dataclasses.dataclass
class Known:
    reason: str
    applies: Callable  # (args, where, stock, ours) -> bool; stock and ours are texts, codes, or lists of differing files


KNOWN: list[Known] = []


def reason_for(args, where, stock, ours) -> str | None:
    for known in KNOWN:
        if known.applies(args, where, stock, ours):
            return known.reason
    return None
