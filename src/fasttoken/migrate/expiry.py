"""How long a token lives: the proof that an absolute expiry is the clock plus a duration."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import NamedTuple

import libcst as cst
from libcst.metadata import BaseAssignment, ClassScope, GlobalScope

from ..rules import DAY
from .names import Names, number_of, parenthesized, positional, shown, source_of, stripped, within
from .outcome import Left

_UTC = (
    "datetime.timezone.utc",
    "datetime.UTC",
    "pytz.utc",
    "pytz.UTC",
    "django.utils.timezone.utc",
)

_STEADY = (
    *(f"builtins.{name}" for name in ("int", "str", "float", "max", "min", "round", "abs", "len")),
    "datetime.timedelta",
)


class _Sum(NamedTuple):
    """An expiry: the clock plus a duration in seconds, None for nothing added.

    ``whole``: the clock was cut to whole seconds before the duration was added.
    """

    duration: cst.BaseExpression | None
    whole: bool


class _Moment(NamedTuple):
    """A datetime: now plus a duration. ``zone`` is "utc", "naive utc" or "local"."""

    zone: str
    duration: cst.BaseExpression | None


class Expiry:
    """The durations of a file's expiries. ``slots`` are the ids of all nodes that are passed
    to builders as expiries: a name that stands there only need not stay a timestamp."""

    def __init__(
        self, names: Names, slots: Collection[int], exported: Callable[[str], bool]
    ) -> None:
        self.names = names
        self.slots = slots
        self.exported = exported

    def duration(self, node: cst.BaseExpression, call: cst.Call) -> cst.BaseExpression:
        """Seconds from the call until an absolute expiry; `Left` if that can't be proved."""
        scope = self.names.scope(call)
        fixed = self.names.constant(node)
        if fixed == 0:
            return cst.Integer(str(DAY))
        if fixed is not None:
            raise Left(
                "expiry", f"{shown(node)} is a fixed point in time, not the clock plus a duration"
            )
        duration, whole = self._epoch(node, call, [])
        if duration is None:
            raise Left("expiry", f"{shown(node)} is the current time: the token expires at once")
        wait = self.names.waits_between(node, call)
        if wait is not None:
            raise Left("expiry", f"the program may wait (line {wait}) after {shown(node)} was read")
        seconds = self.names.constant(duration, scope)
        if isinstance(seconds, (int, float)):
            if int(seconds) <= 0:
                raise Left("expiry", f"{shown(node)} has passed when the token is built")
            if seconds > DAY:
                return cst.Integer(str(DAY))
            return (
                stripped(duration) if isinstance(seconds, int) else cst.Integer(str(int(seconds)))
            )
        if self._is_int(duration) or (whole and not self._divides(duration)):
            return stripped(duration)
        return cst.Call(cst.Name("int"), [cst.Arg(stripped(duration))])

    def _is_int(self, node: cst.BaseExpression) -> bool:
        if isinstance(node, cst.Name):
            for binding in self.names.bindings(node):
                at = getattr(binding, "node", None)
                annotation = at.annotation if isinstance(at, cst.Param) else None
                if annotation is not None and source_of(annotation.annotation) == "int":
                    continue
                value = self.names.value(binding)
                if value is None or not self._is_int(value):
                    return False
            return True
        if isinstance(node, cst.BinaryOperation):
            if not isinstance(node.operator, (cst.Add, cst.Subtract, cst.Multiply)):
                return False
            return self._is_int(node.left) and self._is_int(node.right)
        if isinstance(node, cst.Call):  # of those made here all are int(...)
            return self.names.dotted(node.func) == "builtins.int" or not self.names.original(node)
        return isinstance(node, cst.Integer)

    def _divides(self, node: cst.CSTNode, depth: int = 4) -> bool:
        """Whether a number is in sight that is not whole."""
        for part in within(node):
            if isinstance(part, (cst.Divide, cst.Float)):
                return True
            value = self.names.only_value(part) if isinstance(part, cst.Name) and depth else None
            if value is not None and self._divides(value, depth - 1):
                return True
        return False

    def _epoch(self, node: cst.BaseExpression, call: cst.Call, inside: list[cst.CSTNode]) -> _Sum:
        """``node``, in Unix seconds, as the clock plus a duration. ``inside`` are the values of the
        names that led here."""
        names = self.names
        if isinstance(node, cst.Name):
            value, binding = self._followed(node, call)
            total = self._epoch(value, call, [*inside, value])
            if total.duration is not None:
                self._check_only_expiry(node, binding, inside)
                self.check_movable(total.duration, names.statement(value), call)
            return total
        if isinstance(node, cst.BinaryOperation):
            return self._epoch_sum(node, call, inside)
        unproved = Left(
            "expiry", f"{shown(node)} is not known to be the current time plus a duration"
        )
        if not isinstance(node, cst.Call):
            raise unproved
        dotted, arguments = names.dotted(node.func), positional(node)
        if dotted == "time.time" and not node.args:
            return _Sum(None, False)
        if dotted == "builtins.int" and arguments and len(arguments) == 1:
            total = self._epoch(arguments[0], call, inside)
            whole = total.whole or total.duration is None
            return _Sum(total.duration, whole)
        if dotted in ("calendar.timegm", "time.mktime") and arguments and len(arguments) == 1:
            total_of_tuple = self._epoch_of_tuple(dotted, arguments[0], call, inside)
            if total_of_tuple:
                return total_of_tuple
        if (
            isinstance(node.func, cst.Attribute)
            and node.func.attr.value == "timestamp"
            and not node.args
        ):
            moment = self._moment(node.func.value, call, inside)
            if moment and moment.zone == "naive utc":
                raise Left(
                    "expiry",
                    f"{shown(node)} takes a UTC time for a local one, and is off by the time zone",
                )
            if moment:
                return _Sum(moment.duration, False)
        raise unproved

    def _epoch_sum(
        self, node: cst.BinaryOperation, call: cst.Call, inside: list[cst.CSTNode]
    ) -> _Sum:
        if not isinstance(node.operator, (cst.Add, cst.Subtract)):
            raise Left(
                "expiry", f"{shown(node)} is not known to be the current time plus a duration"
            )
        plus = isinstance(node.operator, cst.Add)
        sides = [(node.left, node.right)] + ([(node.right, node.left)] if plus else [])
        failures = []
        for clock, added in sides:
            try:
                total = self._epoch(clock, call, inside)
            except Left as left:
                failures.append((clock, left))
                continue
            if self._reads_clock(added):
                break
            if total.duration is None and plus:
                return _Sum(added, total.whole)
            if total.duration is not None:
                return _Sum(node.with_changes(left=total.duration, right=added), total.whole)
            raise Left("expiry", f"{shown(node)} has passed when the token is built")
        # Of two failures the telling one is that of the side that has to do with a clock.
        telling = [left for side, left in failures if self._reads_clock(side)] or [
            left for side, left in failures if isinstance(side, cst.Name)
        ]
        raise (
            telling[0]
            if telling
            else Left(
                "expiry", f"{shown(node)} is not known to be the current time plus a duration"
            )
        )

    def _reads_clock(self, node: cst.CSTNode, depth: int = 4) -> bool:
        for part in within(node):
            dotted = (
                self.names.dotted(part) if isinstance(part, (cst.Name, cst.Attribute)) else None
            )
            if dotted in ("time.time", "time.mktime", "calendar.timegm") or (
                dotted is not None and re.search(r"\.(utc)?now$|\.today$", dotted)
            ):
                return True
            if isinstance(part, cst.Name) and depth:
                for binding in self.names.bindings(part):
                    value = self.names.value(binding)
                    if value is not None and self._reads_clock(value, depth - 1):
                        return True
        return False

    def _epoch_of_tuple(
        self, dotted: str, node: cst.BaseExpression, call: cst.Call, inside: list[cst.CSTNode]
    ) -> _Sum | None:
        if not isinstance(node, cst.Call) or node.args or not isinstance(node.func, cst.Attribute):
            return None
        source = self.names.dotted(node.func)
        if (dotted, source) in (
            ("calendar.timegm", "time.gmtime"),
            ("time.mktime", "time.localtime"),
        ):
            return _Sum(None, True)
        if dotted == "calendar.timegm" and node.func.attr.value in ("timetuple", "utctimetuple"):
            moment = self._moment(node.func.value, call, inside)
            if moment and moment.zone != "local":
                return _Sum(moment.duration, True)
        return None

    def _moment(
        self, node: cst.BaseExpression, call: cst.Call, inside: list[cst.CSTNode]
    ) -> _Moment | None:
        """``node``, a datetime, as now plus a duration."""
        names = self.names
        if isinstance(node, cst.Name):
            value, binding = self._followed(node, call)
            moment = self._moment(value, call, [*inside, value])
            if moment and moment.duration is not None:
                self._check_only_expiry(node, binding, inside)
                self.check_movable(moment.duration, names.statement(value), call)
            return moment
        if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Add):
            moment = self._moment(node.left, call, inside)
            if moment is None or moment.duration is not None:
                return None
            if moment.zone == "local":
                raise Left(
                    "expiry",
                    f"{shown(node)} is local time: it is off by an hour where the clocks change",
                )
            return _Moment(moment.zone, self._seconds(node.right))
        if not isinstance(node, cst.Call):
            return None
        dotted = names.dotted(node.func)
        if dotted == "datetime.datetime.utcnow" and not node.args:
            return _Moment("naive utc", None)
        if dotted in (
            "datetime.datetime.now",
            "datetime.datetime.today",
            "django.utils.timezone.now",
        ):
            if not node.args:
                return _Moment("local", None)
            if len(node.args) == 1 and names.dotted(node.args[0].value) in _UTC:
                return _Moment("utc", None)
        return None

    def _seconds(self, node: cst.BaseExpression) -> cst.BaseExpression:
        """The whole seconds of a timedelta."""
        units = {"days": 86400, "hours": 3600, "minutes": 60, "seconds": 1, "weeks": 604800}
        if isinstance(node, cst.Call) and self.names.dotted(node.func) == "datetime.timedelta":
            known = [
                unit * number
                for argument in node.args
                if argument.keyword
                and (unit := units.get(argument.keyword.value))
                and (number := number_of(argument.value)) is not None
            ]
            if len(known) == len(node.args):
                return cst.Integer(str(sum(known)))
        total = cst.Attribute(parenthesized(node), cst.Name("total_seconds"))
        return cst.Call(cst.Name("int"), [cst.Arg(cst.Call(total))])

    def _followed(
        self, name: cst.Name, call: cst.Call
    ) -> tuple[cst.BaseExpression, BaseAssignment]:
        """What a name holds at a call: its one assignment, in the same scope, on every way there,
        with nothing that waits between."""
        names, text = self.names, shown(name)
        bindings = names.bindings(name)
        if not bindings or not names.traceable(name.value):
            raise Left("expiry", f"what {text} holds can't be followed")
        if len(bindings) > 1:
            raise Left("expiry", f"{text} is assigned more than once ({names.lines(bindings)})")
        binding = bindings[0]
        if isinstance(getattr(binding, "node", None), cst.Param):
            raise Left(
                "expiry",
                f"{text} is a parameter: only its callers know if it is the clock plus a duration",
            )
        value = names.value(binding)
        if value is None:
            raise Left("expiry", f"{text} is not known to be the current time plus a duration")
        line = names.line(value)
        if binding.scope is not names.scope(call) or isinstance(binding.scope, ClassScope):
            raise Left(
                "expiry",
                f"{text} is computed outside this function or comprehension (line {line}), "
                "at another time than the token is built",
            )
        if names.start(value) > names.start(call):
            raise Left("expiry", f"{text} is assigned after this call (line {line})")
        block, inner = names.block(value), []
        for ancestor in names.ancestors(call):
            if ancestor is block:
                break
            inner.append(ancestor)
        else:
            raise Left("expiry", f"{text} is assigned (line {line}) on some ways to this call only")
        if any(isinstance(ancestor, (cst.For, cst.While)) for ancestor in inner):
            raise Left(
                "expiry", f"{text} is computed once (line {line}), and this call is in a loop"
            )
        wait = names.waits_between(value, call)
        if wait is not None:
            raise Left(
                "expiry",
                f"the program may wait (line {wait}) after {text} was computed (line {line})",
            )
        return value, binding

    def _check_only_expiry(
        self, name: cst.Name, binding: BaseAssignment, inside: Collection[cst.CSTNode]
    ) -> None:
        followed = {id(part) for value in inside for part in within(value)}
        for access in sorted(binding.references, key=lambda access: self.names.start(access.node)):
            if id(access.node) not in self.slots and id(access.node) not in followed:
                line = self.names.line(access.node)
                raise Left(
                    "expiry",
                    f"{shown(name)} is also used on line {line}, where it has to stay a timestamp",
                )
        if isinstance(binding.scope, GlobalScope) and self.exported(name.value):
            raise Left("expiry", f"{shown(name)} is used in other files, too")

    def check_movable(
        self, node: cst.CSTNode, start: cst.CSTNode, call: cst.Call, code: str = "expiry"
    ) -> None:
        """Whether an expression of ``start`` means the same when it is evaluated at the call."""
        names = self.names
        for part in within(node):
            if not names.original(part):
                continue  # made here, of parts that are looked at
            moving = (cst.Await, cst.Yield, cst.NamedExpr, cst.Subscript, cst.Lambda)
            if isinstance(part, cst.Call):
                method = part.func.attr.value if isinstance(part.func, cst.Attribute) else ""
                steady = method == "total_seconds" or names.dotted(part.func) in _STEADY
            elif isinstance(part, cst.Attribute):
                steady = part.attr.value not in names.stored_attributes
            elif isinstance(part, cst.Name):
                steady = self._steady(part, start, call)
            else:
                steady = not isinstance(part, moving)
            if steady:
                continue
            raise Left(
                code,
                f"{shown(part)} (line {names.line(part)}) may have another value at this call",
            )

    def _steady(self, name: cst.Name, start: cst.CSTNode, call: cst.Call) -> bool:
        """Whether a name is bound to the same thing at a statement and at a later call."""
        names = self.names
        parent = names.parent(name)
        if isinstance(parent, cst.Attribute) and parent.attr is name:
            return True
        if isinstance(parent, cst.Arg) and parent.keyword is name:
            return True
        if not names.traceable(name.value):
            return False
        bindings = names.bindings(name)
        if len(bindings) == 1:
            return True
        for binding in bindings:
            node = getattr(binding, "node", None)
            if binding.scope is not names.scope(call) or not isinstance(node, cst.CSTNode):
                return False
            if names.scope(node) is not names.scope(call) and not isinstance(node, cst.Param):
                return False
            if names.start(start) <= names.start(node) <= names.end(call):
                return False
        return bool(bindings)
