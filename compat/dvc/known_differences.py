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


BOX = re.compile(r"^[+|].*[+|]$\n?", re.MULTILINE)


def without_comments(difference: str) -> str:
    return re.sub(r"(#|;)[^\\]*(\\n|')|\\n| ", "", difference.partition("b'")[2])


def keeps_comments(args, where, stock, ours) -> bool:
    """Only comments of a configuration are there and not with stock."""
    if where != "files" or len(stock) != 1 or "/.dvc/config'" not in stock[0]:
        return False
    _, theirs, mine = stock[0].split("\n")
    return "#" in mine and without_comments(theirs) == without_comments(mine)


def stock_empties_the_config(args, where, stock, ours) -> bool:
    return where == "files" and len(stock) == 1 and "/.dvc/config'" in stock[0] and stock[0].split("\n")[1].endswith(" b''")


def stumbles(args, where, stock, ours) -> bool:
    """Stock shows what its Python library said of a state that it did not foresee."""
    return where == "stderr" and "ERROR: unexpected error" in stock and "ERROR: " in ours
def pushes_what_stock_does_not_look_for(args, where, stock, ours) -> bool:
    """More arrives in the remote, and nothing less."""
    if args[:1] != ["push"]:
        return False
    if where == "stdout":
        return stock.strip() == "Everything is up to date." and bool(re.fullmatch(r"\d+ files? pushed\n*", ours))
    return where == "files" and bool(stock) and all(
        "remote/" in difference and "stock: is not there" in difference for difference in stock
    )


def sees_what_stock_does_not_look_for(args, where, stock, ours) -> bool:
    """`status --cloud` says `new` or `missing` of more files, and calls none of stock's in sync."""
    if args[:1] != ["status"] or not {"-c", "--cloud", "-r"} & set(args) or where != "stdout":
        return False
    line = re.compile(r"\t?(new|missing|deleted): +(.*)")
    seen = {name: word for word, name in line.findall(ours)}
    told = dict((name, word) for word, name in line.findall(stock))
    return all(seen.get(name) in (word, "missing") for name, word in told.items()) and all(
        word in ("new", "missing") or told.get(name) == word for name, word in seen.items()
    ) and bool(seen)


def refuses_a_corrupted_object(args, where, stock, ours) -> bool:
    if args[:1] not in (["fetch"], ["pull"]):
        return False
    if where == "stderr":
        return "it is corrupted and stays where it is" in ours
    if where == "stdout":
        return ours.strip() == "" and "failed" not in stock
    if where == "exit code":
        return ours == 1 and stock in (0, 255)
    return where == "files" and all("ours:  is not there" in difference for difference in stock)


def keeps_the_configuration(args, where, stock, ours) -> bool:
    """Stock drops comments, and empties the file when it meets a name that it cannot quote."""
    if where != "files" or not stock or not all(".dvc/config" in difference.split("\n")[0] for difference in stock):
        return False
    sides = [re.search(r"stock: (.*)\n\s*ours: +(.*)", difference) for difference in stock]
    return all(side and (side[1].endswith(" 1 b''") or "#" in side[2] and "#" not in side[1]) for side in sides)


def names_of(differing) -> list[str]:
    return [difference.split("\n")[0].strip("'") for difference in differing]


def sides_of(difference: str) -> tuple[str, str]:
    found = re.search(r"\n\s*stock: (.*)\n\s*ours: +(.*)", difference)
    return (found[1], found[2]) if found else ("", "")


def keeps_the_executable_bit(args, where, stock, ours) -> bool:
    """0544 where stock has 0444; the content is the same."""
    return where == "files" and bool(stock) and all(
        left.replace("file 0o444", "file 0o544") == right or left == right.replace("  isexec: true\\n", "")
        for left, right in map(sides_of, stock)
    )


def keeps_what_stock_removes(args, where, stock, ours) -> bool:
    """Only more of the work tree is there, and needs not be added again."""
    if args[:1] == ["checkout"] and where == "stdout":
        missing = set(lines_of(stock)) - set(lines_of(ours))
        return set(lines_of(ours)) <= set(lines_of(stock)) and all(line.startswith("A ") for line in missing)
    return args[:1] == ["checkout"] and where == "files" and bool(stock) and all(
        sides_of(difference)[0] == "is not there" and "/.dvc/" not in name
        for difference, name in zip(stock, names_of(stock))
    )


def names_a_corrupted_object(args, where, stock, ours) -> bool:
    if args[:1] != ["checkout"]:
        return False
    if where == "stderr":
        return "WARNING: the object " in ours or "WARNING: the directory object" in ours
    return where == "exit code" and stock == 0 and ours == 255


def forgets_some_targets(args, where, stock, ours) -> bool:
    """Of a `.dvc` file and a data path as targets, only more is done by ours."""
    if args[:1] != ["checkout"] or not any(arg.endswith(".dvc") for arg in args) or all(arg.endswith(".dvc") for arg in args[1:]):
        return False
    if where == "stdout":
        return set(lines_of(stock)) < set(lines_of(ours))
    return where == "files" and all(sides_of(difference)[0] == "is not there" for difference in stock)


def takes_names_that_are_not_utf8(args, where, stock, ours) -> bool:
    if where == "stderr":
        return "surrogates not allowed" in stock or args[:1] == ["add"] and "not UTF-8" in ours
    if args[:1] != ["add"]:
        return False
    if where == "exit code":
        return stock == 255 and ours in (0, 1)
    if where == "stdout":
        return stock == "" and "To track the changes with git" in ours
    return where == "files" and all(sides_of(difference)[0] == "is not there" for difference in stock) and any(
        "\\udc" in difference for difference in stock
    )


def tells_of_outputs_elsewhere(args, where, stock, ours) -> bool:
    if args[:1] != ["status"]:
        return False
    if where == "stderr":
        return lines_of(TROUBLES.sub("", stock)) == ["ERROR: unexpected error"] and ours.strip() == ""
    if where == "stdout":
        return stock == "" and "<root>/ext" in ours
    return where == "exit code" and stock == 255 and ours == 0


def takes_a_date_for_text(args, where, stock, ours) -> bool:
    if args[:1] != ["commit"]:
        return False
    if where == "stderr":
        return "Unsupported value of type 'date'" in stock and ours.strip() == ""
    if where == "stdout":
        return stock == "" and "lock file 'dvc.lock'" in ours
    if where == "exit code":
        return stock == 255 and ours == 0
    return all(sides_of(difference)[0] == "is not there" for difference in stock) and any("/dvc.lock'" in difference for difference in stock)


def needs_no_list(args, where, stock, ours) -> bool:
    if args[:1] != ["checkout"]:
        return False
    if where == "stderr":
        return ours.strip() == "" and ("Checkout failed" in stock or "unsaved files" in stock)
    if where == "stdout":
        return "--relink" in args and "Relinked successfully" in ours and "Relinked successfully" not in stock
    return where == "exit code" and stock == 255 and ours == 0


def leaves_the_old_cache_alone(args, where, stock, ours) -> bool:
    """Stock puts the list of a folder into the 2.x cache before it finds that its hash is none of 2.x any more."""
    return where == "files" and bool(stock) and all(
        re.search(r"/\.dvc/cache/[0-9a-f]{2}(/|$)", name) and sides_of(difference)[1] == "is not there"
        for difference, name in zip(stock, names_of(stock))
    )


def path_behind_options(args, where, stock, ours) -> bool:
    """`list . --rev v1 d`"""
    options = [at for at, arg in enumerate(args) if arg.startswith("-")]
    behind = options and any(not arg.startswith("-") for arg in args[options[0] + 1:])
    words = {"exit code": "254", "stdout": "usage: dvc", "stderr": "ERROR: unrecognized arguments: "}
    return args[:1] in (["list"], ["ls"], ["du"]) and bool(behind) and words.get(where, "\0") in str(stock)


GITS_PROGRESS = re.compile(
    r"^(Compressing|Counting|Enumerating|Receiving) objects: .*|^Total \d+ \(delta .*|.*(copying|copied|generating) (pack|index|\d).*|^remote: .*"
)


def but_for_gits_progress(args, where, stock, ours) -> bool:
    if where != "stderr" or args[:1] != ["update"]:
        return False
    return [line for line in lines_of(stock) if not GITS_PROGRESS.match(line)] == lines_of(ours) != lines_of(stock)


KNOWN: list[Known] = [
    Known("nothing is drawn while git fetches where no terminal is", but_for_gits_progress),
    Known("status changes no modes: stock's takes the executable bit from objects of the cache, and so from files linked to them",
          keeps_the_executable_bit),
    Known("a checkout that fails leaves what is there and what could be made; stock removes the whole output", keeps_what_stock_removes),
    Known("a corrupted object is named and not checked out", names_a_corrupted_object),
    Known("of several targets none is forgotten: stock does only some of them when they are of both kinds", forgets_some_targets),
    Known("the status of outputs outside of the repository is told; stock breaks off", tells_of_outputs_elsewhere),
    Known("a date in a parameters file is taken as it is written; stock breaks off", takes_a_date_for_text),
    Known("a folder that is as it is recorded needs no list from the cache", needs_no_list),
    Known("names that are not UTF-8 are taken inside of a folder, and refused in words elsewhere", takes_names_that_are_not_utf8),
    Known("a folder that is hashed anew leaves no list in the 2.x cache", leaves_the_old_cache_alone),
    Known("`get --force` replaces a folder that it has made before; stock puts the new one inside of it", lambda args, where, stock, ours: (
        args[:1] == ["get"] and bool({"-f", "--force"} & set(args)) and where == "files" and all(
            sides_of(difference)[1] == "is not there" for difference in stock
        )
    )),
    Known("a setting that is not `name=value` is a mistake on the command line like others", lambda args, where, stock, ours: (
        "--remote-config" in args and (where == "exit code" and (stock, ours) == (255, 254) or where == "stdout" and "Usage: dvc" in ours)
    )),
    Known("the path may stand behind options too; stock's parser has taken `no path` by then", path_behind_options),
    Known("comments in .dvc/config stay, and a name that cannot be quoted does not empty it", keeps_the_configuration),
    Known("an object that the remote lacks is pushed although the remote has its folder's list: stock looks for the list alone",
          pushes_what_stock_does_not_look_for),
    Known("what the remote lacks is shown although the remote has its folder's list: stock looks for the list alone",
          sees_what_stock_does_not_look_for),
    Known("a corrupted object of a remote never enters the cache; stock checks it out, or fails without saying why",
          refuses_a_corrupted_object),
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
    Known("nothing is sent, so nothing is said of analytics", lambda args, where, stock, ours: (
        where == "stdout" and args[:1] == ["init"] and lines_of(BOX.sub("", stock)) == lines_of(ours)
    )),
    Known("what is wrong inside of a parameters file is not told in the words of Python's parsers", lambda args, where, stock, ours: (
        where == "stderr" and " file structure is corrupted: " in stock and ours.strip("\n") in re.sub("(file structure is corrupted):.*", r"\1", stock)
    )),
    Known("names that are not ASCII can be written in any locale", lambda args, where, stock, ours: (
        (args[:2] == ["remote", "add"] or args[:1] == ["config"]) and not "".join(args).isascii() and ((where, stock, ours) == ("exit code", 255, 0) or where in ("stderr", "files"))
    )),
    Known("a value together with -u is named as the mistake; stock prints its whole help", lambda args, where, stock, ours: (
        args[:1] == ["config"] and "-u" in args and (where == "stdout" and stock.startswith("usage: dvc config") or where == "stderr" and "-u/--unset" in ours)
    )),
    Known("a stage that cannot be removed keeps its line in .gitignore, which stock takes out before it fails", lambda args, where, stock, ours: (
        args[:1] == ["remove"] and only_paths("/.gitignore'")(args, where, stock, ours)
    )),
    Known("a stage of another revision is called what it is called in the work tree; stock shows a way through the root of the file system", lambda args, where, stock, ours: (
        where == "stderr" and "is missing version info" in stock and "../dvc.yaml:" in stock and "is missing version info" in ours
    )),
    Known("comments in a configuration stay", keeps_comments),
    Known("a configuration that cannot be written stays as it was; stock empties it", stock_empties_the_config),
    Known("the parser before the parser, which refuses -q with -v, is not run when the tests call stock", lambda args, where, stock, ours: (
        bool({"-q", "--quiet"} & set(args)) and bool({"-v", "--verbose"} & set(args))
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
        "What was never imported is fetched into the cache, as objects; stock keeps it beside them, and under a name that other repositories' data has too.",
        lambda args, where, stock, ours: where == "files"
        and args[:1] in (["pull"], ["fetch"])
        and any(".dvc/cache/fs/" in difference for difference in stock)
        and only_paths("/.dvc/cache/")(args, where, stock, ours),
    ),
    Known(
        "What an update cannot replace stays in the work tree; stock deletes it before it finds that the source is gone.",
        lambda args, where, stock, ours: args[:1] == ["update"]
        and where == "files"
        and all("stock: is not there" in difference for difference in stock),
    ),
    Known(
        "A folder of an import that was never recorded is one line; stock has another for files in folders of it.",
        lambda args, where, stock, ours: args[:2] == ["data", "status"]
        and where == "stdout"
        and set(lines_of(ours)) < set(lines_of(stock))
        and all(" added: " in line and line.count("/") > 1 for line in set(lines_of(stock)) - set(lines_of(ours))),
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
