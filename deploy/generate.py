"""Writes every generated file of the repository, or with ``--check`` says which are stale."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from deploy.manifests.files import manifest_files
from deploy.openapi import openapi_files
from deploy.variables import variables_page
from services.contracts.documents import contract_files

ROOT = Path(__file__).parent.parent


def main(
    *, check: Annotated[bool, typer.Option("--check", help="Change nothing; exit 1 if a file is stale.")] = False
) -> None:
    """Make all generated files, from the code alone."""
    files = {**contract_files(ROOT), **openapi_files(ROOT), **manifest_files(ROOT), **variables_page(ROOT)}
    stale = {path: text for path, text in files.items() if not path.exists() or path.read_text() != text}
    for path, text in stale.items():
        typer.echo(f"{'stale' if check else 'written'}: {path.relative_to(ROOT)}")
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    if check and stale:
        typer.echo("run: make generate", err=True)
        sys.exit(1)


if __name__ == "__main__":
    typer.run(main)
