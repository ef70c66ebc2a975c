"""The new source: calls, imports, and what is unused after them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import libcst as cst
from libcst.metadata import BaseAssignment, ClassScope, GlobalScope, ImportAssignment

from .agora import is_agora_import
from .names import (
    Names,
    aliases_of,
    bound_name,
    comments_in,
    imported,
    module_of,
    source_of,
    within,
)
from .plan import Plan
from .sites import Site


class Edits:
    """What is to change in a file: calls, in-place values, and all that is unused then."""

    def __init__(self, names: Names, plans: list[Plan], exported: Callable[[str], bool]) -> None:
        self.names = names
        self.exported = exported
        self.calls = {plan.site.call: plan for plan in plans}
        self.in_place = {old: new for plan in plans for old, new in plan.in_place.items()}
        self.removed: set[cst.CSTNode] = {s for plan in plans for s in plan.site.statements}
        self._gone = {id(part) for p in plans for node in p.gone for part in within(node)}
        self._kept = {id(part) for p in plans for node in p.reused for part in within(node)}
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
                    self._gone |= {id(part) for part in within(statement)}
                    found = True

    def _harmless(self, value: cst.CSTNode) -> bool:
        clock = ("time", "datetime", "calendar")
        methods = ("timestamp", "timetuple", "utctimetuple", "total_seconds")
        for part in within(value):
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
        """Whether an import binds a 006 builder, a constant of it, or a package of them."""
        for alias in aliases_of(node):
            if bound_name(alias) == name:
                module = module_of(node) + "." if isinstance(node, cst.ImportFrom) else ""
                dotted = module + alias.evaluated_name
                return is_agora_import(dotted)
        return False

    def _import_project(self) -> None:
        names = self.names
        used = {node.value for node in names.nodes if isinstance(node, cst.Name)}
        for node, bound in self.imports.items():
            for name, bindings in bound.items():
                if (
                    imported(bindings[0], name) == "fasttoken.Project"
                    and isinstance(names.block(node), cst.Module)
                    and all(name in (names.scope(call) or ()) for call in self.calls)
                    and len(bindings[0].scope[name]) == 1
                ):
                    self.project = name
                    return
        free = ("Project", "AgoraProject")
        self.project = next((name for name in free if name not in used), "FastTokenProject")
        needed = []
        for plan in self.calls.values():
            root: cst.CSTNode = plan.site.maker.func
            while isinstance(root, cst.Attribute):
                root = root.value
            if isinstance(root, cst.Name):
                origins = names.bindings(root)
                needed += [b.node for b in origins if isinstance(b, ImportAssignment)]
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
                moved = name in ("app_id", "app_certificate") or name not in plan.arguments
                if moved or site.binding is not None:
                    lost += [argument.comma, argument.whitespace_after_arg]
                elif name in plan.values:
                    lost.append(argument.value)
            comments = comments_in(lost)
            if comments:
                ancestors = self.names.ancestors(site.call)
                statement = next(a for a in ancestors if hasattr(a, "leading_lines"))
                self.comments.setdefault(statement, []).extend(comments)

    # The new nodes ---------------------------------------------------------------------------

    def new_call(self, plan: Plan, call: cst.Call) -> cst.Call:
        """The 007 call; ``call`` is the old one, with whatever was rewritten inside it."""
        site = plan.site
        if site.binding is not None:  # AccessToken(...): the arguments stood elsewhere
            given = {name: cst.Arg(a.value) for name, a in plan.arguments.items()}
            given |= {name: cst.Arg(value) for name, value in plan.values.items()}
            tail: Any = cst.Arg(cst.Name("_"))
            separator = tail
        else:
            old = dict(zip(site.arguments, call.args, strict=True))
            given = {name: old[name] for name in plan.arguments}
            tail = call.args[-1]
            separator = next((a for a in call.args[:-1] if _newline(a.comma)), call.args[0])
        app = [
            cst.Arg(given.pop("app_id").value, comma=_COMMA),
            cst.Arg(given.pop("app_certificate").value),
        ]
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
        between: Any = _without_comment(separator.comma) if _newline(separator.comma) else _COMMA
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
        if site.binding is None:
            arguments = self._aligned(site, func, arguments)
        return self._wrapped(call.with_changes(func=func, args=arguments), site.call)

    def _wrapped(self, call: cst.Call, old: cst.Call) -> cst.Call:
        """One argument a line, if a call on one line is too long."""
        start = self.names.range(old).start
        on_first_line = start.line == self.names.line(self.names.statement(old))
        code = source_of(call)
        if "\n" in code or start.column + len(code) <= LINE_LENGTH or not on_first_line:
            return call
        inner, outer = (
            cst.ParenthesizedWhitespace(indent=True, last_line=cst.SimpleWhitespace(text))
            for text in (self.names.module.default_indent, "")
        )
        commas = [*(inner for _ in call.args[1:]), outer]
        arguments = [
            argument.with_changes(
                comma=cst.Comma(whitespace_after=space),
                whitespace_after_arg=cst.SimpleWhitespace(""),
            )
            for argument, space in zip(call.args, commas, strict=True)
        ]
        return call.with_changes(args=arguments, whitespace_before_args=inner)

    def _aligned(self, site: Site, func: cst.Attribute, args: list[cst.Arg]) -> list[cst.Arg]:
        """Continuation lines that stood below the opening parenthesis stand below the new one."""
        old, first = self.names.range(site.call.func), self.names.statement(site.call)
        indent = self.names.range(first).start.column
        delta = len(source_of(func)) - (old.end.column - old.start.column)
        if old.start.line != old.end.line or self.names.range(first).start.line != old.start.line:
            return args
        for index, argument in enumerate(args):
            space = (
                argument.comma.whitespace_after if isinstance(argument.comma, cst.Comma) else None
            )
            if isinstance(space, cst.ParenthesizedWhitespace):
                width = len(space.last_line.value)
                if width + indent * space.indent == old.end.column + 1:
                    line = cst.SimpleWhitespace(" " * max(0, width + delta))
                    comma = argument.comma.with_changes(  # type: ignore[union-attr]
                        whitespace_after=space.with_changes(last_line=line)
                    )
                    args[index] = argument.with_changes(comma=comma)
        return args

    def new_imports(self, node: cst.Import | cst.ImportFrom) -> list[cst.BaseSmallStatement]:
        """What stands in the place of an import: what is left of it, and Project's."""
        statements: list[cst.BaseSmallStatement] = []
        gone = self.dropped.get(node, set())
        left = [alias for alias in aliases_of(node) if bound_name(alias) not in gone]
        if not gone:
            statements.append(node)
        elif left:
            left[-1] = left[-1].with_changes(comma=aliases_of(node)[-1].comma)
            statements.append(node.with_changes(names=left))
        if node in self.project_imports:
            name = cst.Name("Project")
            asname = None if self.project == "Project" else cst.AsName(cst.Name(self.project))
            alias = cst.ImportAlias(name, asname)
            statements.append(cst.ImportFrom(cst.Name("fasttoken"), [alias]))
        return statements


LINE_LENGTH = 100
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


class Apply(cst.CSTTransformer):
    """Carries the edits out, keeping comments and blank lines of lines that go."""

    def __init__(self, edits: Edits) -> None:
        super().__init__()
        self.edits = edits

    def on_leave(self, original_node: Any, updated_node: Any) -> Any:
        updated: Any = super().on_leave(original_node, updated_node)
        edits = self.edits
        if original_node in edits.in_place:
            return edits.in_place[original_node]
        if original_node in edits.comments:
            comments = [
                cst.EmptyLine(comment=cst.Comment(c)) for c in edits.comments[original_node]
            ]
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
        body: list[cst.BaseStatement] = []
        pending: list[cst.EmptyLine] = []
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
