"""Examples in docstrings: they run, and the public library has them."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
from enum import Enum
from types import ModuleType

import pytest

PACKAGES = ("domain", "ecg", "encoders", "models", "evaluation", "scoring", "explain")
WITH_EXAMPLES = {
    "domain": "arteries checks opt_outs patients pseudonyms random_projection retention signal_quality "
    "splits subgroups targets text thresholds urls windows",
    "ecg": "augmentation delineation fingerprint formats formats.aecg.particulars formats.archives "
    "formats.archives.paths formats.cursor formats.kinds formats.tables formats.xml_document leads machine "
    "preprocessing profile quality reasons recipes recording reference_augmentation resampling "
    "writing.quantised",
    "encoders": "base ecgfounder echoing_ecg otis ptacl xecg",
    "models": "angiographic angle_embedding calibration certainty clinical coherence final_blocks "
    "finetuned_teacher risk scorer segment_mil shared_space stence",
    "evaluation": "agreement bootstrap calibrate curves evaluate follow_up forms intervals linearised "
    "logistic metrics multiplicity outcome_weights paired predictions pretest recalibration screened watched",
    "inference": "forms",
    "scoring": "stage_timer summary workload",
    "explain": "layout paper saliency",
}
MODULES = [
    "stence.angiography.frames",
    "stence.concurrency",
    "stence.encoders",
    "stence.fitting.studies",
    "stence.study.contrasts",
    "stence.study.measures",
    "stence.training.shared_space",
    *(f"stence.{package}.{name}" for package, names in WITH_EXAMPLES.items() for name in names.split()),
]
MIN_DOCSTRINGS = 92
"""Number of docstrings with an example. It only grows."""
LIBRARY = ("stence.ecg", "stence.encoders", "stence.models")
"""Packages whose exported functions and classes all have an example, except for enumerations."""


def examples(module: ModuleType) -> list[doctest.DocTest]:
    """Docstrings of a module that have examples."""
    return [found for found in doctest.DocTestFinder().find(module) if found.examples]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run(name: str) -> None:
    found = examples(importlib.import_module(name))
    report: list[str] = []
    runner = doctest.DocTestRunner(verbose=False)
    for docstring in found:
        runner.run(docstring, out=report.append)
    assert found, f"{name} has no example"
    assert not runner.failures, "".join(report)


def test_no_module_with_examples_is_left_out() -> None:
    for package in PACKAGES:
        folder = importlib.import_module(f"stence.{package}")
        for module in pkgutil.walk_packages(folder.__path__, f"{folder.__name__}."):
            has_examples = bool(examples(importlib.import_module(module.name)))
            assert has_examples == (module.name in MODULES), module.name


def test_examples_are_not_lost() -> None:
    assert sum(len(examples(importlib.import_module(name))) for name in MODULES) >= MIN_DOCSTRINGS


@pytest.mark.parametrize("package", LIBRARY)
def test_every_exported_function_and_class_has_an_example(package: str) -> None:
    module = importlib.import_module(package)
    public = [getattr(module, name) for name in module.__all__]
    documented = [each for each in public if inspect.isroutine(each) or inspect.isclass(each)]
    without = [
        each.__name__
        for each in documented
        if not (isinstance(each, type) and issubclass(each, Enum)) and ">>>" not in (each.__doc__ or "")
    ]
    assert not without
