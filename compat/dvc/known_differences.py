"""Where Trackway behaves otherwise than DVC 3.67.1 under DVC's names, each with its reason.

A difference that is not here fails the tests. `where` is "exit code", "stdout", "stderr" or "files".
"""

import dataclasses
import re
from collections.abc import Callable


@dataclasses.dataclass
class Known:
    reason: str
    applies: Callable  # (args, where, stock, ours) -> bool; stock and ours are texts, codes, or lists of differing files


TROUBLES = re.compile(r"^Having any troubles\?.*$", re.MULTILINE)


def lines_of(text) -> list[str]:
    return sorted(line for line in str(text).split("\n") if line)


def but_for_support(args, where, stock, ours) -> bool:
    return where == "stderr" and lines_of(TROUBLES.sub("", stock)) == lines_of(ours)


def only_paths(*wanted: str) -> Callable:
    """All files that differ have one of these in their names."""
    return lambda args, where, stock, ours: where == "files" and all(
        any(word in difference.split("\n")[0] for word in wanted) for difference in stock
    )


def asks_for_help(args) -> bool:
    return bool({"-h", "--help"} & set(args)) or args[:1] == ["completion"]


def stumbles(args, where, stock, ours) -> bool:
    """Stock shows what its Python library said of a state that it did not foresee."""
    return where == "stderr" and "ERROR: unexpected error" in stock and "ERROR: " in ours


KNOWN: list[Known] = [
    Known("help and usage are written by us", lambda args, where, stock, ours: where == "stdout" and (
        asks_for_help(args) or "usage: dvc" in stock and "Usage: dvc" in ours
    )),
    Known("errors that stock did not foresee do not send people to DVC's support", but_for_support),
    Known("with -d stock takes stages in the order of a set, which differs from run to run", lambda args, where, stock, ours: (
        args[:1] == ["commit"] and bool({"-d", "--with-deps"} & set(args)) and only_paths("dvc.lock", ".gitignore")(args, where, stock, ours)
    )),
    Known("a newline in a name is `?` in .gitignore and a blank at its end is escaped: stock's line does not work", lambda args, where, stock, ours: (
        where == "files" and bool(stock) and all("/.gitignore'" in difference and (":  " in difference) and (" \\n" in difference or "?" in difference or "\\ " in difference)
                            for difference in stock)
    )),
    Known("what stock did not foresee is told in words instead of an exception's", stumbles),
    Known(
        "What other projects on the same cache need is kept, and said so, where stock's gc takes it away.",
        lambda args, where, stock, ours: args[:1] == ["gc"]
        and (
            where == "stderr"
            and "other projects on this cache need" in ours
            or where == "stdout"
            and "Removed" in stock
            and "No unused 'repo' cache" in ours
            or only_paths("shared/files")(args, where, stock, ours)
        ),
    ),
    Known(
        "A damaged list of a directory stays for `trackway fsck`, and the error names the file; stock deletes it.",
        lambda args, where, stock, ours: args[:1] == ["gc"]
        and (
            where == "stderr"
            and "is corrupted" in stock
            and "is corrupted" in ours
            or only_paths(".dir")(args, where, stock, ours)
        ),
    ),
]


def reason_for(args, where, stock, ours) -> str | None:
    for known in KNOWN:
        if known.applies(args, where, stock, ours):
            return known.reason
    return None
