"""Where 006 tokens are built, and what they are given."""

from __future__ import annotations

from dataclasses import dataclass, field

import libcst as cst
from libcst.metadata import Assignment, BaseAssignment, ClassScope

from .agora import PARAMETERS, agora_name
from .names import Names, positional, shown, source_of
from .outcome import Left


@dataclass(eq=False)
class Site:
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


def find(names: Names) -> tuple[list[Site], list[tuple[cst.Call, Left]]]:
    """The sites of a file, and the calls that are not one, with the reason."""
    sites, failures = [], []
    for node in names.nodes:
        if isinstance(node, cst.Call):
            try:
                site = _site(names, node)
            except Left as left:
                failures.append((node, left))
            else:
                if site:
                    sites.append(site)
    return sites, failures


def _site(names: Names, call: cst.Call) -> Site | None:
    dotted = names.dotted(call.func)
    if agora_name(dotted) == "AccessToken":
        return _access_token(names, call)
    if not isinstance(call.func, cst.Attribute) or call.func.attr.value not in PARAMETERS:
        return None
    method, owner = call.func.attr.value, call.func.value
    of_class = (dotted or source_of(call.func)).split(".")[-2]
    if method == "buildToken" and of_class != "RtmTokenBuilder":
        return None
    if agora_name(None if dotted is None else dotted.rpartition(".")[0]) is None:
        raise Left("origin", _origin(names, owner, dotted))
    wanted = "RtmTokenBuilder" if method == "buildToken" else "RtcTokenBuilder"
    if of_class != wanted:
        raise Left("origin", f"{shown(call.func)} is not one of AgoraIO's 006 builders")
    site = Site(call, f"{of_class}.{method}", call)
    site.arguments = builder_arguments(call, method)
    site.expiries = [site.arguments["expire"].value]
    return site


def _origin(names: Names, owner: cst.BaseExpression, dotted: str | None) -> str:
    root = owner
    while isinstance(root, cst.Attribute):
        root = root.value
    if dotted is not None:
        return (
            f"{shown(owner)} comes from {dotted.rpartition('.')[0].rpartition('.')[0]}, "
            "which is not known to be AgoraIO's"
        )
    bindings = names.bindings(root) if isinstance(root, cst.Name) else []
    if len(bindings) > 1:
        return f"{shown(root)} is bound more than once ({names.lines(bindings)})"
    return f"where {shown(owner)} comes from can't be followed"


def _access_token(names: Names, maker: cst.Call) -> Site:
    """``t = AccessToken(...)``, ``t.addPrivilege(...)`` statements and one ``t.build()``, all in
    one block and in this order; else `Left`."""
    assign = names.parent(maker)
    target = assign.targets[0].target if isinstance(assign, cst.Assign) else None
    if not isinstance(target, cst.Name):
        raise Left("privileges", "the AccessToken is not simply assigned to a name")
    bindings = [b for b in names.bindings(target) if isinstance(b, Assignment)]
    if len(bindings) != 1 or names.value(bindings[0]) is not maker:
        raise Left("privileges", f"{shown(target)} is assigned more than once")
    if not names.traceable(target.value) or isinstance(bindings[0].scope, ClassScope):
        raise Left("privileges", f"what becomes of {shown(target)} can't be followed")
    site = Site(maker, "AccessToken", maker, builder_arguments(maker, "AccessToken"))
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
            raise Left("privileges", f"{shown(target)} is used in another way, too {where}")
        if site.call is not maker:
            raise Left("privileges", f"{shown(target)} is used after it was built {where}")
        if attribute.attr.value == "build":
            same_scope = names.scope(call) is bindings[0].scope
            if names.block(use) is not names.parent(line) or call.args or not same_scope:
                raise Left(
                    "privileges", f"{shown(target)} is not built in the block it was made in"
                )
            site.call = call
            continue
        arguments = positional(call)
        statement = names.parent(call)
        if (
            arguments is None
            or len(arguments) != 2
            or not isinstance(statement, cst.Expr)
            or names.block(statement) is not names.parent(line)
        ):
            raise Left("privileges", f"not every addPrivilege is always called {where}")
        site.privileges.append(arguments[0])
        site.expiries.append(arguments[1])
        site.statements.append(statement)
    if names.waits_between(maker, site.call):
        raise Left("privileges", f"the program may wait while {shown(target)} is put together")
    if site.call is maker or not site.expiries:
        raise Left("privileges", f"{shown(target)} is not built in the block it was made in")
    return site


def builds_token(call: cst.Call) -> bool:
    func = call.func
    return isinstance(func, cst.Attribute) and func.attr.value in PARAMETERS


def builder_arguments(call: cst.Call, builder: str) -> dict[str, cst.Arg]:
    """The arguments of a 006 builder by their names in fasttoken, in the order they are written."""
    parameters = PARAMETERS[builder]
    order, found = list(parameters.values()), {}
    for index, argument in enumerate(call.args):
        if argument.star:
            raise Left("arguments", f"{argument.star}arguments can't be followed")
        if argument.keyword:
            name = parameters.get(argument.keyword.value)
            if name is None:
                raise Left("arguments", f"{builder} has no parameter {argument.keyword.value}")
        elif index >= len(order):
            raise Left("arguments", f"{builder} takes {len(order)} arguments, not {len(call.args)}")
        else:
            name = order[index]
        if name in found:
            raise Left("arguments", f"{builder} is given the {name} twice")
        found[name] = argument
    missing = [name for name in order if name not in found]
    if missing:
        raise Left("arguments", f"{builder} is called without {', '.join(missing)}")
    return found
