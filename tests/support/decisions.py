"""Which functions ask `shared.access` on their way, as far as their text shows."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Operations that ask no more than whether somebody may call them, and why nothing else is to be decided.
ASKS_NOTHING = {
    "collections.list_own": "the query is for the caller's own",
    "subscriptions.list_own": "the query is for the caller's own",
    "events.read_journal": "its token was given, like a signed URL, to somebody who may read these events",
    "subscriptions.put": "it makes a new one, of the caller",
    "account.sign_in": "it leads to where somebody signs in",
    "account.finish_sign_in": "it gives a token to the browser of who has it",
    "account.sign_out": "it takes the session of this browser from it",
    "account.list_collections": "the query is for the caller's own",
    "account.list_subscriptions": "the query is for the caller's own",
    "account.subscribe": "it makes a new one, of the caller",
    "drs.service_info": "it is about the service",
    "explore.catalogs": "it is about the service",
    "explore.health_of": "it is about the service",
    "explore.health_of_all": "it is about the service",
    "explore.integrations": "it is about the service",
    "explore.sources": "it is about the service",
}
# What hands out data beside the operations of the contract.
OTHER_DOORS = (
    "shared.checkouts.steps.CheckoutStep.plan",
    "shared.checkouts.steps.CheckoutStep.page",
    "shared.imports.bundles.import_bundle",
    "shared.imports.steps._ShardWork.go_on",
    "shared.webhooks.fanout.Notifier.notify",
    "shared.webhooks.fanout.Notifier.notify_deferred",
    "shared.webhooks.replays.Replayer.publish_page",
    "shared.webhooks.delivery.Deliverer.deliver",
    "shared.webhooks.delivery.Deliverer.redeliver",
)
# By these, something of `shared.access` decides: attributes, by the last name of what has them.
_DECISIONS = {
    "call": {"require", "refusal", "sees", "finds", "may_read"},
    "policy": {"decide", "counts_as", "may_read", "is_open"},
    "Resource()": {"is_managed"},
}


@dataclass(frozen=True, kw_only=True)
class Function:
    """A function or method of a module; `names` are what the module imports, by the names it has there."""

    name: str
    module: str
    node: ast.FunctionDef
    names: dict[str, str]

    @cached_property
    def asks(self) -> bool:
        """Whether its own text asks for a decision."""
        return any(
            isinstance(node, ast.Attribute) and node.attr in _DECISIONS.get(_last_name(node.value), ())
            for node in ast.walk(self.node)
        )


def _last_name(node: ast.expr) -> str:
    """Return the last name of an expression, as `policy` of `self._dss.policy`."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Call(func=called):
            return f"{_last_name(called)}()"
    return ""


@dataclass
class Program:
    """The functions of some packages, and which refer to which."""

    functions: dict[str, Function] = field(default_factory=dict)

    @classmethod
    @cache
    def of(cls, *folders: str) -> "Program":
        """Read the modules of some folders of the repository."""
        program = cls()
        for folder in folders:
            for path in sorted((ROOT / folder).rglob("*.py")):
                program.add(
                    path.relative_to(ROOT).with_suffix("").as_posix().replace("/", "."), path.read_text()
                )
        return program

    def add(self, module: str, source: str) -> None:
        """Add a module."""
        tree = ast.parse(source)
        names = {
            alias.asname or alias.name: f"{node.module}.{alias.name}"
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        names |= {node.name: f"{module}.{node.name}" for node in tree.body if isinstance(node, _DEFINITIONS)}
        for node in tree.body:
            methods = node.body if isinstance(node, ast.ClassDef) else [node]
            prefix = f"{module}.{node.name}" if isinstance(node, ast.ClassDef) else module
            for one in methods:
                if isinstance(one, ast.FunctionDef):
                    name = f"{prefix}.{one.name}"
                    self.functions[name] = Function(name=name, module=prefix, node=one, names=names)

    def references(self, function: Function) -> Iterator[str]:
        """Yield the functions that a function refers to: called, passed on, or made an object of."""
        for node in ast.walk(function.node):
            if isinstance(node, ast.Name) and node.id in function.names:
                full = function.names[node.id]
                yield from (name for name in (full, f"{full}.__init__") if name in self.functions)
            elif (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and f"{function.names.get(node.value.id)}.{node.attr}" in self.functions
            ):
                # Of a module, or of a class.
                yield f"{function.names[node.value.id]}.{node.attr}"
            elif isinstance(node, ast.Attribute) and _last_name(node.value) == "self":
                yield from (name for name in (f"{function.module}.{node.attr}",) if name in self.functions)

    def asks(self, name: str) -> bool:
        """Return whether a function, or one that it comes to, asks for a decision."""
        seen, waiting = {name}, [name]
        while waiting:
            function = self.functions[waiting.pop()]
            if function.asks:
                return True
            new = set(self.references(function)) - seen
            seen |= new
            waiting += new
        return False


_DEFINITIONS = (ast.FunctionDef, ast.ClassDef)


def decides_itself(source: str) -> list[str]:
    """Return the lines of a module that compare groups or owners, or ask whether somebody is an admin."""
    if not any(name in source for name in ("groups", "owner", "is_admin")):
        return []
    tree = ast.parse(source)
    found = {node.lineno for node in ast.walk(tree) if _compares(node)}
    lines = source.splitlines()
    return [lines[number - 1].strip() for number in sorted(found)]


def _compares(node: ast.AST) -> bool:
    match node:
        case ast.Attribute(attr="is_admin"):
            return True
        case ast.Compare(ops=[operator, *_]):
            others = _flat(node.comparators) if isinstance(operator, ast.In | ast.NotIn) else node.comparators
            names = {_last_name(one) for one in (node.left, *others)}
            return "groups" in names or ("owner" in names and bool({"email", "caller", "signed_in"} & names))
        case ast.Call(func=ast.Attribute(value=receiver, attr=attr), args=arguments):
            names = {_last_name(one) for one in (receiver, *arguments)}
            return attr in ("isdisjoint", "issubset", "issuperset", "intersection") and "groups" in names
        case ast.BinOp(op=ast.BitAnd()):
            return "groups" in {_last_name(node.left), _last_name(node.right)}
    return False


def _flat(nodes: list[ast.expr]) -> Iterator[ast.expr]:
    for node in nodes:
        yield from _flat(node.elts) if isinstance(node, ast.Tuple | ast.List | ast.Set) else [node]
