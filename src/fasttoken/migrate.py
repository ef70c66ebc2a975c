"""From 006 to 007: a code mod for Python calls of AgoraIO's 006 builders (docs/upgrading.md).

    migrate_source    one file's bytes -> a `Migration`: the new bytes, what was rewritten, what
                      was left alone and why
    migrate_path      the same for a file or a folder
    write             the changed files, each replaced at once

The rule of the whole module: a call is rewritten only if everything it was given can be followed
to its source, so that the 007 token grants what the 006 token granted, for as long. Whatever
can't be proved is left as it stands, and reported. How a proof goes:

    names        a name is followed through its one binding, in the scope of the call
    expiry       the argument must be *the clock + a duration*, read just before the call;
                 the duration is what 007 wants, and the arithmetic, then unused, goes
    roles        numbers and constants become "publisher" and "subscriber"
    references   what is still referred to stays: assignments, and imports
"""

from __future__ import annotations

import ast
import difflib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import libcst as cst
from libcst.metadata import (
    Assignment,
    BaseAssignment,
    BuiltinAssignment,
    ClassScope,
    CodeRange,
    GlobalScope,
    ImportAssignment,
    MetadataWrapper,
    ParentNodeProvider,
    PositionProvider,
    Scope,
    ScopeProvider,
)

from .rules import DAY, WILDCARD

PACKAGES = ("agora_token_builder", "agoraiotools")
MODULES = ("RtcTokenBuilder", "RtmTokenBuilder", "AccessToken", "SimpleTokenBuilder")
CLASSES = MODULES  # each module is named after its class
ROLES = {0: "publisher", 1: "publisher", 101: "publisher", 2: "subscriber"}
ROLE_CONSTANTS = {
    "Role_Attendee": 0,
    "Role_Publisher": 1,
    "Role_Subscriber": 2,
    "Role_Admin": 101,
}
PRIVILEGES = {
    "kJoinChannel": 1,
    "kPublishAudioStream": 2,
    "kPublishVideoStream": 3,
    "kPublishDataStream": 4,
    "kRtmLogin": 1000,
}
_RTC = {"appId": "app_id", "appCertificate": "app_certificate", "channelName": "channel_name"}
_LAST = {"role": "role", "privilegeExpiredTs": "expire"}
PARAMETERS = {  # the parameters of each 006 builder, in order, by their names in fasttoken
    "buildTokenWithUid": {**_RTC, "uid": "uid", **_LAST},
    "buildTokenWithAccount": {**_RTC, "account": "uid", **_LAST},
    "buildToken": {
        "appId": "app_id", "appCertificate": "app_certificate", "userAccount": "user_id", **_LAST
    },
    "AccessToken": {
        "appID": "app_id", "appCertificate": "app_certificate", "channelName": "channel_name",
        "uid": "uid",
    },
}  # fmt: skip

# A file without any of these can't call a 006 builder, and is not parsed.
_MENTION = re.compile(
    rb"TokenBuilder|buildToken|addPrivilege|agora_token_builder|agoraiotools|AccessToken import"
)
_CERTIFICATE = re.compile("[0-9a-fA-F]{32}").fullmatch
_SKIPPED = {
    "build", "dist", "node_modules", "site-packages", "venv", "env", "virtualenv", "__pycache__",
}  # fmt: skip
_ROOT_MARKS = (".git", "pyproject.toml", "setup.py", "setup.cfg", "manage.py")
_UTC = ("datetime.timezone.utc", "datetime.UTC", "pytz.utc", "pytz.UTC", "django.utils.timezone.utc")


class Rewritten(NamedTuple):
    """A call that was rewritten: its line, the builder it called, the method it calls now."""

    line: int
    builder: str
    method: str


class LeftAlone(NamedTuple):
    """What was not rewritten: its line, a stable code (docs/upgrading.md) and the reason."""

    line: int
    code: str
    reason: str


class Note(NamedTuple):
    """Something worth a look; nothing had to be left alone for it."""

    line: int
    text: str


@dataclass(frozen=True)
class Migration:
    """One file: its bytes before and after, and what happened to it."""

    path: Path
    before: bytes
    after: bytes
    rewritten: tuple[Rewritten, ...] = ()
    left_alone: tuple[LeftAlone, ...] = ()
    notes: tuple[Note, ...] = ()

    @property
    def changed(self) -> bool:
        return self.before != self.after

    def diff(self) -> str:
        """The change as a unified diff; lines that can't be decoded show as U+FFFD."""
        name = self.path.as_posix().lstrip("/")
        old, new = (_lines(content) for content in (self.before, self.after))
        out = []
        for line in difflib.unified_diff(old, new, f"a/{name}", f"b/{name}"):
            out.append(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n")
        return "".join(out)


def _lines(content: bytes) -> list[str]:
    return content.decode("utf-8", "replace").splitlines(keepends=True)


class _Left(Exception):
    """A proof that failed: why a call is left alone."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


# Small readers of expressions ----------------------------------------------------------------


def _code(node: cst.CSTNode) -> str:
    text = " ".join(cst.Module([]).code_for_node(node).split())
    return f"`{text if len(text) <= 60 else text[:57] + '...'}`"


def _within(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    yield node
    for child in node.children:
        yield from _within(child)


def _strip(node: cst.BaseExpression) -> cst.BaseExpression:
    """Without its own parentheses; a name keeps them, so that it stays the same node."""
    if isinstance(node, cst.Name) or not node.lpar:
        return node
    return node.with_changes(lpar=(), rpar=())


def _parenthesized(node: cst.BaseExpression) -> cst.BaseExpression:
    if node.lpar or isinstance(node, (cst.Name, cst.Call, cst.Attribute)):
        return node
    return node.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])


def _text(node: cst.CSTNode) -> str | None:
    """The value of a str literal without fields."""
    if isinstance(node, (cst.SimpleString, cst.ConcatenatedString)):
        value = node.evaluated_value
        return value if isinstance(value, str) else None
    return None


def _number(node: cst.CSTNode) -> int | None:
    return node.evaluated_value if isinstance(node, cst.Integer) else None


def _positional(call: cst.Call) -> list[cst.BaseExpression] | None:
    """The arguments of a call that has nothing but positional ones."""
    if any(argument.keyword or argument.star for argument in call.args):
        return None
    return [argument.value for argument in call.args]


def _calls_anything(node: cst.CSTNode) -> bool:
    """Whether evaluating an expression may do something besides."""
    effects = (cst.Call, cst.Await, cst.Yield, cst.NamedExpr)
    return any(isinstance(part, effects) for part in _within(node))


def _comments(nodes: Iterable[object]) -> list[str]:
    return [
        part.value
        for node in nodes
        if isinstance(node, cst.CSTNode)
        for part in _within(node)
        if isinstance(part, cst.Comment)
    ]


# What a name stands for ----------------------------------------------------------------------


class _Names:
    """A parsed file, and what its names are bound to."""

    def __init__(self, module: cst.Module) -> None:
        wrapper = MetadataWrapper(module)
        self.module = wrapper.module
        self._scopes = wrapper.resolve(ScopeProvider)
        self._parents = wrapper.resolve(ParentNodeProvider)
        self._ranges = wrapper.resolve(PositionProvider)
        self.nodes = list(_within(self.module))
        # Bound or unbound in ways that the scopes don't record, or reachable by any name at all.
        self._untraceable: set[str] = set()
        self.stored_attributes: set[str] = set()
        self.opaque = False
        self.waits: list[cst.CSTNode] = []
        for node in self.nodes:
            self._inspect(node)

    def _inspect(self, node: cst.CSTNode) -> None:
        target: cst.CSTNode | None = None
        if isinstance(node, (cst.MatchAs, cst.MatchStar)):
            target = node.name
        elif isinstance(node, cst.MatchMapping):
            target = node.rest
        elif isinstance(node, cst.Del):
            for part in _within(node.target):
                if isinstance(part, cst.Name):
                    self._untraceable.add(part.value)
        elif isinstance(node, (cst.AssignTarget, cst.AugAssign, cst.AnnAssign)):
            self.stored_attributes |= {
                part.attr.value for part in _within(node.target) if isinstance(part, cst.Attribute)
            }
        elif isinstance(node, (cst.Await, cst.Yield, cst.Asynchronous)):
            self.waits.append(node)
        elif isinstance(node, cst.Call):
            name = node.func.attr if isinstance(node.func, cst.Attribute) else node.func
            if isinstance(name, cst.Name):
                if name.value in ("sleep", "wait", "input"):
                    self.waits.append(node)
                self.opaque |= name.value in ("locals", "globals", "vars", "eval", "exec")
        if isinstance(target, cst.Name):
            self._untraceable.add(target.value)

    def range(self, node: cst.CSTNode) -> CodeRange:
        return self._ranges[node]

    def line(self, node: cst.CSTNode) -> int:
        return self._ranges[node].start.line

    def start(self, node: cst.CSTNode) -> tuple[int, int]:
        position = self._ranges[node].start
        return position.line, position.column

    def end(self, node: cst.CSTNode) -> tuple[int, int]:
        position = self._ranges[node].end
        return position.line, position.column

    def original(self, node: cst.CSTNode) -> bool:
        """Whether a node stands in the file, and was not made here."""
        return node in self._parents

    def scope(self, node: cst.CSTNode) -> Scope | None:
        return self._scopes.get(node)

    def parent(self, node: cst.CSTNode) -> cst.CSTNode:
        return self._parents[node]

    def ancestors(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        while node in self._parents:
            node = self._parents[node]
            yield node

    def statement(self, node: cst.CSTNode) -> cst.CSTNode:
        """The small statement that a node is part of."""
        both = (node, *self.ancestors(node))
        return next(part for part in both if isinstance(part, cst.BaseSmallStatement))

    def block(self, node: cst.CSTNode) -> cst.CSTNode:
        """The block that holds a node's statement."""
        blocks = (cst.IndentedBlock, cst.SimpleStatementSuite, cst.Module)
        return next(part for part in self.ancestors(node) if isinstance(part, blocks))

    def bindings(self, name: cst.Name) -> list[BaseAssignment]:
        scope = self.scope(name)
        return list(scope[name.value]) if scope else []

    def traceable(self, name: str) -> bool:
        return not self.opaque and name not in self._untraceable

    def value(self, binding: BaseAssignment) -> cst.BaseExpression | None:
        """What a plain assignment to one name assigns; None for any other binding."""
        if not isinstance(binding, Assignment) or not isinstance(binding.node, cst.Name):
            return None
        parent = self.parent(binding.node)
        if isinstance(parent, cst.AnnAssign) and parent.target is binding.node:
            return parent.value
        if isinstance(parent, cst.AssignTarget):
            assign = self.parent(parent)
            if isinstance(assign, cst.Assign) and len(assign.targets) == 1:
                return assign.value
        return None

    def only_value(self, name: cst.Name) -> cst.BaseExpression | None:
        """What a name holds, if it is assigned in one place only."""
        bindings = self.bindings(name)
        if len(bindings) != 1 or not self.traceable(name.value):
            return None
        return self.value(bindings[0])

    def dotted(self, node: cst.CSTNode) -> str | None:
        """The full dotted name of an imported or built-in thing, else None."""
        attributes: list[str] = []
        while isinstance(node, cst.Attribute):
            attributes.insert(0, node.attr.value)
            node = node.value
        if not isinstance(node, cst.Name) or not self.traceable(node.value):
            return None
        roots = {_imported(binding, node.value) for binding in self.bindings(node)}
        root = roots.pop() if len(roots) == 1 else None
        return None if root is None else ".".join([root, *attributes])

    def constant(self, node: cst.CSTNode, scope: Scope | None) -> int | float | str | None:
        """The value of literals, arithmetic on them, and names of ``scope`` that hold such."""
        if isinstance(node, (cst.Integer, cst.Float)):
            return node.evaluated_value
        text = _text(node)
        if text is not None:
            return text
        if isinstance(node, cst.Name):
            value = self.only_value(node)
            if value is not None and self.bindings(node)[0].scope is scope:
                return self.constant(value, scope)
        if isinstance(node, cst.UnaryOperation) and isinstance(node.operator, cst.Minus):
            operand = self.constant(node.expression, scope)
            return -operand if isinstance(operand, (int, float)) else None
        if isinstance(node, cst.BinaryOperation):
            left, right = self.constant(node.left, scope), self.constant(node.right, scope)
            if isinstance(left, (int, float)) and isinstance(right, (int, float)):
                if isinstance(node.operator, cst.Add):
                    return left + right
                if isinstance(node.operator, cst.Subtract):
                    return left - right
                if isinstance(node.operator, cst.Multiply):
                    return left * right
        return None

    def literals(self, node: cst.CSTNode, depth: int = 4) -> Iterator[int | str]:
        """The literals in sight that an expression may come to be: a default, a fallback."""
        if depth == 0:
            return
        number, text = _number(node), _text(node)
        if number is not None or text is not None:
            yield number if number is not None else str(text)
        elif isinstance(node, cst.IfExp):
            yield from self.literals(node.body, depth)
            yield from self.literals(node.orelse, depth)
        elif isinstance(node, cst.BooleanOperation):
            yield from self.literals(node.left, depth)
            yield from self.literals(node.right, depth)
        elif isinstance(node, cst.Name):
            for binding in self.bindings(node):
                value = self.value(binding)
                if value is None and isinstance(getattr(binding, "node", None), cst.Param):
                    value = binding.node.default  # type: ignore[attr-defined]
                if value is not None:
                    yield from self.literals(value, depth - 1)
        elif isinstance(node, cst.Call):
            name = node.func.attr.value if isinstance(node.func, cst.Attribute) else ""
            to_int, to_str = (self.dotted(node.func) == f"builtins.{t}" for t in ("int", "str"))
            if (to_int or to_str) and node.args:
                for literal in self.literals(node.args[0].value, depth - 1):
                    if to_str:
                        yield str(literal)
                    elif str(literal).strip().isdecimal():
                        yield int(literal)
            elif name in ("get", "getenv", "pop") and len(node.args) > 1:
                keyword = node.args[1].keyword
                if keyword is None or keyword.value in ("default", "type"):
                    yield from self.literals(node.args[1].value, depth - 1)


def _imported(binding: BaseAssignment, name: str) -> str | None:
    """The dotted name that an import, or Python itself, binds to ``name``; else None."""
    if isinstance(binding, BuiltinAssignment):
        return f"builtins.{name}"
    if not isinstance(binding, ImportAssignment):
        return None
    node = binding.node
    if isinstance(node, cst.ImportFrom):
        for alias in _aliases(node):
            if _bound(alias) == name:
                return f"{_module(node)}.{alias.evaluated_name}"
        return None
    for alias in _aliases(node):
        if alias.asname is None and _bound(alias) == name:
            return name
        if _bound(alias) == name:
            return alias.evaluated_name
    return None


def _module(node: cst.ImportFrom) -> str:
    return "." * len(node.relative) + (_dotted_text(node.module) if node.module else "")


def _dotted_text(node: cst.CSTNode) -> str:
    return cst.Module([]).code_for_node(node)


def _aliases(node: cst.Import | cst.ImportFrom | Any) -> Sequence[cst.ImportAlias]:
    names = getattr(node, "names", ())
    return () if isinstance(names, cst.ImportStar) else names


def _bound(alias: cst.ImportAlias) -> str:
    return alias.evaluated_alias or alias.evaluated_name.split(".")[0]


def _agora(dotted: str | None) -> str | None:
    """The last component of a dotted name that AgoraIO's packages, or hand copies of them, have."""
    parts = [part for part in (dotted or "").split(".") if part]
    if len(parts) >= 2 and parts[-2] in (*PACKAGES, *MODULES):
        return parts[-1]
    return None


def _agora_import(module: str, name: str = "") -> bool:
    parts = [*module.split("."), *name.split(".")]
    return any(part in (*PACKAGES, *MODULES) for part in parts)


# Calls ---------------------------------------------------------------------------------------


@dataclass(eq=False)
class _Site:
    """A place where a 006 token is built."""

    call: cst.Call
    builder: str
    maker: cst.Call  # the call that has the App ID: the same, or AccessToken(...)
    arguments: dict[str, cst.Arg] = field(default_factory=dict)
    expiries: list[cst.BaseExpression] = field(default_factory=list)
    privileges: list[cst.BaseExpression] = field(default_factory=list)
    statements: list[cst.CSTNode] = field(default_factory=list)  # of AccessToken and addPrivilege
    binding: BaseAssignment | None = None  # of the AccessToken

    @property
    def role(self) -> cst.BaseExpression | None:
        return self.arguments["role"].value if "role" in self.arguments else None


@dataclass(eq=False)
class _Plan:
    """What becomes of a site."""

    site: _Site
    method: str
    values: dict[str, cst.BaseExpression]  # new values, by parameter
    allow_wildcard: cst.BaseExpression | None = None
    in_place: dict[cst.CSTNode, cst.BaseExpression] = field(default_factory=dict)
    gone: list[cst.CSTNode] = field(default_factory=list)  # what the new code lacks
    reused: list[cst.CSTNode] = field(default_factory=list)  # what it takes over from there
    notes: list[Note] = field(default_factory=list)


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


class _Planner:
    """Finds the sites of a file and proves, one by one, what they may become."""

    def __init__(self, names: _Names) -> None:
        self.names = names
        self.left: list[LeftAlone] = []
        self.seen: set[cst.CSTNode] = set()  # calls that are reported, whatever comes of them

    def leave(self, node: cst.CSTNode, code: str, reason: str) -> None:
        self.left.append(LeftAlone(self.names.line(node), code, reason))

    # Finding ---------------------------------------------------------------------------------

    def sites(self) -> list[_Site]:
        found = []
        for node in self.names.nodes:
            if not isinstance(node, cst.Call):
                continue
            try:
                site = self._site(node)
            except _Left as left:
                self.seen.add(node)
                self.leave(node, left.code, left.reason)
            else:
                if site:
                    found.append(site)
        return found

    def _site(self, call: cst.Call) -> _Site | None:
        dotted = self.names.dotted(call.func)
        if _agora(dotted) == "AccessToken":
            return self._access_token(call)
        if not isinstance(call.func, cst.Attribute) or call.func.attr.value not in PARAMETERS:
            return None
        method, owner = call.func.attr.value, call.func.value
        of_class = (dotted or _dotted_text(call.func)).split(".")[-2]
        if method == "buildToken" and of_class != "RtmTokenBuilder":
            return None
        if _agora(None if dotted is None else dotted.rpartition(".")[0]) is None:
            raise _Left("origin", self._origin(owner, dotted))
        wanted = "RtmTokenBuilder" if method == "buildToken" else "RtcTokenBuilder"
        if of_class != wanted:
            raise _Left("origin", f"{_code(call.func)} is not one of AgoraIO's 006 builders")
        site = _Site(call, f"{of_class}.{method}", call)
        site.arguments = _arguments(call, method)
        site.expiries = [site.arguments["expire"].value]
        return site

    def _origin(self, owner: cst.BaseExpression, dotted: str | None) -> str:
        root = owner
        while isinstance(root, cst.Attribute):
            root = root.value
        if dotted is not None:
            return (
                f"{_code(owner)} comes from {dotted.rpartition('.')[0].rpartition('.')[0]}, "
                "which is not known to be AgoraIO's"
            )
        bindings = self.names.bindings(root) if isinstance(root, cst.Name) else []
        if len(bindings) > 1:
            return f"{_code(root)} is bound more than once ({self._lines(bindings)})"
        return f"where {_code(owner)} comes from can't be followed"

    def _lines(self, bindings: Iterable[BaseAssignment]) -> str:
        nodes = [node for b in bindings if isinstance(node := getattr(b, "node", None), cst.CSTNode)]
        lines = sorted({self.names.line(node) for node in nodes})
        return ("line " if len(lines) == 1 else "lines ") + ", ".join(map(str, lines))

    def _access_token(self, maker: cst.Call) -> _Site:
        """``t = AccessToken(...)``, ``t.addPrivilege(...)`` statements and one ``t.build()``, all in
        one block and in this order; else `_Left`."""
        names = self.names
        assign = names.parent(maker)
        target = assign.targets[0].target if isinstance(assign, cst.Assign) else None
        if not isinstance(target, cst.Name):
            raise _Left("privileges", "the AccessToken is not simply assigned to a name")
        bindings = [b for b in names.bindings(target) if isinstance(b, Assignment)]
        if len(bindings) != 1 or names.value(bindings[0]) is not maker:
            raise _Left("privileges", f"{_code(target)} is assigned more than once")
        if not names.traceable(target.value) or isinstance(bindings[0].scope, ClassScope):
            raise _Left("privileges", f"what becomes of {_code(target)} can't be followed")
        site = _Site(maker, "AccessToken", maker, _arguments(maker, "AccessToken"))
        site.statements, site.binding = [assign], bindings[0]
        line = names.parent(assign)
        uses = sorted((access.node for access in bindings[0].references), key=names.start)
        for use in uses:
            attribute = names.parent(use)
            call = names.parent(attribute)
            where = f"(line {names.line(use)})"
            if (
                not isinstance(attribute, cst.Attribute)
                or not isinstance(call, cst.Call)
                or call.func is not attribute
                or attribute.attr.value not in ("addPrivilege", "build")
            ):
                raise _Left("privileges", f"{_code(target)} is used in another way, too {where}")
            if site.call is not maker:
                raise _Left("privileges", f"{_code(target)} is used after it was built {where}")
            if attribute.attr.value == "build":
                if names.block(use) is not names.parent(line) or call.args:
                    raise _Left("privileges", f"{_code(target)} is not built in the block it was made in")
                site.call = call
                continue
            arguments = _positional(call)
            statement = names.parent(call)
            if (
                arguments is None
                or len(arguments) != 2
                or not isinstance(statement, cst.Expr)
                or names.block(statement) is not names.parent(line)
            ):
                raise _Left("privileges", f"not every addPrivilege is always called {where}")
            site.privileges.append(arguments[0])
            site.expiries.append(arguments[1])
            site.statements.append(statement)
        if site.call is maker or not site.expiries:
            raise _Left("privileges", f"{_code(target)} is not built in the block it was made in")
        return site

    # Planning --------------------------------------------------------------------------------

    def plans(self, sites: list[_Site], exported: Callable[[str], bool]) -> list[_Plan]:
        """A plan for each site that can be rewritten. A name may be used by several sites, so
        when one falls out the others are looked at anew."""
        self.exported = exported
        while True:
            self.role_slots = {id(site.role) for site in sites if site.role is not None}
            self.expiry_slots = {id(expiry) for site in sites for expiry in site.expiries}
            plans, kept = [], []
            for site in sites:
                try:
                    plans.append(self._plan(site))
                    kept.append(site)
                except _Left as left:
                    self.seen.add(site.maker)
                    self.leave(site.call, left.code, left.reason)
            if len(kept) == len(sites):
                return plans
            sites = kept

    def _plan(self, site: _Site) -> _Plan:
        for part in _within(site.call):
            if part is not site.call and isinstance(part, cst.Call) and _agora_builder(part):
                raise _Left("arguments", "another builder is called inside this call")
        plan = _Plan(site, "rtc_token", {})
        plan.gone.append(site.maker.func)
        if site.binding is not None:
            self._grant(plan)
        elif "user_id" in site.arguments:
            plan.method = "rtm_token"
            role = site.arguments["role"].value
            if _calls_anything(role):
                raise _Left("role", f"{_code(role)} is called for its role, which RTM ignores")
            plan.gone.append(role)
        else:
            self._role(plan)
        self._evaluation_order(site)
        self._expiry(plan)
        self._wildcards(plan)
        certificate = site.arguments["app_certificate"].value
        text = self.names.constant(certificate, self._scope_of(certificate))
        if isinstance(text, str) and _CERTIFICATE(text):
            plan.notes.append(
                Note(
                    self.names.line(certificate),
                    "the App Certificate stands in the source: Project.from_env() keeps it out",
                )
            )
        return plan

    def _scope_of(self, node: cst.CSTNode) -> Scope | None:
        """Where the name ``node`` is bound, so that a constant of any scope can be looked at."""
        if isinstance(node, cst.Name):
            bindings = self.names.bindings(node)
            return bindings[0].scope if len(bindings) == 1 else None
        return None

    def _evaluation_order(self, site: _Site) -> None:
        """App ID and certificate are evaluated first now: they may not pass by another call."""
        effects = [
            name for name, argument in site.arguments.items() if _calls_anything(argument.value)
        ]
        moved = ("app_id", "app_certificate")
        first = [name for name in moved if name in effects]
        if effects != first + [name for name in effects if name not in moved]:
            raise _Left("arguments", "the arguments would be evaluated in another order")

    # Roles -----------------------------------------------------------------------------------

    def _role_text(self, node: cst.CSTNode) -> tuple[str, int] | None:
        """The role, and its number in 006, of a literal or one of AgoraIO's constants."""
        number = _number(node)
        if number is None:
            dotted = self.names.dotted(node)
            number = ROLE_CONSTANTS.get(_agora(dotted) or "")
        return (ROLES[number], number) if number in ROLES else None

    def _role_value(
        self, node: cst.BaseExpression
    ) -> tuple[cst.BaseExpression, list[cst.CSTNode]] | None:
        """The role in 007, and the nodes that go, of a constant or a choice of constants."""
        role = self._role_text(node)
        if role:
            return cst.SimpleString(f'"{role[0]}"'), [node]
        if isinstance(node, cst.IfExp):
            body, orelse = self._role_value(node.body), self._role_value(node.orelse)
            if body and orelse:
                return node.with_changes(body=body[0], orelse=orelse[0]), body[1] + orelse[1]
        return None

    def _role(self, plan: _Plan) -> None:
        node = plan.site.arguments["role"].value
        direct = self._role_value(node)
        if direct:
            plan.values["role"], gone = direct
            plan.gone += gone
            return
        unknown = _Left(
            "role",
            f"{_code(node)} is not a known role: pass \"publisher\" or \"subscriber\"",
        )
        if not isinstance(node, cst.Name) or not self.names.traceable(node.value):
            raise unknown
        bindings = self.names.bindings(node)
        values = [self.names.value(binding) for binding in bindings]
        roles = [value and self._role_value(value) for value in values]
        if not bindings or not all(roles) or isinstance(bindings[0].scope, ClassScope):
            raise unknown
        uses = [access.node for binding in bindings for access in binding.references]
        other = [use for use in uses if id(use) not in self.role_slots]
        inside = not isinstance(bindings[0].scope, GlobalScope) or not self.exported(node.value)
        annotated = any(
            isinstance(self.names.statement(b.node), cst.AnnAssign)
            for b in bindings
            if isinstance(b, Assignment)
        )
        if not other and inside and not annotated:
            for value, role in zip(values, roles, strict=True):
                assert value is not None and role is not None
                plan.in_place[value], gone = role
                plan.gone += gone
            return
        only = values[0]
        if len(bindings) == 1 and only is not None and self._role_text(only):
            plan.values["role"] = cst.SimpleString(f'"{self._role_text(only)[0]}"')  # type: ignore[index]
            plan.gone.append(node)
            return
        leaves = [_number(leaf) for role in roles if role for leaf in role[1]]
        if not all(number in (1, 2) for number in leaves):
            where = f" (line {self.names.line(other[0])})" if other else ""
            raise _Left("role", f"{_code(node)} is used elsewhere, too{where}")
        # 1 and 2 mean in 007 what they meant in 006: the name can stay as it is.

    def _grant(self, plan: _Plan) -> None:
        """The role, or RTM login, that a set of addPrivilege calls comes to."""
        site = plan.site
        keys = set()
        for node in site.privileges:
            number = _number(node)
            if number is None:
                dotted = self.names.dotted(node)
                number = PRIVILEGES.get(_agora(dotted) or "")
            if number is None:
                raise _Left("privileges", f"{_code(node)} is not a known privilege")
            keys.add(number)
        for statement in site.statements:
            plan.gone.append(statement)
        for name, argument in site.arguments.items():
            self._check_movable(argument.value, site.maker, site.call)
            plan.reused.append(argument.value)
        if keys == {1} or keys == {1, 2, 3, 4}:
            role = "subscriber" if keys == {1} else "publisher"
            plan.values["role"] = cst.SimpleString(f'"{role}"')
        elif keys == {1000}:
            uid = site.arguments["uid"].value
            if self.names.constant(uid, self._scope_of(uid)) not in (0, ""):
                raise _Left("privileges", "an RTM token has an empty uid, and this one may have another")
            plan.method = "rtm_token"
        else:
            raise _Left(
                "privileges",
                f"no role grants exactly the privileges {', '.join(map(str, sorted(keys)))}: "
                "use Project.token with an Rtc service",
            )

    # Expiry ----------------------------------------------------------------------------------

    def _expiry(self, plan: _Plan) -> None:
        site = plan.site
        durations: dict[str, cst.BaseExpression] = {}
        for node in site.expiries:
            duration = self._duration(node, site.call)
            durations.setdefault(_code(duration), duration)
            if site.binding is not None:
                self._check_movable(duration, self.names.statement(node), site.call)
            plan.gone.append(node)
            plan.reused.append(duration)
        if len(durations) > 1:
            raise _Left("expiry", f"the privileges expire at different times: {', '.join(durations)}")
        plan.values["expire"] = next(iter(durations.values()))

    def _duration(self, node: cst.BaseExpression, call: cst.Call) -> cst.BaseExpression:
        """Seconds from the call until an absolute expiry; `_Left` if that can't be proved."""
        scope = self.names.scope(call)
        fixed = self.names.constant(node, self._scope_of(node) if isinstance(node, cst.Name) else scope)
        if fixed == 0:
            return cst.Integer(str(DAY))
        if fixed is not None:
            raise _Left("expiry", f"{_code(node)} is a fixed point in time, not the clock plus a duration")
        duration, whole = self._epoch(node, call, [])
        if duration is None:
            raise _Left("expiry", f"{_code(node)} is the current time: the token expires at once")
        seconds = self.names.constant(duration, scope)
        if isinstance(seconds, (int, float)):
            if int(seconds) <= 0:
                raise _Left("expiry", f"{_code(node)} has passed when the token is built")
            if seconds > DAY:
                return cst.Integer(str(DAY))
            return duration if isinstance(seconds, int) else cst.Integer(str(int(seconds)))
        if whole or self._is_int(duration):
            return _strip(duration)
        return cst.Call(cst.Name("int"), [cst.Arg(_strip(duration))])

    def _is_int(self, node: cst.BaseExpression) -> bool:
        if isinstance(node, cst.Name):
            for binding in self.names.bindings(node):
                at = getattr(binding, "node", None)
                if isinstance(at, cst.Param) and at.annotation is not None:
                    if _dotted_text(at.annotation.annotation) == "int":
                        continue
                value = self.names.value(binding)
                if value is None or not self._is_int(value):
                    return False
            return True
        if isinstance(node, cst.BinaryOperation):
            if not isinstance(node.operator, (cst.Add, cst.Subtract, cst.Multiply)):
                return False
            return self._is_int(node.left) and self._is_int(node.right)
        is_int_call = isinstance(node, cst.Call) and self.names.dotted(node.func) == "builtins.int"
        return is_int_call or isinstance(node, cst.Integer)

    def _epoch(self, node: cst.BaseExpression, call: cst.Call, inside: list[cst.CSTNode]) -> _Sum:
        """``node``, in Unix seconds, as the clock plus a duration. ``inside`` are the values of the
        names that led here."""
        names = self.names
        if isinstance(node, cst.Name):
            value, binding = self._followed(node, call)
            total = self._epoch(value, call, [*inside, value])
            if total.duration is not None:
                self._check_only_expiry(node, binding, inside)
                self._check_movable(total.duration, names.statement(value), call)
            return total
        if isinstance(node, cst.BinaryOperation):
            return self._epoch_sum(node, call, inside)
        unproved = _Left(
            "expiry", f"{_code(node)} is not known to be the current time plus a duration"
        )
        if not isinstance(node, cst.Call):
            raise unproved
        dotted, arguments = names.dotted(node.func), _positional(node)
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
        if isinstance(node.func, cst.Attribute) and node.func.attr.value == "timestamp" and not node.args:
            moment = self._moment(node.func.value, call, inside)
            if moment and moment.zone == "naive utc":
                raise _Left(
                    "expiry",
                    f"{_code(node)} takes a UTC time for a local one, and is off by the time zone",
                )
            if moment:
                return _Sum(moment.duration, False)
        raise unproved

    def _epoch_sum(
        self, node: cst.BinaryOperation, call: cst.Call, inside: list[cst.CSTNode]
    ) -> _Sum:
        if not isinstance(node.operator, (cst.Add, cst.Subtract)):
            raise _Left(
                "expiry", f"{_code(node)} is not known to be the current time plus a duration"
            )
        plus = isinstance(node.operator, cst.Add)
        sides = [(node.left, node.right)] + ([(node.right, node.left)] if plus else [])
        failures = []
        for clock, added in sides:
            try:
                total = self._epoch(clock, call, inside)
            except _Left as left:
                failures.append((clock, left))
                continue
            if total.duration is None and plus:
                return _Sum(added, total.whole)
            if total.duration is not None:
                if self._reads_clock(added):
                    break
                return _Sum(node.with_changes(left=total.duration, right=added), total.whole)
            raise _Left("expiry", f"{_code(node)} has passed when the token is built")
        # Of two failures the telling one is that of the side that has to do with a clock.
        telling = [left for side, left in failures if self._reads_clock(side)] or [
            left for side, left in failures if isinstance(side, cst.Name)
        ]
        raise telling[0] if telling else _Left(
            "expiry", f"{_code(node)} is not known to be the current time plus a duration"
        )

    def _reads_clock(self, node: cst.CSTNode, depth: int = 4) -> bool:
        for part in _within(node):
            dotted = self.names.dotted(part) if isinstance(part, (cst.Name, cst.Attribute)) else None
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
        if (dotted, source) in (("calendar.timegm", "time.gmtime"), ("time.mktime", "time.localtime")):
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
                self._check_movable(moment.duration, names.statement(value), call)
            return moment
        if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Add):
            moment = self._moment(node.left, call, inside)
            if moment is None or moment.duration is not None:
                return None
            if moment.zone == "local":
                raise _Left(
                    "expiry",
                    f"{_code(node)} is local time: it is off by an hour where the clocks change",
                )
            return _Moment(moment.zone, self._seconds(node.right))
        if not isinstance(node, cst.Call):
            return None
        dotted = names.dotted(node.func)
        if dotted == "datetime.datetime.utcnow" and not node.args:
            return _Moment("naive utc", None)
        if dotted in ("datetime.datetime.now", "datetime.datetime.today", "django.utils.timezone.now"):
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
                (units.get(a.keyword.value) if a.keyword else None, _number(a.value))
                for a in node.args
            ]
            if all(unit is not None and number is not None for unit, number in known):
                return cst.Integer(str(sum(unit * number for unit, number in known)))  # type: ignore[operator]
        total = cst.Attribute(_parenthesized(node), cst.Name("total_seconds"))
        return cst.Call(cst.Name("int"), [cst.Arg(cst.Call(total))])

    def _followed(
        self, name: cst.Name, call: cst.Call
    ) -> tuple[cst.BaseExpression, BaseAssignment]:
        """What a name holds at a call: its one assignment, in the same scope, on every way there,
        with nothing that waits between."""
        names, shown = self.names, _code(name)
        bindings = names.bindings(name)
        if not bindings or not names.traceable(name.value):
            raise _Left("expiry", f"what {shown} holds can't be followed")
        if len(bindings) > 1:
            raise _Left(
                "expiry", f"{shown} is assigned more than once ({self._lines(bindings)})"
            )
        binding = bindings[0]
        if isinstance(getattr(binding, "node", None), cst.Param):
            raise _Left("expiry", f"{shown} is a parameter: only its callers know if it is the clock plus a duration")
        value = names.value(binding)
        if value is None:
            raise _Left("expiry", f"{shown} is not known to be the current time plus a duration")
        line = names.line(value)
        if binding.scope is not names.scope(call) or isinstance(binding.scope, ClassScope):
            raise _Left("expiry", f"{shown} is computed outside this function (line {line}), at another time than the token is built")
        if names.start(value) > names.start(call):
            raise _Left("expiry", f"{shown} is assigned after this call (line {line})")
        block, inner = names.block(value), []
        for ancestor in names.ancestors(call):
            if ancestor is block:
                break
            inner.append(ancestor)
        else:
            raise _Left("expiry", f"{shown} is assigned (line {line}) on some ways to this call only")
        if any(isinstance(ancestor, (cst.For, cst.While)) for ancestor in inner):
            raise _Left("expiry", f"{shown} is computed once (line {line}), and this call is in a loop")
        for wait in names.waits:
            at = names.start(wait) if not isinstance(wait, cst.Asynchronous) else names.start(names.parent(wait))
            if names.end(value) < at < names.end(call):
                raise _Left("expiry", f"the program may wait (line {at[0]}) after {shown} was computed (line {line})")
        return value, binding

    def _check_only_expiry(
        self, name: cst.Name, binding: BaseAssignment, inside: Collection[cst.CSTNode]
    ) -> None:
        followed = {id(part) for value in inside for part in _within(value)}
        for access in sorted(binding.references, key=lambda access: self.names.start(access.node)):
            if id(access.node) not in self.expiry_slots and id(access.node) not in followed:
                line = self.names.line(access.node)
                raise _Left("expiry", f"{_code(name)} is also used on line {line}, where it has to stay a timestamp")
        if isinstance(binding.scope, GlobalScope) and self.exported(name.value):
            raise _Left("expiry", f"{_code(name)} is used in other files, too")

    def _check_movable(self, node: cst.CSTNode, start: cst.CSTNode, call: cst.Call) -> None:
        """Whether an expression of ``start`` means the same when it is evaluated at the call."""
        names = self.names
        for part in _within(node):
            if not names.original(part):
                continue  # made here, of parts that are looked at
            if isinstance(part, cst.Call):
                if names.dotted(part.func) in (
                    "builtins.int", "builtins.str", "builtins.float", "builtins.max",
                    "builtins.min", "builtins.round", "datetime.timedelta",
                ) or (isinstance(part.func, cst.Attribute) and part.func.attr.value == "total_seconds"):  # fmt: skip
                    continue
            elif isinstance(part, cst.Attribute):
                if part.attr.value not in names.stored_attributes:
                    continue
            elif not isinstance(part, (cst.Await, cst.Yield, cst.NamedExpr, cst.Subscript, cst.Lambda)):
                if not isinstance(part, cst.Name) or self._steady(part, start, call):
                    continue
            raise _Left("expiry", f"{_code(part)} (line {names.line(part)}) may have another value at this call")

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

    # Wildcards -------------------------------------------------------------------------------

    def _wildcards(self, plan: _Plan) -> None:
        """``allow_wildcard`` where 006 was told, in sight, that any user may come.

        A channel that is only known at run time may not become a wildcard by the way: 006 had no
        wildcard channels, so "" and "*" were harmless there.
        """
        site = plan.site
        user = site.arguments.get("uid")
        channel = site.arguments.get("channel_name", site.arguments.get("user_id"))
        assert channel is not None
        if plan.method == "rtm_token":
            user = None
        fixed = self.names.constant(channel.value, self._scope_of(channel.value))
        users = set(self.names.literals(user.value)) if user else set()
        if fixed in ("", WILDCARD) or WILDCARD in users:
            what = "any user" if plan.method == "rtm_token" or fixed not in ("", WILDCARD) else "any channel"
            plan.notes.append(
                Note(self.names.line(site.call), f"a wildcard: the 007 token is good for {what}, the 006 token was not")
            )
        if fixed in ("", WILDCARD):
            plan.allow_wildcard = cst.Name("True")
        elif users & {0, "", WILDCARD}:
            if self._never_wildcard(channel.value):
                plan.allow_wildcard = cst.Name("True")
            elif isinstance(channel.value, (cst.Name, cst.Attribute)) and not _calls_anything(channel.value):
                name = cst.Module([]).code_for_node(channel.value)
                plan.allow_wildcard = cst.parse_expression(f'{name} not in ("", "*")')
            else:
                raise _Left(
                    "wildcard",
                    f"the uid may be any user's, and {_code(channel.value)} must not become any channel: "
                    "assign it to a name first",
                )

    def _never_wildcard(self, node: cst.CSTNode) -> bool:
        """Whether a channel name can't be "" or "*" whatever is filled in."""
        text = _text(node)
        if text is not None:
            return text not in ("", WILDCARD)
        if isinstance(node, cst.FormattedString):
            literal = "".join(
                part.value for part in node.parts if isinstance(part, cst.FormattedStringText)
            )
            return literal.strip(WILDCARD) != ""
        if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Add):
            return any(
                (_text(side) or "").strip(WILDCARD) != "" for side in (node.left, node.right)
            )
        value = self.names.only_value(node) if isinstance(node, cst.Name) else None
        return value is not None and self._never_wildcard(value)


def _agora_builder(call: cst.Call) -> bool:
    func = call.func
    return isinstance(func, cst.Attribute) and func.attr.value in PARAMETERS


def _arguments(call: cst.Call, builder: str) -> dict[str, cst.Arg]:
    """The arguments of a 006 builder by their names in fasttoken, in the order they are written."""
    parameters = PARAMETERS[builder]
    order, found = list(parameters.values()), {}
    for index, argument in enumerate(call.args):
        if argument.star:
            raise _Left("arguments", f"{argument.star}arguments can't be followed")
        if argument.keyword:
            name = parameters.get(argument.keyword.value)
            if name is None:
                raise _Left("arguments", f"{builder} has no parameter {argument.keyword.value}")
        elif index >= len(order):
            raise _Left("arguments", f"{builder} takes {len(order)} arguments, not {len(call.args)}")
        else:
            name = order[index]
        if name in found:
            raise _Left("arguments", f"{builder} is given the {name} twice")
        found[name] = argument
    missing = [name for name in order if name not in found]
    if missing:
        raise _Left("arguments", f"{builder} is called without {', '.join(missing)}")
    return found


# Editing -------------------------------------------------------------------------------------


class _Edits:
    """What is to change in a file: calls, in-place values, and all that is unused then."""

    def __init__(self, names: _Names, plans: list[_Plan], exported: Callable[[str], bool]) -> None:
        self.names = names
        self.exported = exported
        self.calls = {plan.site.call: plan for plan in plans}
        self.in_place = {old: new for plan in plans for old, new in plan.in_place.items()}
        self.removed: set[cst.CSTNode] = {s for plan in plans for s in plan.site.statements}
        self._gone = {id(part) for p in plans for node in p.gone for part in _within(node)}
        self._kept = {id(part) for p in plans for node in p.reused for part in _within(node)}
        self.dropped: dict[cst.CSTNode, set[str]] = {}  # import -> bound names that go
        self.project_imports: set[cst.CSTNode] = set()  # imports that Project's stands next to
        self.comments: dict[cst.CSTNode, list[str]] = {}
        self.imports: dict[cst.CSTNode, dict[str, list[BaseAssignment]]] = {}
        self._index_imports()
        if plans:
            self._remove_assignments()
            self._drop_imports()
            self._import_project()
            self._save_comments()

    def _dead(self, binding: BaseAssignment) -> bool:
        return all(self.is_gone(access.node) for access in binding.references)

    def is_gone(self, node: cst.CSTNode) -> bool:
        return id(node) in self._gone and id(node) not in self._kept

    def _index_imports(self) -> None:
        """Each import's bound names, with their bindings: ``import a.b`` has those of a and a.b."""
        scopes = {self.names.scope(node) for node in self.names.nodes}
        for binding in (b for scope in scopes if scope for b in scope.assignments):
            if isinstance(binding, ImportAssignment):
                bound = self.imports.setdefault(binding.node, {})
                bound.setdefault(binding.name.split(".")[0], []).append(binding)

    def _touched(self) -> Iterator[cst.Name]:
        for node in self.names.nodes:
            if isinstance(node, cst.Name) and self.is_gone(node):
                yield node

    def _remove_assignments(self) -> None:
        """Assignments that were only used by what goes, if nothing else happens in them."""
        names, found = self.names, True
        while found:
            found = False
            for name in list(self._touched()):
                bindings = names.bindings(name)
                value = names.only_value(name)
                if value is None or isinstance(bindings[0].scope, ClassScope):
                    continue
                statement = names.statement(value)
                if statement in self.removed or not self._dead(bindings[0]):
                    continue
                if isinstance(bindings[0].scope, GlobalScope) and self.exported(name.value):
                    continue
                if self._harmless(value):
                    self.removed.add(statement)
                    self._gone |= {id(part) for part in _within(statement)}
                    found = True

    def _harmless(self, value: cst.CSTNode) -> bool:
        clock = ("time", "datetime", "calendar")
        methods = ("timestamp", "timetuple", "utctimetuple", "total_seconds")
        for part in _within(value):
            if isinstance(part, (cst.Await, cst.Yield, cst.NamedExpr, cst.Subscript)):
                return False
            if isinstance(part, cst.Call):
                dotted = self.names.dotted(part.func) or ""
                method = isinstance(part.func, cst.Attribute) and part.func.attr.value in methods
                known = dotted.split(".")[0] in clock or dotted in (
                    "builtins.int", "builtins.round", "django.utils.timezone.now"
                )  # fmt: skip
                if not known and not method:
                    return False
        return True

    def _drop_imports(self) -> None:
        touched = {id(b) for name in self._touched() for b in self.names.bindings(name)}
        for node, bound in self.imports.items():
            for name, bindings in bound.items():
                ours = self.from_agora(node, name)
                used_before = any(id(binding) in touched for binding in bindings)
                if not (ours or used_before) or not all(map(self._dead, bindings)):
                    continue
                if isinstance(bindings[0].scope, GlobalScope) and self.exported(name):
                    continue
                self.dropped.setdefault(node, set()).add(name)

    @staticmethod
    def from_agora(node: cst.CSTNode, name: str) -> bool:
        for alias in _aliases(node):
            if _bound(alias) == name:
                if isinstance(node, cst.ImportFrom):
                    return _agora_import(_module(node), alias.evaluated_name)
                return _agora_import(alias.evaluated_name)
        return False

    def _import_project(self) -> None:
        names = self.names
        used = {node.value for node in names.nodes if isinstance(node, cst.Name)}
        for node, bound in self.imports.items():
            for name, bindings in bound.items():
                if (
                    _imported(bindings[0], name) == "fasttoken.Project"
                    and isinstance(names.block(node), cst.Module)
                    and all(name in (names.scope(call) or ()) for call in self.calls)
                    and len(bindings[0].scope[name]) == 1
                ):
                    self.project = name
                    return
        free = ("Project", "AgoraProject", "FastTokenProject")
        self.project = next(name for name in free if name not in used)
        needed = []
        for plan in self.calls.values():
            root: cst.CSTNode = plan.site.maker.func
            while isinstance(root, cst.Attribute):
                root = root.value
            assert isinstance(root, cst.Name)
            needed += [b.node for b in names.bindings(root) if isinstance(b, ImportAssignment)]
        blocks = set()
        for node in sorted(needed, key=names.start):
            if names.block(node) not in blocks:
                blocks.add(names.block(node))
                self.project_imports.add(node)

    def _save_comments(self) -> None:
        """Comments that stood at arguments which go are put above the statement."""
        for plan in self.calls.values():
            site = plan.site
            lost: list[object] = []
            for name, argument in site.arguments.items():
                if site.binding is not None or name in ("app_id", "app_certificate") or (
                    name == "role" and plan.method == "rtm_token"
                ):
                    lost += [argument.comma, argument.whitespace_after_arg]
                elif name in plan.values:
                    lost.append(argument.value)
            comments = _comments(lost)
            if comments:
                ancestors = self.names.ancestors(site.call)
                statement = next(a for a in ancestors if hasattr(a, "leading_lines"))
                self.comments.setdefault(statement, []).extend(comments)

    # The new nodes ---------------------------------------------------------------------------

    def new_call(self, plan: _Plan, call: cst.Call) -> cst.Call:
        """The 007 call; ``call`` is the old one, with whatever was rewritten inside it."""
        site = plan.site
        if site.binding is not None:
            given = {name: cst.Arg(a.value) for name, a in site.arguments.items()}
            given["expire"] = cst.Arg(plan.values["expire"])
            if plan.method == "rtm_token":
                given["user_id"] = given.pop("channel_name")
                del given["uid"]
            else:
                given["role"] = cst.Arg(plan.values["role"])
            order = ("app_id", "app_certificate", "channel_name", "user_id", "uid", "role", "expire")
            given = {name: given[name] for name in order if name in given}
            separator = tail = cst.Arg(cst.Name("x"))  # plain commas
        else:
            given = dict(zip(site.arguments, call.args, strict=True))
            tail: Any = call.args[-1]
            separator = next((a for a in call.args[:-1] if _newline(a.comma)), call.args[0])
        app = [
            cst.Arg(given.pop("app_id").value, comma=_COMMA),
            cst.Arg(given.pop("app_certificate").value),
        ]
        if plan.method == "rtm_token":
            given.pop("role", None)
        arguments = []
        for name, argument in given.items():
            keyword = None
            if name == "expire" or argument.keyword:
                keyword = cst.Name(name)
            equal = argument.equal if argument.keyword else _EQUAL
            arguments.append(
                argument.with_changes(
                    value=plan.values.get(name, argument.value),
                    keyword=keyword,
                    equal=equal if keyword else cst.MaybeSentinel.DEFAULT,
                )
            )
        if plan.allow_wildcard is not None:
            arguments.append(
                cst.Arg(plan.allow_wildcard, keyword=cst.Name("allow_wildcard"), equal=_EQUAL)
            )
        between = _without_comment(separator.comma) if _newline(separator.comma) else _COMMA
        end = tail.comma
        for index, argument in enumerate(arguments[:-1]):
            if argument.comma is tail.comma or not isinstance(argument.comma, cst.Comma):
                comma = between
                if _newline(end) and _newline(between):  # a comment stays at its argument
                    comma = between.with_deep_changes(
                        between.whitespace_after, first_line=end.whitespace_after.first_line
                    )
                    end = _without_comment(end)
                arguments[index] = argument.with_changes(
                    comma=comma, whitespace_after_arg=cst.SimpleWhitespace("")
                )
        arguments[-1] = arguments[-1].with_changes(
            comma=end, whitespace_after_arg=tail.whitespace_after_arg
        )
        func = cst.Attribute(cst.Call(cst.Name(self.project), app), cst.Name(plan.method))
        if site.binding is not None:
            return call.with_changes(func=func, args=arguments)
        return call.with_changes(func=func, args=self._aligned(site, func, arguments))

    def _aligned(self, site: _Site, func: cst.Attribute, args: list[cst.Arg]) -> list[cst.Arg]:
        """Continuation lines that stood below the opening parenthesis stand below the new one."""
        old, first = self.names.range(site.call.func), self.names.statement(site.call)
        indent = self.names.range(first).start.column
        delta = len(cst.Module([]).code_for_node(func)) - (old.end.column - old.start.column)
        if old.start.line != old.end.line or self.names.range(first).start.line != old.start.line:
            return args
        for index, argument in enumerate(args):
            space = argument.comma.whitespace_after if isinstance(argument.comma, cst.Comma) else None
            if isinstance(space, cst.ParenthesizedWhitespace):
                width = len(space.last_line.value)
                if width + indent * space.indent == old.end.column + 1:
                    line = cst.SimpleWhitespace(" " * max(0, width + delta))
                    comma = argument.comma.with_changes(  # type: ignore[union-attr]
                        whitespace_after=space.with_changes(last_line=line)
                    )
                    args[index] = argument.with_changes(comma=comma)
        return args

    def new_imports(
        self, node: cst.Import | cst.ImportFrom
    ) -> list[cst.BaseSmallStatement]:
        """What stands in the place of an import: what is left of it, and Project's."""
        statements: list[cst.BaseSmallStatement] = []
        gone = self.dropped.get(node, set())
        left = [alias for alias in _aliases(node) if _bound(alias) not in gone]
        if not gone:
            statements.append(node)
        elif left:
            left[-1] = left[-1].with_changes(comma=_aliases(node)[-1].comma)
            statements.append(node.with_changes(names=left))
        if node in self.project_imports:
            name = cst.Name("Project")
            asname = None if self.project == "Project" else cst.AsName(cst.Name(self.project))
            alias = cst.ImportAlias(name, asname)
            statements.append(cst.ImportFrom(cst.Name("fasttoken"), [alias]))
        return statements


_COMMA = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
_REMOVED = cst.Pass()  # LibCST drops a line without statements, and with it the comments above it
_EQUAL = cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace(""))


def _newline(comma: object) -> bool:
    return isinstance(comma, cst.Comma) and isinstance(
        comma.whitespace_after, cst.ParenthesizedWhitespace
    )


def _without_comment(comma: Any) -> cst.Comma:
    space = comma.whitespace_after
    first = space.first_line.with_changes(comment=None, whitespace=cst.SimpleWhitespace(""))
    return cst.Comma(whitespace_after=space.with_changes(first_line=first, empty_lines=()))


class _Apply(cst.CSTTransformer):
    """Carries the edits out, keeping comments and blank lines of lines that go."""

    def __init__(self, edits: _Edits) -> None:
        super().__init__()
        self.edits = edits

    def on_leave(self, original_node: Any, updated_node: Any) -> Any:
        updated = super().on_leave(original_node, updated_node)
        edits = self.edits
        if original_node in edits.in_place:
            return edits.in_place[original_node]
        if original_node in edits.comments:
            comments = [cst.EmptyLine(comment=cst.Comment(c)) for c in edits.comments[original_node]]
            return updated.with_changes(leading_lines=[*updated.leading_lines, *comments])
        return updated

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.Call:
        plan = self.edits.calls.get(original_node)
        return self.edits.new_call(plan, updated_node) if plan else updated_node

    def _small(self, original: Any, updated: Any) -> list[cst.BaseSmallStatement]:
        out: list[cst.BaseSmallStatement] = []
        for old, new in zip(original.body, updated.body, strict=True):
            if old in self.edits.removed:
                continue
            if old in self.edits.dropped or old in self.edits.project_imports:
                out += self.edits.new_imports(old)
            else:
                out.append(new)
        if out and len(out) != len(original.body):
            out[-1] = out[-1].with_changes(semicolon=original.body[-1].semicolon)
        return out

    def leave_SimpleStatementSuite(
        self, original_node: cst.SimpleStatementSuite, updated_node: cst.SimpleStatementSuite
    ) -> cst.SimpleStatementSuite:
        return updated_node.with_changes(body=self._small(original_node, updated_node))

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> Any:
        body = self._small(original_node, updated_node)
        if len(original_node.body) == 1 and len(body) == 2:
            second = cst.SimpleStatementLine([body[1]])
            return cst.FlattenSentinel([updated_node.with_changes(body=body[:1]), second])
        return updated_node.with_changes(body=body or [_REMOVED])

    def _block(self, updated: Any) -> Any:
        """A block without its empty lines of statements; what stood above them moves down."""
        body, pending = [], []
        for statement in updated.body:
            if isinstance(statement, cst.SimpleStatementLine) and statement.body[0] is _REMOVED:
                pending = _joined(pending, statement.leading_lines)
                continue
            if pending:
                lines = _joined(pending, statement.leading_lines)
                statement, pending = statement.with_changes(leading_lines=lines), []
            body.append(statement)
        footer = list(updated.footer)
        comments = [line for line in pending if line.comment]
        return updated.with_changes(body=body, footer=[*comments, *footer])

    def leave_IndentedBlock(
        self, original_node: cst.IndentedBlock, updated_node: cst.IndentedBlock
    ) -> cst.BaseSuite:
        block: cst.IndentedBlock = self._block(updated_node)
        return block

    def leave_Module(self, original_node: cst.Module, updated_node: cst.Module) -> cst.Module:
        module: cst.Module = self._block(updated_node)
        return module


def _joined(above: Sequence[cst.EmptyLine], below: Sequence[cst.EmptyLine]) -> list[cst.EmptyLine]:
    """Lines above two statements, put together: no more blank lines in a row than one had."""
    most = max(_blank_run(above), _blank_run(below))
    out: list[cst.EmptyLine] = []
    run = 0
    for line in (*above, *below):
        run = 0 if line.comment else run + 1
        if run <= most:
            out.append(line)
    return out


def _blank_run(lines: Sequence[cst.EmptyLine]) -> int:
    longest = run = 0
    for line in lines:
        run = 0 if line.comment else run + 1
        longest = max(longest, run)
    return longest


# Files ---------------------------------------------------------------------------------------


def migrate_source(
    source: bytes,
    path: str | os.PathLike[str] = "module.py",
    exported: Callable[[str], bool] = lambda name: False,
) -> Migration:
    """The migration of one file. ``exported`` tells whether other files use a name of it."""
    place = Path(path)
    if not _MENTION.search(source):
        return Migration(place, source, source)
    try:
        module = cst.parse_module(source)
        names = _Names(module)
        return _migrated(names, place, source, exported)
    except cst.ParserSyntaxError as error:
        left = LeftAlone(error.raw_line, "syntax", f"can't be parsed: {error.message.splitlines()[0]}")
    except (UnicodeError, LookupError, SyntaxError, ValueError) as error:
        left = LeftAlone(1, "syntax", f"can't be read: {error}")
    except RecursionError:
        left = LeftAlone(1, "syntax", "can't be parsed: it is nested too deeply")
    return Migration(place, source, source, left_alone=(left,))


def _migrated(
    names: _Names, path: Path, source: bytes, exported: Callable[[str], bool]
) -> Migration:
    copied = _copied_builder(names.module)
    if copied:
        note = Note(
            names.line(copied),
            f"a copy of AgoraIO's {copied.name.value}: delete it when nothing imports it any more",
        )
        return Migration(path, source, source, notes=(note,))
    public = _all(source)

    def is_exported(name: str) -> bool:
        return name in public or exported(name)

    planner = _Planner(names)
    plans = planner.plans(planner.sites(), is_exported)
    edits = _Edits(names, plans, is_exported)
    left = planner.left + _remaining(names, planner, edits, path)
    notes = [note for plan in plans for note in plan.notes]
    after = names.module.visit(_Apply(edits)).bytes if plans else source
    rewritten = [
        Rewritten(names.line(plan.site.call), plan.site.builder, plan.method) for plan in plans
    ]
    return Migration(
        path, source, after, tuple(sorted(rewritten)), tuple(sorted(set(left))), tuple(sorted(set(notes)))
    )


def _copied_builder(module: cst.Module) -> cst.ClassDef | None:
    """AgoraIO's own class, where the file is a hand copy of the library."""
    methods = {*PARAMETERS, "addPrivilege"}
    for node in module.body:
        if isinstance(node, cst.ClassDef) and node.name.value in CLASSES:
            for part in node.body.body:
                if isinstance(part, cst.FunctionDef) and part.name.value in methods:
                    return node
    return None


def _all(source: bytes) -> set[str]:
    """The names in ``__all__``; LibCST reads more encodings, so what ast can't read has none."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return set()
    return {
        text.value
        for node in tree.body
        if isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign))
        and "__all__" in ast.dump(node)
        for text in ast.walk(node)
        if isinstance(text, ast.Constant) and isinstance(text.value, str)
    }


def _remaining(
    names: _Names, planner: _Planner, edits: _Edits, path: Path
) -> list[LeftAlone]:
    """What still ties the file to a 006 package, besides the calls that are reported already."""
    explained = {id(part) for call in planner.seen for part in _within(call)}
    out: list[LeftAlone] = []
    for node in names.nodes:
        if isinstance(node, cst.ImportFrom) and isinstance(node.names, cst.ImportStar):
            if _agora_import(_module(node)):
                out.append(
                    LeftAlone(names.line(node), "import", f"{_code(node)}: import the names instead")
                )
    constants = (*ROLE_CONSTANTS, *PRIVILEGES)
    for node, bound in edits.imports.items():
        for name, bindings in bound.items():
            if not edits.from_agora(node, name) or name in edits.dropped.get(node, ()):
                continue
            uses = [access.node for binding in bindings for access in binding.references]
            alive = [use for use in uses if not edits.is_gone(use)]
            unexplained = [use for use in alive if id(use) not in explained]
            imported = _imported(bindings[0], name) or ""
            last = imported.rpartition(".")[2]
            if last not in (*CLASSES, *constants, *PACKAGES) or (
                last in constants and (planner.left or out)
            ):
                continue
            if last == "AccessToken" and _agora(imported) is None:
                continue
            for use in unexplained:
                out.append(
                    LeftAlone(names.line(use), "use", f"{_code(use)} is used here other than in a call that is known")
                )
            if not alive:
                why = "other files take it from here" if edits.calls else "it is not used in this file"
                out.append(LeftAlone(names.line(node), "import", f"the import of {name} stays: {why}"))
    return out


def python_files(path: Path) -> Iterator[Path]:
    """The Python files of a folder, without those of environments, builds and hidden folders."""
    for folder, folders, files in os.walk(path):
        folders[:] = sorted(
            name
            for name in folders
            if name not in _SKIPPED
            and not name.startswith(".")
            and not name.endswith(".egg-info")
            and not os.path.exists(os.path.join(folder, name, "pyvenv.cfg"))
        )
        for name in sorted(files):
            file = Path(folder, name)
            if name.endswith((".py", ".pyw")) and not file.is_symlink():
                yield file


class _Neighbours:
    """Which names of a file the other files of its project use."""

    def __init__(self, path: Path) -> None:
        path = path.resolve()
        start = path if path.is_dir() else path.parent
        marked = (
            folder
            for folder in (start, *start.parents)
            if any((folder / mark).exists() for mark in _ROOT_MARKS)
        )
        self._root = next(marked, start)
        self._sources: dict[Path, bytes] | None = None
        self._trees: dict[Path, ast.Module | None] = {}

    def use(self, path: Path, name: str) -> bool:
        """Whether another file mentions ``name`` as something of the module at ``path``."""
        path = path.resolve()
        if self._sources is None:
            self._sources = {file: file.read_bytes() for file in python_files(self._root)}
        stem = path.parent.name if path.stem == "__init__" else path.stem
        both = [re.compile(rb"\b%s\b" % word.encode()) for word in (stem, name)]
        star = re.compile(rb"\bimport\s+\*")
        for file, source in self._sources.items():
            if file == path or not both[0].search(source):
                continue
            if (both[1].search(source) or star.search(source)) and self._mentions(file, stem, name):
                return True
        return False

    def _mentions(self, file: Path, stem: str, name: str) -> bool:
        if file not in self._trees:
            assert self._sources is not None
            try:
                self._trees[file] = ast.parse(self._sources[file])
            except (SyntaxError, ValueError, RecursionError):
                self._trees[file] = None
        tree = self._trees[file]
        if tree is None:
            return True  # it can't be read, so it may
        modules = {stem}
        for node in ast.walk(tree):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                for alias in node.names:
                    if alias.asname and alias.name.split(".")[-1] == stem:
                        modules.add(alias.asname)
        return any(_mention(node, stem, modules, name) for node in ast.walk(tree))


def _mention(node: ast.AST, stem: str, modules: set[str], name: str) -> bool:
    if isinstance(node, ast.ImportFrom):
        last = (node.module or "").split(".")[-1]
        return last == stem and any(alias.name in (name, "*") for alias in node.names)
    if isinstance(node, ast.Attribute) and node.attr == name:
        owner = node.value
        return (isinstance(owner, ast.Name) and owner.id in modules) or (
            isinstance(owner, ast.Attribute) and owner.attr == stem
        )
    if isinstance(node, ast.Constant) and isinstance(node.value, str):  # as in mock.patch("...")
        return node.value == name or re.search(
            rf"\b{re.escape(stem)}\.{re.escape(name)}\b", node.value
        ) is not None
    return False


def migrate_path(path: str | os.PathLike[str]) -> Iterator[Migration]:
    """The migration of each Python file at ``path``, a file or a folder, that has to do with 006.

    Nothing is written. Files that can't be read are reported as left alone.
    """
    place = Path(path)
    neighbours = _Neighbours(place)
    for file in python_files(place) if place.is_dir() else (place,):
        try:
            source = file.read_bytes()
        except OSError as error:
            left = LeftAlone(1, "syntax", f"can't be read: {error.strerror}")
            yield Migration(file, b"", b"", left_alone=(left,))
            continue
        migration = migrate_source(
            source, file, lambda name, file=file: neighbours.use(file, name)  # type: ignore[misc]
        )
        if migration.changed or migration.left_alone or migration.notes:
            yield migration


def write(migrations: Iterable[Migration]) -> list[Path]:
    """Writes what changed and returns where. All new files are ready before the first takes its
    place, and each takes it at once; a file that changed since it was read raises `OSError`."""
    ready: list[tuple[str, Path]] = []
    try:
        for migration in migrations:
            if not migration.changed:
                continue
            path = migration.path.resolve()
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            ready.append((name, path))
            with os.fdopen(handle, "wb") as file:
                file.write(migration.after)
            shutil.copymode(path, name)
            if path.read_bytes() != migration.before:
                raise OSError(f"{migration.path} changed since it was read")
        written = []
        while ready:
            name, path = ready[0]
            os.replace(name, path)
            written.append(path)
            ready.pop(0)
        return written
    finally:
        for name, _ in ready:
            os.unlink(name)
