"""Write the locks: each distribution with its version and the SHA-256 of its wheels.

    python deployments/lock.py

asks pip's index for the versions in constraints.txt, for CPython 3.11 to 3.13 on Linux (x86_64 and
aarch64), and takes minutes; pip 24 or later downloads almost nothing. ``requirements.lock`` is what stence
needs. The others add an extra of pyproject.toml, or the libraries of torch's build for NVIDIA GPUs. Torch's
builds for CPUs are locked where pip finds them: PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
CONSTRAINTS = ROOT / "deployments/constraints.txt"
PYTHONS = ("3.11", "3.12", "3.13")
MACHINES = ("x86_64", "aarch64")
GLIBC = (*range(28, 16, -1), *range(29, 36))
"""Minor versions of glibc in the names of wheels, by preference: those after 28 only without others."""
TORCH = "torch"
"""The one with several builds of a version: +cpu of an index of its own, and PyPI's."""
GPU_LIBRARIES = re.compile(r"(nvidia|cuda)-|triton$")
"""What torch's build for GPUs needs, and that for CPUs does not."""
HEAD = "# Written by lock.py. Install: pip install --require-hashes -r {name}, then pip install --no-deps .\n"


class Target(NamedTuple):
    """An interpreter and a processor."""

    python: str
    machine: str

    def environment(self, extra: str) -> dict[str, str]:
        """Values of the markers of PEP 508 that differ from this host's."""
        return {
            "python_version": self.python,
            "python_full_version": f"{self.python}.0",
            "platform_machine": self.machine,
            "extra": extra,
        }


class Release(NamedTuple):
    """The wheels of a distribution for a target."""

    version: str
    hashes: frozenset[str]
    requires: list[Requirement]


class Index:
    """What pip's index has for a target, asked once."""

    def __init__(self, target: Target, pins: dict[str, str]) -> None:
        self._target = target
        self._pins = pins
        self._known: dict[str, Release] = {}

    def releases(self, wanted: dict[str, str]) -> dict[str, Release]:
        """The releases of names in their pinned versions, or in the newest that their specifiers allow."""
        new = {name: specifier for name, specifier in wanted.items() if name not in self._known}
        if new:
            self._known |= self._ask(
                f"{name}=={self._pins[name]}" if name in self._pins else f"{name}{new[name]}" for name in new
            )
        if TORCH in new:
            pypi = self._ask([f"{TORCH}==={self._pins[TORCH]}"])[TORCH]
            self._known[TORCH] = pypi._replace(hashes=pypi.hashes | self._known[TORCH].hashes)
        return {name: self._known[name] for name in wanted}

    def _ask(self, wanted: Iterable[str]) -> dict[str, Release]:
        found = _ask_pip(self._target, sorted(wanted))
        return {canonicalize_name(each["metadata"]["name"]): _release(each) for each in found}


def _ask_pip(target: Target, wanted: list[str]) -> list[dict]:
    """Pip's report on ``wanted`` (packaging.python.org, Installation Report): one wheel each."""
    platforms = [f"manylinux_2_{minor}_{target.machine}" for minor in GLIBC]
    options = [f"--platform={each}" for each in (*platforms, f"manylinux2014_{target.machine}")]
    with TemporaryDirectory(prefix="stence-lock-") as folder:
        command = [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"),
            *("--no-deps", "--only-binary=:all:", f"--python-version={target.python}", *options),
            *(f"--target={folder}", f"--report={folder}/report.json", *wanted),
        ]
        subprocess.run(command, check=True)  # noqa: S603
        return json.loads(Path(folder, "report.json").read_text(encoding="utf-8"))["install"]


def _release(reported: dict) -> Release:
    hashes = frozenset({reported["download_info"]["archive_info"]["hashes"]["sha256"]})
    metadata = reported["metadata"]
    version = metadata["version"].partition("+")[0]
    return Release(version, hashes, [Requirement(each) for each in metadata.get("requires_dist", [])])


def closure(
    requirements: list[Requirement], target: Target, index: Index, is_left_out: Callable[[str], object]
) -> dict[str, Release]:
    """Everything that ``requirements`` need for a target, by name, but what is left out."""
    found: dict[str, Release] = {}
    seen: set[tuple[str, str]] = set()
    waiting = _parts(requirements, target, "")
    while fresh := {part for part in waiting if part not in seen and not is_left_out(part[0])}:
        seen |= fresh
        releases = index.releases({name: waiting[name, extra] for name, extra in fresh})
        found |= releases
        waiting = {}
        for name, extra in fresh:
            waiting |= _parts(releases[name].requires, target, extra)
    return found


def _parts(requirements: list[Requirement], target: Target, extra: str) -> dict[tuple[str, str], str]:
    """Specifiers of names with each of their extras, and with none, that apply to a target."""
    applying = [
        each
        for each in requirements
        if each.marker is None or each.marker.evaluate(target.environment(extra))
    ]
    return {
        (canonicalize_name(each.name), part): str(each.specifier)
        for each in applying
        for part in ("", *each.extras)
    }


def lock() -> dict[str, str]:
    """The text of each lock, by its file's name."""
    wanted, targets = _project(), [Target(*each) for each in product(PYTHONS, MACHINES)]
    layers: dict[str, dict[Target, dict[str, Release]]] = defaultdict(dict)
    for target in targets:
        index = Index(target, _pins())
        base = closure(wanted[""], target, index, GPU_LIBRARIES.match)
        for extra, requirements in wanted.items():
            whole = closure(requirements, target, index, GPU_LIBRARIES.match)
            layers[extra][target] = whole if extra == "" else _without(whole, base)
        layers["gpu"][target] = _without(closure(wanted[""], target, index, lambda name: None), base)
        sys.stdout.write(f"{target.python} {target.machine}: {len(base)} distributions\n")
    return {_file(extra): _text(_file(extra), found, targets) for extra, found in layers.items()}


def _without(releases: dict[str, Release], others: dict[str, Release]) -> dict[str, Release]:
    return {name: each for name, each in releases.items() if name not in others}


def _project() -> dict[str, list[Requirement]]:
    """What stence requires, and each extra for running it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {name: each for name, each in project["optional-dependencies"].items() if name != "test"}
    return {
        name: list(map(Requirement, each)) for name, each in ({"": project["dependencies"]} | extras).items()
    }


def _pins() -> dict[str, str]:
    found = re.findall(r"^([\w.-]+)==(\S+)$", CONSTRAINTS.read_text(encoding="utf-8"), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in found}


def _file(extra: str) -> str:
    return f"requirements-{extra}.lock" if extra else "requirements.lock"


def _text(name: str, found: dict[Target, dict[str, Release]], targets: list[Target]) -> str:
    """A file of requirements with hashes, sorted."""
    lines = [HEAD.format(name=name)]
    for each in sorted({name for releases in found.values() for name in releases}):
        having = {target: found[target][each] for target in targets if each in found[target]}
        (version,) = {release.version for release in having.values()}
        hashes = sorted(frozenset().union(*(release.hashes for release in having.values())))
        marker = _marker(list(having), targets)
        lines.append(
            " \\\n    ".join([f"{each}=={version}{marker}", *(f"--hash=sha256:{one}" for one in hashes)])
        )
    return "\n".join(lines) + "\n"


def _marker(having: list[Target], targets: list[Target]) -> str:
    """The marker that holds for ``having`` alone, empty where that is all."""
    if len(having) == len(targets):
        return ""
    terms = [
        f"(python_version == '{each.python}' and platform_machine == '{each.machine}')" for each in having
    ]
    return f" ; {' or '.join(terms)}"


if __name__ == "__main__":
    for file, text in lock().items():
        (CONSTRAINTS.parent / file).write_text(text, encoding="utf-8")
