"""Parameters."""
# a comment
import os
from math import pi

INT = 5
NEGATIVE = -3
FLOAT = 1.5e-3
BIG = 123_456_789
HEX = 0xFF
TEXT = "a" 'b' """
c"""
RAW = r"\d+"
ESCAPED = 'tab\t\x41\u00e9'
ESCAPED2 = 'tab\t\x41\u00e9 \101 \q'
F = f"{INT}"
TRUE, FALSE = True, False
YES = True
NONE = None
LIST = [1, "two", [3.0],]
TUPLE = (1, 2)
BARE = 1, 2
ONE = (1)
DICT = {"a": 1, "b": {"c": [1]}}
NESTED = {
    "x": -1,  # inner comment
    "y": (1, 2),
}
a = b = 1
CALL = os.getcwd()
SUM = 1 + 2
ANNOTATED: int = 7
ONLY: int
ANNOTATED2: "dict[str, int]" = {"q": 1}
AUG = 1
AUG += 1
x.y = 1
self.top = 9
CONT = \
    12
P = 1; Q = 2
if INT:
    HIDDEN = 1
else:
    HIDDEN = 2
if INT: ALSO = 1


class Train:
    EPOCHS = 70
    LR: float = 0.01

    class Inner:
        deep = "x"

        def __init__(self, a=1):
            self.inner = [1]

    def __init__(self):
        self.layers = 5
        local = 3
        self.obj.attr = 1
        if self.layers:
            self.no = 1

    def other(self):
        self.skipped = 1


class Empty: pass


class Short: A = 1; B = 2


@property
def __init__(self):
    self.module_level = 3


async def __init__(self):
    self.not_this = 1

for i in range(3):
    LOOP = i

LAMBDA = lambda z=1: z
ELLIPSIS = 5
match = 4
