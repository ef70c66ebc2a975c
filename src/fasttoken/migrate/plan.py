"""What each call becomes: the role, the expiry and the wildcards of the 007 token."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import libcst as cst
from libcst.metadata import Assignment, ClassScope, GlobalScope

from ..rules import WILDCARD
from .agora import PRIVILEGES, ROLE_CONSTANTS, ROLES, agora_name
from .expiry import Expiry
from .names import Names, has_effects, number_of, shown, text_of, within
from .outcome import Left, Note
from .sites import Site, builds_token

_CERTIFICATE = re.compile("[0-9a-fA-F]{32}").fullmatch


@dataclass(eq=False)
class Plan:
    """What becomes of a site."""

    site: Site
    method: str
    arguments: dict[str, cst.Arg]  # what the new call is given of the old one, by parameter
    values: dict[str, cst.BaseExpression] = field(default_factory=dict)  # and new values
    allow_wildcard: cst.BaseExpression | None = None
    in_place: dict[cst.CSTNode, cst.BaseExpression] = field(default_factory=dict)
    gone: list[cst.CSTNode] = field(default_factory=list)  # what the new code lacks
    reused: list[cst.CSTNode] = field(default_factory=list)  # what it takes over from there
    notes: list[Note] = field(default_factory=list)


class Planner:
    """Proves, site by site, what the calls of a file may become."""

    def __init__(self, names: Names, exported: Callable[[str], bool]) -> None:
        self.names = names
        self.exported = exported  # whether other files use a name of this one
        self.failures: list[tuple[cst.Call, Left]] = []

    def plans(self, sites: list[Site]) -> list[Plan]:
        """A plan for each site that can be rewritten. A name may be used by several sites, so
        when one falls out the others are looked at anew."""
        while True:
            self.role_slots = {id(site.role) for site in sites if site.role is not None}
            expiry_slots = {id(p) for site in sites for e in site.expiries for p in within(e)}
            self.expiries = Expiry(self.names, expiry_slots, self.exported)
            plans, kept = [], []
            for site in sites:
                try:
                    plans.append(self._plan(site))
                    kept.append(site)
                except Left as left:
                    self.failures.append((site.maker, left))
            if len(kept) == len(sites):
                return plans
            sites = kept

    def _plan(self, site: Site) -> Plan:
        for part in within(site.call):
            if part is not site.call and isinstance(part, cst.Call) and builds_token(part):
                raise Left("arguments", "another builder is called inside this call")
        plan = Plan(site, "rtc_token", dict(site.arguments))
        plan.gone.append(site.maker.func)
        if site.binding is not None:
            self._grant(plan)
        elif "user_id" in site.arguments:
            plan.method = "rtm_token"
            role = plan.arguments.pop("role").value
            if has_effects(role):
                raise Left("role", f"{shown(role)} is called for its role, which RTM ignores")
            plan.gone.append(role)
        else:
            self._role(plan)
        self._evaluation_order(site)
        self._expiry(plan)
        self._wildcards(plan)
        certificate = site.arguments["app_certificate"].value
        text = self.names.constant(certificate)
        if isinstance(text, str) and _CERTIFICATE(text):
            plan.notes.append(
                Note(
                    self.names.line(certificate),
                    "the App Certificate stands in the source: Project.from_env() keeps it out",
                )
            )
        return plan

    def _evaluation_order(self, site: Site) -> None:
        """App ID and certificate are evaluated first now: they may not pass by another call."""
        effects = [name for name, argument in site.arguments.items() if has_effects(argument.value)]
        moved = ("app_id", "app_certificate")
        first = [name for name in moved if name in effects]
        if effects != first + [name for name in effects if name not in moved]:
            raise Left("arguments", "the arguments would be evaluated in another order")

    # Roles -----------------------------------------------------------------------------------

    def _role_text(self, node: cst.CSTNode) -> tuple[str, int] | None:
        """The role, and its number in 006, of a literal or one of AgoraIO's constants."""
        number = number_of(node)
        if number is None:
            dotted = self.names.dotted(node)
            number = ROLE_CONSTANTS.get(agora_name(dotted) or "")
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

    def _role(self, plan: Plan) -> None:
        node = plan.site.arguments["role"].value
        direct = self._role_value(node)
        if direct:
            plan.values["role"], gone = direct
            plan.gone += gone
            return
        unknown = Left(
            "role",
            f'{shown(node)} is not a known role: pass "publisher" or "subscriber"',
        )
        if not isinstance(node, cst.Name) or not self.names.traceable(node.value):
            raise unknown
        bindings = self.names.bindings(node)
        roles = []
        for binding in bindings:
            value = self.names.value(binding)
            role = None if value is None else self._role_value(value)
            if value is None or role is None or isinstance(binding.scope, ClassScope):
                raise unknown
            roles.append((value, *role))
        if not roles:
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
            for value, new, gone in roles:
                plan.in_place[value] = new
                plan.gone += gone
            return
        value, new, _ = roles[0]
        if len(roles) == 1 and self._role_text(value):
            plan.values["role"] = new
            plan.gone.append(node)
            return
        leaves = [number_of(leaf) for _, _, gone in roles for leaf in gone]
        if not all(number in (1, 2) for number in leaves):
            where = f" (line {self.names.line(other[0])})" if other else ""
            raise Left("role", f"{shown(node)} is used elsewhere, too{where}")
        # 1 and 2 mean in 007 what they meant in 006: the name can stay as it is.

    def _grant(self, plan: Plan) -> None:
        """The role, or RTM login, that a set of addPrivilege calls comes to."""
        site = plan.site
        keys = set()
        for node in site.privileges:
            number = number_of(node)
            if number is None:
                dotted = self.names.dotted(node)
                number = PRIVILEGES.get(agora_name(dotted) or "")
            if number is None:
                raise Left("privileges", f"{shown(node)} is not a known privilege")
            keys.add(number)
        for statement in site.statements:
            plan.gone.append(statement)
        for argument in site.arguments.values():
            self.expiries.check_movable(argument.value, site.maker, site.call, "privileges")
            plan.reused.append(argument.value)
        if keys == {1} or keys == {1, 2, 3, 4}:
            role = "subscriber" if keys == {1} else "publisher"
            plan.values["role"] = cst.SimpleString(f'"{role}"')
        elif keys == {1000}:
            uid = site.arguments["uid"].value
            if self.names.constant(uid) not in (0, ""):
                raise Left(
                    "privileges", "an RTM token has an empty uid, and this one may have another"
                )
            plan.method = "rtm_token"
            del plan.arguments["uid"]
            plan.arguments["user_id"] = plan.arguments.pop("channel_name")
        else:
            raise Left(
                "privileges",
                f"no role grants exactly the privileges {', '.join(map(str, sorted(keys)))}: "
                "use Project.token with an Rtc service",
            )

    # Expiry ----------------------------------------------------------------------------------

    def _expiry(self, plan: Plan) -> None:
        site = plan.site
        durations: dict[str, cst.BaseExpression] = {}
        for node in site.expiries:
            duration = self.expiries.duration(node, site.call)
            durations.setdefault(shown(duration), duration)
            if site.binding is not None:
                self.expiries.check_movable(duration, self.names.statement(node), site.call)
            plan.gone.append(node)
            plan.reused.append(duration)
        if len(durations) > 1:
            raise Left(
                "expiry", f"the privileges expire at different times: {', '.join(durations)}"
            )
        plan.values["expire"] = next(iter(durations.values()))

    # Wildcards -------------------------------------------------------------------------------

    def _wildcards(self, plan: Plan) -> None:
        """``allow_wildcard`` where 006 was told, in sight, that any user may come.

        A channel that is only known at run time may not become a wildcard by the way: 006 had no
        wildcard channels, so "" and "*" were harmless there.
        """
        user = plan.arguments.get("uid")
        channel = plan.arguments["channel_name" if user else "user_id"]
        fixed = self.names.constant(channel.value)
        users = set(self.names.literals(user.value)) if user else set()
        if fixed in ("", WILDCARD) or WILDCARD in users:
            what = "any user" if user is None or fixed not in ("", WILDCARD) else "any channel"
            plan.notes.append(
                Note(
                    self.names.line(plan.site.call),
                    f"a wildcard: the 007 token is good for {what}, the 006 token was not",
                )
            )
        if fixed in ("", WILDCARD):
            plan.allow_wildcard = cst.Name("True")
        elif users & {0, "", WILDCARD}:
            if self._never_wildcard(channel.value):
                plan.allow_wildcard = cst.Name("True")
            elif isinstance(channel.value, (cst.Name, cst.Attribute)) and not has_effects(
                channel.value
            ):
                name = cst.Module([]).code_for_node(channel.value)
                plan.allow_wildcard = cst.parse_expression(f'{name} not in ("", "*")')
            else:
                raise Left(
                    "wildcard",
                    f"the uid may be any user's, and {shown(channel.value)} must not become any "
                    "channel: assign it to a name first",
                )

    def _never_wildcard(self, node: cst.CSTNode) -> bool:
        """Whether a channel name can't be "" or "*" whatever is filled in."""
        text = text_of(node)
        if text is not None:
            return text not in ("", WILDCARD)
        if isinstance(node, cst.FormattedString):
            literal = "".join(
                part.value for part in node.parts if isinstance(part, cst.FormattedStringText)
            )
            return literal.strip(WILDCARD) != ""
        if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Add):
            return any(
                (text_of(side) or "").strip(WILDCARD) != "" for side in (node.left, node.right)
            )
        value = self.names.only_value(node) if isinstance(node, cst.Name) else None
        return value is not None and self._never_wildcard(value)
