"""Pseudonyms and the key that makes them."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from stence.domain.pseudonyms import Pseudonyms
from stence.errors import ConfigurationError
from stence.preparation.rules import Rules
from stence.pseudonym_key import FILE_NAME, find_key, load_pseudonyms
from stence.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", pseudonym_key=None)


def test_pseudonyms_are_those_that_receivers_of_exports_have_known_all_along() -> None:
    assert Pseudonyms.by("a secret of the hospital").of("4711") == "e211221445864e129d6d9e45665d43ed"


def test_two_keys_give_two_pseudonyms_and_one_gives_one() -> None:
    one, other = Pseudonyms.by("one"), Pseudonyms.by("other")
    assert one.of("4711") == one.of("4711") != one.of("4712")
    assert one.of("4711") != other.of("4711")
    assert one.fingerprint != other.fingerprint


def test_no_text_of_the_rules_for_child_processes_shows_the_key() -> None:
    pseudonyms = Pseudonyms(b"secret key")
    assert "secret" not in repr(Rules(None, 1, pseudonyms)) + str(pseudonyms)  # type: ignore[arg-type]


def test_a_key_is_drawn_once_into_a_private_file(settings: Settings) -> None:
    assert find_key(settings) is None
    first = load_pseudonyms(settings)
    path = settings.data_dir / FILE_NAME
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_pseudonyms(settings) == first
    assert [each.name for each in settings.data_dir.iterdir()] == [FILE_NAME]


def test_processes_that_start_together_have_one_key(settings: Settings) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: load_pseudonyms(settings).key, range(8)))
    assert len(set(keys)) == 1


def test_the_setting_goes_before_the_file_and_the_file_may_lie_elsewhere(
    settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "mounted").write_text("of the file\n")
    elsewhere = settings.model_copy(update={"pseudonym_key_file": tmp_path / "mounted"})
    assert find_key(elsewhere) == "of the file"
    both = elsewhere.model_copy(update={"pseudonym_key": SecretStr("of the setting")})
    assert find_key(both) == "of the setting"


def test_an_empty_setting_is_no_key() -> None:
    with pytest.raises(ValidationError, match="empty, which is no key"):
        Settings(pseudonym_key=SecretStr(" "))


@pytest.mark.parametrize("content", [b"", b" \n", b"\xff\xfe", b"k" * 5000])
def test_a_file_that_holds_no_key_is_refused_and_left_alone(settings: Settings, content: bytes) -> None:
    settings.data_dir.mkdir()
    (settings.data_dir / FILE_NAME).write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"pseudonym\.key"):
        load_pseudonyms(settings)
    assert (settings.data_dir / FILE_NAME).read_bytes() == content
