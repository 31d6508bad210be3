"""``stence weights``: import published weights into the store."""

from __future__ import annotations

from pathlib import Path

import click

from stence.cli.terminal import print_table
from stence.settings import Settings


@click.group()
def weights() -> None:
    """Published weights: of a backbone for angiograms, and of ECG encoders."""


@weights.command("import")
@click.argument("name")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--replace", is_flag=True, help="Replace other weights that are in the store as NAME.")
def import_(name: str, path: Path, replace: bool) -> None:
    """Check the published weights at PATH, a file or its folder, and store them as NAME."""
    from stence.objects import open_store
    from stence.weights import import_weights

    settings = Settings()
    store = open_store(settings.resolved_store_url, settings)
    manifest = import_weights(store, settings, name, path, replace=replace)
    click.echo(
        f"{name} is in the store: {manifest.parameters} parameters.\n"
        f"SHA-256 of the file: {manifest.published_sha256} (compare it with the authors' value)\n"
        f"Licence: {manifest.licence}"
    )


@weights.command("list")
def list_weights() -> None:
    """List the weights that can be imported, and those that are in the store."""
    from stence.objects import open_store
    from stence.weights import IMPORTABLES, list_imported

    settings = Settings()
    imported = list_imported(open_store(settings.resolved_store_url, settings), settings)
    columns = ("name", "kind", "licence", "source", "imported_at", "published_sha256")
    rows = [
        (
            name,
            importable.kind,
            importable.licence,
            importable.source,
            imported[name].imported_at if name in imported else None,
            imported[name].published_sha256 if name in imported else None,
        )
        for name, importable in IMPORTABLES.items()
    ]
    print_table("Published weights", columns, rows)
