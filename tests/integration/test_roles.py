"""What each role may see and change, as a login that is a member of it alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

import support
from stence import database, registry, scoring
from stence.database.sites import add_site, remove_site
from stence.errors import ConfigurationError
from stence.scoring.reviews import ReviewError
from stence.settings import Settings
from support.database import allow_changes
from support.roles import FUNCTIONS, RELATIONS, ROLES, logged_in, make_logins, rights

HOSPITAL = (Path(support.__file__).parent / "wards.sql").read_text()
RIGHTS = Path(__file__).with_name("rights.txt").read_text()
WARDS = {"nobody": (), "north": ("north",), "several": ("north", "west"), "elsewhere": ("east",)}
"""Clinicians by login, and their sites."""
SEEN = {
    "nobody": set(),
    "north": {"n", "both", "merged"},
    "several": {"n", "both", "merged", "w"},
    "elsewhere": {"both"},
}
"""Patients whom they see: both has an ECG in north, and the newest in east; merged was two patients' once."""
BY_PATIENT = (
    "ecgs", "flags", "cath_studies", "flag_exports", "ecg_pages", "flagged_patients", "flagged_patients_all",
    "patient_risk", "ecg_risk", "valid_scores",
)  # fmt: skip
OF_AN_ECG = "SELECT ecgs.patient_id FROM {} LEFT JOIN ecgs USING (content_hash)"
OF_ITS_NUMBER = "SELECT ecgs.patient_id FROM {} LEFT JOIN ecgs ON ecgs.id = ecg_id"
OF_A_MERGE = "SELECT present_id FROM {}"
PATIENTS = {
    **{name: f"SELECT patient_id FROM {name}" for name in BY_PATIENT},  # noqa: S608
    **{name: OF_AN_ECG.format(name) for name in ("scores", "objects")},
    **{name: OF_ITS_NUMBER.format(name) for name in ("reviews", "snoozes")},
    **{name: OF_A_MERGE.format(name) for name in ("patient_aliases", "patient_merges", "patient_numbers")},
    "worklist": OF_AN_ECG.format("worklist JOIN objects ON objects.id = worklist.object_id"),
    "ecg_files": OF_ITS_NUMBER.format("ecg_files"),
}
"""The patients of the rows of each relation that a clinician reads; NULL for a row that none is seen of."""
READS = """
SELECT login, reason, detail -> 'patients' FROM audit.entries WHERE action = 'patients.identified' ORDER BY id
"""
NO_PATIENT = {
    "alembic_version",
    "schema_functions",
    "schema_grants",
    "schema_views",
    "models",
    "model_events",
    "model_versions",
    "list_counts",
}


@pytest.fixture
def hospital(settings: Settings, owner_engine: Engine) -> Settings:
    """Settings of a database with ECGs of several sites, and a login of each role and of clinicians."""
    with owner_engine.begin() as connection:
        connection.exec_driver_sql(HOSPITAL, execution_options={"no_parameters": True})
        make_logins(connection, **{f"a_{role}": role for role in ROLES}, **dict.fromkeys(WARDS, "clinician"))
        for login, sites in WARDS.items():
            for site in sites:
                add_site(connection, login, site, by="ada", why="works there")
    return settings


def test_every_role_may_do_what_is_listed_and_nothing_else(hospital: Settings, owner_engine: Engine) -> None:
    with owner_engine.connect() as connection:
        relations = connection.execute(text(RELATIONS)).all()
        functions = connection.execute(text(FUNCTIONS), {"roles": list(ROLES)}).all()
    found = {}
    for role in ROLES:
        with logged_in(hospital, f"a_{role}") as connection:
            found[role] = {
                name: rights(connection, name, column, is_table=is_table)
                for name, is_table, column in relations
            }
    lines = [" ".join([name, *(found[role][name] for role in ROLES)]) for name, *_ in relations]
    lines += [" ".join([name, *("x" if role in who else "-" for role in ROLES)]) for name, who in functions]
    assert lines == [" ".join(line.split()) for line in RIGHTS.splitlines() if not line.startswith("#")]


def test_every_relation_of_a_clinician_is_limited_or_names_no_patient(owner_engine: Engine) -> None:
    granted = {
        line.split()[0].removeprefix("public.") for line in RIGHTS.splitlines() if line.split()[3] == "s"
    }
    assert granted == PATIENTS.keys() | NO_PATIENT | {"access.patients", "access.ecgs"}


@pytest.mark.parametrize("login", WARDS)
def test_a_clinician_sees_the_patients_of_the_own_sites_and_all_their_rows(
    hospital: Settings, owner_engine: Engine, login: str
) -> None:
    for name, query in PATIENTS.items():
        with owner_engine.connect() as connection:
            everything = list(connection.scalars(text(query)))
        with logged_in(hospital, login) as connection:
            found = list(connection.scalars(text(query)))
        assert sorted(found) == sorted(each for each in everything if each in SEEN[login]), name
    with logged_in(hospital, login) as connection:
        assert set(connection.scalars(text("SELECT patient_id FROM access.patients"))) == SEEN[login]
        assert (
            set(connection.scalars(text("SELECT patient_id FROM access.ecgs JOIN ecgs USING (id)")))
            == SEEN[login]
        )


@pytest.mark.parametrize("login", WARDS)
def test_a_clinician_reads_the_numbers_of_their_patients_alone_and_the_audit_keeps_it(
    hospital: Settings, owner_engine: Engine, login: str
) -> None:
    everybody = ["n", "both", "s", "w", "homeless", "merged"]
    with logged_in(hospital, login) as connection:
        asked = text("SELECT patient_id FROM identity.numbers_of(:everybody, 'ward round')")
        assert set(connection.scalars(asked, {"everybody": everybody})) == SEEN[login]
        search = text("SELECT present_id FROM identity.find('number of ' || :who, 'a call')")
        found = {who for who in everybody if connection.scalars(search, {"who": who}).all()}
        assert found == SEEN[login]
        merged = connection.scalars(search, {"who": "former"}).all()
        assert merged == (["merged"] if "merged" in SEEN[login] else [])
        listed = connection.scalars(text("SELECT number FROM identity.flagged_patients('the list')"))
        assert set(listed) == {f"number of {who}" for who in SEEN[login]}
        connection.commit()
    with owner_engine.connect() as connection:
        kept = [tuple(entry) for entry in connection.execute(text(READS))]
    assert [(who, why) for who, why, _ in kept] == [
        (login, "ward round"), *[(login, "a call")] * 7, (login, "the list"),
    ]  # fmt: skip
    assert set(kept[0][2]) == set(kept[-1][2]) == SEEN[login]


def test_the_newest_ecg_decides_also_where_it_is_of_another_site(hospital: Settings) -> None:
    with logged_in(hospital, "north") as connection:
        site, ecgs = connection.execute(
            text("SELECT site, ecgs FROM flagged_patients WHERE patient_id = 'both'")
        ).one()
    assert (site, ecgs) == ("east", 2)


def test_a_site_that_is_taken_away_hides_its_patients(hospital: Settings, owner_engine: Engine) -> None:
    with owner_engine.begin() as connection:
        remove_site(connection, "several", "west", by="ada", why="left")
    with logged_in(hospital, "several") as connection:
        assert set(connection.scalars(text("SELECT patient_id FROM ecgs"))) == SEEN["north"]
    with (
        owner_engine.begin() as connection,
        pytest.raises(ConfigurationError, match="no member of the site west"),
    ):
        remove_site(connection, "several", "west", by="ada", why="left")


@pytest.mark.parametrize(
    "condition",
    [
        "pg_temp.leak(patient_id)",
        "1 / (CASE WHEN patient_id = 's' THEN 0 ELSE 1 END) = 1",
    ],
)
@pytest.mark.parametrize("name", ["ecgs", "flags", "cath_studies", "flagged_patients", "ecg_risk"])
def test_no_function_and_no_error_tells_of_a_hidden_row(
    hospital: Settings, name: str, condition: str
) -> None:
    with logged_in(hospital, "north") as connection:
        connection.exec_driver_sql(
            "CREATE FUNCTION pg_temp.leak(patient text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS "
            "$$ BEGIN RAISE NOTICE '%%', patient; RETURN true; END $$"
        )
        told: list[str] = []
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.add_notice_handler(lambda notice: told.append(notice.message_primary))
        connection.exec_driver_sql(f"SELECT * FROM public.{name} WHERE {condition}").all()  # noqa: S608
    assert set(told) <= SEEN["north"]
    assert (condition != "pg_temp.leak(patient_id)") or told


def number(settings: Settings, owner_engine: Engine, patient: str) -> int:
    with owner_engine.connect() as connection:
        query = text("SELECT max(id) FROM ecgs WHERE patient_id = :patient")
        return int(connection.scalar(query, {"patient": patient}))


def test_a_clinician_reviews_and_snoozes_own_patients_under_the_own_login(
    hospital: Settings, owner_engine: Engine
) -> None:
    ecg = number(hospital, owner_engine, "both")
    with logged_in(hospital, "north") as connection:
        scoring.reviews.review(connection, ecg, outcome="dismissed", by="Dr Who")
        connection.execute(text("SELECT snooze_patient(:ecg, '2030-01-01', 'Dr Who', 'away')"), {"ecg": ecg})
        connection.commit()
    with owner_engine.connect() as connection:
        query = "SELECT reviewed_by, login FROM reviews ORDER BY id DESC LIMIT 1"
        assert connection.execute(text(query)).one() == ("Dr Who", "north")
        query = "SELECT snoozed_by, login FROM snoozes ORDER BY id DESC LIMIT 1"
        assert connection.execute(text(query)).one() == ("Dr Who", "north")


def test_a_hidden_ecg_is_one_that_does_not_exist(hospital: Settings, owner_engine: Engine) -> None:
    hidden = number(hospital, owner_engine, "s")
    with owner_engine.begin() as connection:  # with or without a flag
        allow_changes(connection)
        connection.execute(
            text("UPDATE flags SET state = 'withdrawn', withdrawn_for = 'replaced' WHERE patient_id = 's'")
        )
    for ecg in (hidden, 1_000_000):
        with logged_in(hospital, "north") as connection:
            with pytest.raises(ReviewError, match=f"^there is no ECG {ecg}$"):
                scoring.reviews.review(connection, ecg, outcome="confirmed", by="Dr Who")
            connection.rollback()
            with pytest.raises(DBAPIError, match=f"there is no ECG {ecg}\n"):
                connection.execute(
                    text("SELECT snooze_patient(:ecg, '2030-01-01', 'Dr', 'away')"), {"ecg": ecg}
                )


LOGINS = (*(f"a_{role}" for role in ROLES), *WARDS)


@pytest.mark.parametrize("login", LOGINS)
def test_nobody_becomes_another_role(hospital: Settings, login: str) -> None:
    own = "stence_" + login.removeprefix("a_") if login.startswith("a_") else "stence_clinician"
    others = {f"stence_{role}" for role in (*ROLES, "owner")} - {own} | {"postgres"}
    for role in others:
        with (
            logged_in(hospital, login) as connection,
            pytest.raises(DBAPIError, match="permission denied to set role"),
        ):
            connection.exec_driver_sql(f"SET ROLE {role}")


TAMPERING = (
    "ALTER TABLE reviews DISABLE TRIGGER ALL",
    "ALTER TABLE audit.entries DISABLE TRIGGER ALL",
    "ALTER TABLE ecgs DISABLE ROW LEVEL SECURITY",
    "DROP POLICY own_sites ON ecgs",
    "DROP TRIGGER models_protected ON models",
    "CREATE TABLE public.mine (id int)",
    "CREATE OR REPLACE FUNCTION public.check_visible(ecg_id bigint) RETURNS void LANGUAGE sql AS 'SELECT'",
    "GRANT stence_owner TO current_user",
    "CREATE ROLE another",
    "SET session_replication_role = replica",
    "COPY ecgs TO PROGRAM 'cat'",
)


@pytest.mark.parametrize("login", LOGINS)
def test_nobody_changes_what_holds_the_rules(hospital: Settings, login: str) -> None:
    for command in TAMPERING:
        with (
            logged_in(hospital, login) as connection,
            pytest.raises(DBAPIError, match=r"permission denied|must be owner"),
        ):
            connection.exec_driver_sql(command)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE models SET state = 'champion' WHERE version = 'c'",
        "UPDATE models SET state = 'retired' WHERE version = 'm'",
        """UPDATE models SET manifest = '{"thresholds": {}}' WHERE version = 'c'""",
        "INSERT INTO models (version, state, folder, sha256, preprocessing_version, manifest)"
        " VALUES ('x', 'champion', '', '', 'p', '{}')",
        "INSERT INTO model_forms (model_version, device, form, library, hardware, figures, chosen,"
        " decided_by, reason) VALUES ('m', 'cpu', 'int8', '', '', '{}', true, 'me', 'faster')",
    ],
)
def test_the_flows_do_not_approve(hospital: Settings, change: str) -> None:
    with (
        logged_in(hospital, "a_writer") as connection,
        pytest.raises(DBAPIError, match="only stence_approver"),
    ):
        connection.exec_driver_sql(change)


def at(settings: Settings, login: str) -> Settings:
    """The settings with another login."""
    assert settings.database_url is not None
    url = settings.database_url.get_secret_value().replace("postgres@", f"{login}@")
    return settings.model_copy(update={"database_url": type(settings.database_url)(url)})


def test_promotion_needs_an_approver(hospital: Settings) -> None:
    with database.connect(at(hospital, "a_writer")) as engine, engine.begin() as connection:
        with pytest.raises(ConfigurationError, match=r'no member of stence_approver.*TO "a_writer"'):
            registry.promote(connection, "c", by="me", why="mine")
        assert registry.champion(connection).version == "m"  # the transaction goes on
    with database.connect(at(hospital, "a_approver")) as engine, engine.begin() as connection:
        registry.promote(connection, "c", by="Dr A", why="better")
        registry.rollback(connection, by="Dr A", why="worse")
