"""Write `google-schema.json`: the google provider's published schema of the resources in `terraform/`.

The schemas are those of the npm packages `@cdktf/provider-google` and `@cdktf/provider-google-beta`, which
their makers generate from the providers themselves. Run it when `terraform/` starts to use another kind of
resource, or another version of the providers:

    .venv/bin/python tests/support/google_schema.py

It needs `npm`, takes about 10 s, and keeps the packages (100 MB each) under `build/`.
"""

import json
import re
import subprocess
import tarfile
from functools import cached_property
from pathlib import Path
from typing import Any

# 16.12.1 was generated from provider 6.50.0.
PACKAGE_VERSION = "16.12.1"
ROOT = Path(__file__).resolve().parents[2]
SCHEMA_FILE = Path(__file__).with_name("google-schema.json")
# Written by hand: https://registry.terraform.io/providers/hashicorp/time/latest/docs/resources/sleep
TIME_SCHEMA_FILE = SCHEMA_FILE.with_name("time-schema.json")
# The resources that google-beta alone has; all others of terraform/ are of google.
BETA = {"google_project_service_identity"}

PRIMITIVES = {"string": "string", "number": "number", "boolean": "bool", "any": "dynamic"}
# What the provider decides if the configuration does not. The package tells this of no attribute, and only
# those that `terraform/` reads matter.
ALSO_COMPUTED = {("google_compute_global_address", "address")}
MAPS = {"cdktf.StringMap": "string", "cdktf.NumberMap": "number", "cdktf.BooleanMap": "bool"}

Json = dict[str, Any]


def used_types(directory: Path, provider: str = "google") -> dict[str, set[str]]:
    """Return a provider's resources and data sources that a directory's `.tf` files name."""
    used: dict[str, set[str]] = {"resource": set(), "data": set()}
    for path in directory.rglob("*.tf"):
        for kind, name in re.findall(rf'^(resource|data) "({provider}_\w+)"', path.read_text(), re.MULTILINE):
            used[kind].add(name)
    return used


class Assembly:
    """A provider as its `.jsii` file describes it; every answer is in Terraform's own terms."""

    def __init__(self, description: Json, package: Json) -> None:
        self._types: dict[str, Json] = description["types"]
        self._package: str = description["name"]
        self.provider_version: str = package["cdktf"]["provider"]["version"]

    def schema(self, used: dict[str, set[str]]) -> Json:
        """Return the provider's block and those of the used resources. Raise KeyError for an unknown one."""
        return {
            "package": f"{self._package}@{PACKAGE_VERSION}",
            "provider_version": self.provider_version,
            "provider": self._block(f"{self._package}.provider.{self._provider}ProviderConfig", ""),
            "resources": {
                name: _also_computed(name, self._top_level(self._classes["resources", name]))
                for name in sorted(used["resource"])
            },
            "data_sources": {
                name: self._top_level(self._classes["data-sources", name]) for name in sorted(used["data"])
            },
        }

    @property
    def _provider(self) -> str:
        return "GoogleBeta" if self._package.endswith("-beta") else "Google"

    @cached_property
    def _classes(self) -> dict[tuple[str, str], str]:
        found = {}
        for name, description in self._types.items():
            summary = description.get("docs", {}).get("summary", "")
            match = re.match(
                r"Represents a \{@link \S+/docs/(resources|data-sources)/\S+ (google_\w+)\}", summary
            )
            if match:
                found[match[1], match[2]] = name
        return found

    def _top_level(self, class_name: str) -> Json:
        block = self._block(f"{class_name}Config", class_name)
        # The SDK adds `id` to every resource; no configuration sets it.
        block["attributes"]["id"] = {"type": "string", "mode": "computed"}
        return block

    def _block(self, config: str, reader: str) -> Json:
        attributes: Json = {}
        blocks: Json = {}
        settable = set()
        for row in self._properties(config):
            settable.add(row["name"])
            nested = self._nested(row["type"])
            required = not row.get("optional", False)
            if nested:
                blocks[_name(row)] = self._nested_block(nested, row, required)
            else:
                attributes[_name(row)] = {
                    "type": self._type(row["type"]),
                    "mode": "required" if required else "optional",
                }
        for row in self._read_only(reader, settable):
            attributes[_name(row)] = {"type": self._type(row["type"]), "mode": "computed"}
        return {"attributes": dict(sorted(attributes.items())), "blocks": dict(sorted(blocks.items()))}

    def _nested_block(self, config: str, row: Json, required: bool) -> Json:
        # The SDK's `timeouts` is the one block that is an object; single blocks are lists of one.
        if row["name"] == "timeouts":
            return {"nesting": "single", "min": 0, "max": 0, "block": self._block(config, "")}
        single = row["type"].get("fqn") == config
        return {
            "nesting": "list",
            "min": 1 if required else 0,
            "max": 1 if single else 0,
            "block": self._block(config, f"{config}OutputReference"),
        }

    def _read_only(self, reader: str, settable: set[str]) -> list[Json]:
        rows = {row["name"]: row for row in self._properties(reader)}
        return [
            row
            for name, row in rows.items()
            if name not in settable
            and f"{name}Input" not in rows
            and not row.get("static")
            and name not in ("internalValue", "fqn")
            and not (name.endswith("Input") and name.removesuffix("Input") in rows)
        ]

    def _properties(self, name: str) -> list[Json]:
        # The provider's own blocks have no attributes to read, so no class either.
        rows: list[Json] = self._types.get(name, {}).get("properties", [])
        return rows

    def _nested(self, described: Json) -> str | None:
        """Return the interface of a nested block, or None for an attribute's type."""
        for option in _options(described):
            name = option.get("collection", {}).get("elementtype", option).get("fqn", "")
            if name.startswith(self._package) and self._types[name]["kind"] == "interface":
                return str(name)
        return None

    def _type(self, described: Json) -> Any:
        """A type as Terraform writes it in JSON: `"string"`, `["list", "string"]`, `["object", {...}]`."""
        for option in _options(described):
            if "primitive" in option:
                return PRIMITIVES[option["primitive"]]
            if "collection" in option:
                kind = {"array": "list", "map": "map"}[option["collection"]["kind"]]
                return [kind, self._type(option["collection"]["elementtype"])]
            name = option["fqn"]
            if name in MAPS:
                return ["map", MAPS[name]]
            if name.startswith(self._package):
                return ["list", self._object(name)]
        return "dynamic"

    def _object(self, list_class: str) -> Any:
        reader = list_class.removesuffix("List").removesuffix("OutputReference") + "OutputReference"
        return ["object", {_name(row): self._type(row["type"]) for row in self._read_only(reader, set())}]


def _also_computed(resource: str, block: Json) -> Json:
    for name, attribute in block["attributes"].items():
        if (resource, name) in ALSO_COMPUTED:
            attribute["mode"] = "optional and computed"
    return block


def _options(described: Json) -> list[Json]:
    options = described["union"]["types"] if "union" in described else [described]
    return [option for option in options if option.get("fqn") != "cdktf.IResolvable"]


def _name(row: Json) -> str:
    documented = re.search(r" \w+#(\w+)\}", row.get("docs", {}).get("remarks", ""))
    return documented[1] if documented else re.sub("([A-Z])", r"_\1", row["name"]).lower()


def _download(name: str) -> Assembly:
    directory = ROOT / "build" / f"{name.rpartition('/')[2]}-{PACKAGE_VERSION}"
    package = directory / "package"
    if not (package / ".jsii").exists():
        directory.mkdir(parents=True, exist_ok=True)
        command = ["npm", "pack", "--silent", f"{name}@{PACKAGE_VERSION}"]
        archive = subprocess.run(
            command, cwd=directory, check=True, capture_output=True, text=True
        ).stdout.strip()
        with tarfile.open(directory / archive) as tar:
            for member in ("package/.jsii", "package/package.json"):
                tar.extract(member, directory, filter="data")
        (directory / archive).unlink()
    return Assembly(
        json.loads((package / ".jsii").read_text()), json.loads((package / "package.json").read_text())
    )


def main() -> None:
    used = used_types(ROOT / "terraform")
    schema = {
        "google": _download("@cdktf/provider-google").schema({**used, "resource": used["resource"] - BETA}),
        "google-beta": _download("@cdktf/provider-google-beta").schema({"resource": BETA, "data": set()}),
    }
    SCHEMA_FILE.write_text(json.dumps(schema, indent=1) + "\n")
    for name, row in schema.items():
        print(f"{SCHEMA_FILE.name}: {name} {row['provider_version']}, {len(row['resources'])} resources")


if __name__ == "__main__":
    main()
