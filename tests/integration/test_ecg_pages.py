"""Pages of flagged ECGs: each once, whatever happens meanwhile; what they show; who is on the daily list."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import Connection, Engine, delete, func, select, text, update

from stence import registry, scoring
from stence.cli import main
from stence.database.tables import ecg_pages, ecgs, flags
from stence.domain.retention import Retention
from stence.errors import StoreUnavailableError
from stence.explain import PageCounts, write_pages, write_ward_list
from stence.objects import ObjectStore
from stence.settings import Settings
from support.champion import crown
from support.database import tampering
from support.ecgs import heartbeats, store_ecg
from support.environment import set_environment
from support.pseudonyms import pseudonym
from support.scoring import all_rows, give_patients

PATIENTS = ("40001111", "40002222", "40003333", "40004444")
LEAVES = re.compile(r"https?:|//|\bsrc\s*=|url\s*\(|@import|<script|<link|<iframe|\bon\w+=")
NAMESPACE = "http://www.w3.org/2000/svg"
RANKED = """
SELECT id, stenosis_70, sha256, run_id, rank() OVER (ORDER BY stenosis_70 DESC)
FROM scores JOIN models ON version = model_version JOIN ecgs USING (content_hash)
"""


@pytest.fixture
def hospital(engine: Engine, store: ObjectStore, settings: Settings) -> registry.RiskScorer:
    """The champion of a hospital with an ECG of each patient, all flagged."""
    for number, patient in enumerate(PATIENTS):
        sex = "Female" if number % 2 else "Male"
        store_ecg(
            store, f"ecg/{patient}.hea", heartbeats(number), comments=(f"Age: {60 + number}", f"Sex: {sex}")
        )
    give_patients(store, *((patient, patient) for patient in PATIENTS))
    crown(engine, store, settings, threshold=0)
    champion = registry.load_champion(engine, store, settings)
    scoring.index(engine, store, settings)
    with scoring.open_run(engine, store, settings, champion) as run:
        while run.score():
            pass
    return champion


@pytest.fixture
def write(
    engine: Engine, store: ObjectStore, settings: Settings, hospital: registry.RiskScorer
) -> Callable[..., PageCounts]:
    return lambda **changed: write_pages(engine, store, settings.model_copy(update=changed), hospital)


@pytest.fixture
def stence(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., str]:
    """What a command prints, in a folder of its own."""
    set_environment(monkeypatch, settings)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, result.output
        return result.output

    return run


def keys(engine: Engine) -> dict[int, str]:
    return dict(all_rows_of(engine, "SELECT ecg_id, object_key FROM page_status ORDER BY ecg_id"))


def all_rows_of(engine: Engine, statement: str) -> list[tuple]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(statement))]


def page_of(store: ObjectStore, key: str) -> str:
    return store.get(key).decode()


def ids(engine: Engine) -> dict[str, int]:
    """Number of each patient's ECG."""
    return dict(all_rows(engine, ecgs.c.patient_id, ecgs.c.id))


def test_every_flagged_ecg_gets_one_page_and_its_row(
    engine: Engine, store: ObjectStore, write: Callable[..., PageCounts]
) -> None:
    assert write() == PageCounts(written=4, failed=0, waiting=0, removed=0)
    assert write() == PageCounts(0, 0, 0, 0)
    found = keys(engine)
    assert found == {number: f"pages/tiny-1/{number}.html" for number in ids(engine).values()}
    assert {stored.key for stored in store.list("pages/")} == set(found.values())


def test_a_page_shows_the_ecg_the_score_and_where_it_comes_from(
    engine: Engine, store: ObjectStore, stence: Callable[..., str], write: Callable[..., PageCounts]
) -> None:
    number = ids(engine)[PATIENTS[1]]
    stence("review", str(number), "--outcome", "confirmed", "--by", "Dr Heart", "--note", "ST & T")
    with tampering(engine) as connection:
        connection.execute(update(flags).where(flags.c.state == "confirmed").values(state="open"))
        connection.execute(update(ecgs).values(warnings=["I runs against V6"]))
    write()
    page = page_of(store, keys(engine)[number])
    [(probability, sha256, run, rank)] = [row[1:] for row in all_rows_of(engine, RANKED) if row[0] == number]
    assert f"patient {pseudonym(PATIENTS[1])}, 61 years, female" in page
    assert f"<dd>{100 * probability:.1f} %</dd>" in page
    assert f"<dd>{rank} <small>of 4 ECGs</small></dd>" in page
    for shown in (sha256, str(run), "tiny-1", "I runs against V6", "Dr Heart", "ST &amp; T", "Flagged from"):
        assert shown in page
    assert "Similar studies are not shown: " in page  # the model has no space that it shares with angiograms
    assert page.count('data-lead="') == 13
    assert len(page) < 300_000


def test_no_request_leaves_a_page(
    engine: Engine, store: ObjectStore, settings: Settings, write: Callable[..., PageCounts]
) -> None:
    write()
    write_ward_list(engine, store, settings)
    for stored in store.list("pages/"):
        page = page_of(store, stored.key)
        assert not LEAVES.findall(page.replace(NAMESPACE, "")), stored.key
        assert "default-src 'none'" in page
        for link in re.findall(r'href="([^"]*)"', page):
            assert store.head(f"pages/{link}")


def test_a_bad_file_costs_its_own_page_only(
    engine: Engine, store: ObjectStore, write: Callable[..., PageCounts], caplog: pytest.LogCaptureFixture
) -> None:
    gone, changed = (ids(engine)[patient] for patient in PATIENTS[:2])
    store.delete(f"ecg/{PATIENTS[0]}.hea")
    store_ecg(store, f"ecg/{PATIENTS[1]}.hea", heartbeats(99))
    counts = write()
    assert (counts.written, counts.failed, counts.waiting) == (2, 2, 0)
    assert f"ECG {gone} has no page" in caplog.text
    assert f"ECG {changed} has no page" in caplog.text
    assert not any(patient in caplog.text for patient in PATIENTS)
    assert set(keys(engine)) == {ids(engine)[patient] for patient in PATIENTS[2:]}


def test_pages_of_a_run_are_bounded_and_the_highest_come_first(
    engine: Engine, write: Callable[..., PageCounts]
) -> None:
    assert write(pages_per_run=1) == PageCounts(1, 0, 3, 0)
    [(highest,)] = all_rows_of(
        engine,
        "SELECT ecgs.id FROM flags JOIN ecgs USING (content_hash) WHERE target = 'stenosis_70' "
        "ORDER BY probability DESC LIMIT 1",
    )
    assert set(keys(engine)) == {highest}
    assert write(pages_per_run=2) == PageCounts(2, 0, 1, 0)
    assert write() == PageCounts(1, 0, 0, 0)


def test_a_kill_between_page_and_row_leaves_nothing_undone(
    engine: Engine, store: ObjectStore, write: Callable[..., PageCounts], monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(BaseException):
        pass

    with monkeypatch.context() as patched:
        patched.setattr("stence.explain.pages._record", lambda *_: (_ for _ in ()).throw(KilledError()))
        with pytest.raises(KilledError):
            write()
    assert len(list(store.list("pages/"))) == 1, "the page was put before its row"
    assert not keys(engine)
    assert write().written == 4
    assert len(list(store.list("pages/"))) == 4


def test_a_store_that_does_not_answer_is_an_outage_and_no_bad_ecg(
    engine: Engine, write: Callable[..., PageCounts], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> bytes:
        raise StoreUnavailableError("away")

    monkeypatch.setattr("stence.objects.LocalStore.get", away)
    with pytest.raises(StoreUnavailableError):
        write(outage_seconds=0)
    assert not keys(engine)


def test_only_open_flags_of_the_champions_decisive_target_get_pages(
    engine: Engine, write: Callable[..., PageCounts]
) -> None:
    dismissed, other, *left = ids(engine).values()
    with tampering(engine) as connection:
        of = flags.c.content_hash == ecgs.c.content_hash
        closing = update(flags).where(of, ecgs.c.id == dismissed).values(state="dismissed")
        connection.execute(closing)
        connection.execute(delete(flags).where(of, ecgs.c.id == other, flags.c.target == "stenosis_70"))
    assert write().written == 2
    assert set(keys(engine)) == set(left)


def test_a_page_that_names_the_wrong_patient_is_removed_and_written_anew(
    engine: Engine, store: ObjectStore, write: Callable[..., PageCounts]
) -> None:
    write()
    number = ids(engine)[PATIENTS[0]]
    with tampering(engine) as connection:
        connection.execute(update(ecgs).where(ecgs.c.id == number).values(patient_id="40009999"))
    assert write() == PageCounts(written=1, failed=0, waiting=0, removed=1)
    page = page_of(store, keys(engine)[number])
    assert "40009999" in page
    assert pseudonym(PATIENTS[0]) not in page


def test_a_page_whose_patient_became_unclear_is_removed(
    engine: Engine, store: ObjectStore, write: Callable[..., PageCounts]
) -> None:
    write()
    number = ids(engine)[PATIENTS[0]]
    key = keys(engine)[number]
    with tampering(engine) as connection:
        of = flags.c.content_hash == ecgs.c.content_hash
        unclear = {"state": "withdrawn", "withdrawn_for": "patient_unclear"}
        connection.execute(update(flags).where(of, ecgs.c.id == number).values(unclear))
    assert write() == PageCounts(written=0, failed=0, waiting=0, removed=1)
    assert key not in {stored.key for stored in store.list("pages/")}
    assert number not in keys(engine)


def test_the_deletion_test_is_kept_with_the_page(
    engine: Engine, write: Callable[..., PageCounts], store: ObjectStore
) -> None:
    write()
    for marked, drops, key in all_rows(
        engine, *(ecg_pages.c[n] for n in ("marked_drop", "random_drops", "object_key"))
    ):
        page = page_of(store, key)
        shaded = "<rect x=" in page.split('class="marks"')[1].split("</g>")[0]
        assert shaded == (marked is not None and marked > max(drops))
        assert drops is None or len(drops) == 19


def test_explain_writes_the_page_into_a_file(
    engine: Engine, hospital: registry.RiskScorer, stence: Callable[..., str], tmp_path: Path
) -> None:
    number = ids(engine)[PATIENTS[2]]
    said = stence("explain", str(number), "--output", "here.html")
    assert f"page of ECG {number} is in here.html" in said
    assert f"patient {pseudonym(PATIENTS[2])}" in (tmp_path / "here.html").read_text()
    stence("explain", str(number))
    assert (tmp_path / f"ecg-{number}.html").exists()
    assert (
        CliRunner().invoke(main, ["explain", "999"]).output.startswith("Error: There is no score of ECG 999")
    )


def test_inspect_draws_an_ecg_of_the_store_or_a_file_and_says_what_sends_it_to_quarantine(
    settings: Settings, store: ObjectStore, stence: Callable[..., str], tmp_path: Path
) -> None:
    flat = heartbeats(5)
    flat[7] = 0
    store_ecg(store, "ecg/sound.hea", heartbeats(4))
    store_ecg(store, "ecg/flat.hea", flat)
    store.put("ecg/broken.hea", b"nonsense")
    pages = {}
    for name in ("sound", "flat", "broken"):
        stence("inspect", f"ecg/{name}.hea", "--output", f"{name}.html")
        pages[name] = (tmp_path / f"{name}.html").read_text()
    assert "can be scored" in pages["sound"]
    assert "would go to quarantine" in pages["flat"]
    assert "V2: flat" in pages["flat"]
    assert pages["flat"].count("data-lead") == pages["sound"].count("data-lead") == 13
    assert "broken_header" in pages["broken"]
    assert "<svg" not in pages["broken"]

    local = settings.data_dir / "store" / "ecg" / "sound"
    stence("inspect", str(local))
    assert "can be scored" in (tmp_path / "sound.html").read_text()
    stence("inspect", "ecg/nowhere.hea")
    assert "object_missing" in (tmp_path / "nowhere.html").read_text()


def test_inspect_prints_what_was_read_and_the_patient_only_on_request(
    store: ObjectStore, stence: Callable[..., str], tmp_path: Path
) -> None:
    flat = heartbeats(5)
    flat[7] = 0
    store_ecg(store, "ecg/sound.hea", heartbeats(4), comments=("subject_id: MRN4711", "Device: Maker X"))
    store_ecg(store, "ecg/flat.hea", flat)
    said = stence("inspect", "ecg/sound.hea")
    for line in ("format: WFDB", "sampling rate: 500 Hz", "length: 10.0 s", "device: Maker X"):
        assert line in said.splitlines()
    assert "This ECG can be scored" in said
    assert "MRN4711" not in said + (tmp_path / "sound.html").read_text()
    shown = stence("inspect", "ecg/sound.hea", "--show-patient")
    assert "patient: MRN4711" in shown
    assert "Patient MRN4711" in (tmp_path / "sound.html").read_text()
    refused = stence("inspect", "ecg/flat.hea")
    assert "would go to quarantine" in refused
    assert "flat_lead: V2: flat" in refused


def test_the_ward_list_has_the_patients_in_the_order_of_the_view_with_links_to_their_pages(
    engine: Engine, stence: Callable[..., str], write: Callable[..., PageCounts], tmp_path: Path
) -> None:
    with tampering(engine) as connection:
        connection.execute(update(ecgs).values(site="ward 3"))
        connection.execute(
            update(ecgs).where(ecgs.c.patient_id == pseudonym(PATIENTS[3])).values(site="<b>clinic</b>")
        )
    write(pages_per_run=3)
    assert "4 patients are in ward-list.html" in stence("ward-list")
    page = (tmp_path / "ward-list.html").read_text()
    order = [
        row[0]
        for row in all_rows_of(
            engine, "SELECT patient_id FROM flagged_patients ORDER BY probability DESC, flag_id DESC"
        )
    ]
    assert re.findall(r"<b>([0-9a-f]{32})</b>", page) == order
    assert page.count('href="tiny-1/') == 3
    assert "&lt;b&gt;clinic" in page
    assert "3 patients are in some.html" in stence("ward-list", "--site", "ward 3", "--output", "some.html")
    assert pseudonym(PATIENTS[3]) not in (tmp_path / "some.html").read_text()


def test_the_pages_command_writes_pages_and_the_list(
    engine: Engine, store: ObjectStore, hospital: registry.RiskScorer, stence: Callable[..., str]
) -> None:
    said = stence("pages")
    assert "pages written" in said
    assert len(keys(engine)) == 4
    assert page_of(store, "pages/ward-list.html").count('href="tiny-1/') == 4
    assert not any(patient in said for patient in PATIENTS)


def test_pages_are_closed_to_other_accounts(
    settings: Settings, hospital: registry.RiskScorer, stence: Callable[..., str]
) -> None:
    stence("pages")
    for path in (settings.data_dir / "store" / "pages").rglob("*.html"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_page_of_an_ecg_that_was_removed_meanwhile_is_not_left(
    engine: Engine, write: Callable[..., PageCounts], store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its patient was forgotten, or its age was past retention: no row would lead to the page."""
    removed = ids(engine)[PATIENTS[0]]

    def put(key: str, content: bytes) -> None:
        kept(key, content)
        if key.endswith(f"/{removed}.html"):
            with tampering(engine) as connection:
                hashes = "ARRAY(SELECT content_hash FROM ecgs WHERE id = :ecg)"
                forget = text(f"SELECT forget_ecgs({hashes}, 'Dr A', 'asked by letter')")
                connection.execute(forget, {"ecg": removed})

    kept = store.put
    monkeypatch.setattr(store, "put", put)
    counts = write()
    assert (counts.failed, counts.written) == (1, len(PATIENTS) - 1)
    assert removed not in keys(engine)
    assert not [item.key for item in store.list("pages/") if item.key.endswith(f"/{removed}.html")]


def test_a_page_that_went_by_its_age_is_not_written_again(
    engine: Engine, write: Callable[..., PageCounts]
) -> None:
    old = {"raised_at": func.now() - timedelta(days=9)}
    with tampering(engine) as connection:
        connection.execute(update(flags).where(flags.c.content_hash == some_hash(connection)).values(old))
    week = Retention(pages_days=7)
    assert write(retention=week).written == len(PATIENTS) - 1


def some_hash(connection: Connection) -> bytes:
    return connection.execute(select(ecgs.c.content_hash).limit(1)).scalar_one()
