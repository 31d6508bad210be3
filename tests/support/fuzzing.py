"""Hostile text and bytes, drawn from a seeded generator."""

from __future__ import annotations

import random
from collections.abc import Sequence

NASTY = (
    *(
        '"',
        '""',
        "'",
        ",",
        ";",
        "\\",
        "\0",
        "\r",
        "\n",
        "\t",
        "\x1b[2J",
        "\x7f",
        "\ufffd",
        "\ufeff",
        "\u200b",
    ),
    *(
        "\u202e",
        "é",
        "e\u0301",
        "Ä",
        "٣",
        "１",
        "漢",
        "\U0001f600",
        "=1+1",
        "@x",
        "{}",
        "%s",
        "$(x)",
        "../",
        "/",
        "~",
    ),
    *(
        "0",
        "-1",
        "1e308",
        "1e-400",
        "inf",
        "nan",
        "NaN",
        "0.9",
        "9" * 400,
        "9" * 20,
        "1_0",
        "0x10",
        "007",
        " ",
    ),
    *(
        "0001-01-01 00:00:00",
        "9999-12-31T23:59:59-12:00",
        "2026-02-30",
        "2026-03-01",
        "24:61:61",
        "1900-01-01T00:00Z",
    ),
    *(
        "00:00:00 01/01/0001",
        "23:59:59 31/12/9999",
        "12:00:00 1/Jan/1800",
        "UNKNOWN",
        "0000000",
        "TEST",
        "None",
    ),
    *("<subject_id>:", "# Age: 999", "# Sex: X", "V4(R)", "aVR (inverted)", "(" * 300, "A" * 70, "B" * 3000),
    *(
        "16x4",
        "212",
        "516",
        "61",
        "80",
        "311",
        "~",
        "a/b",
        "..",
        ".dat",
        "0/mV",
        "1000(-99999999999)/furlong",
    ),
)
"""Parts of input that have broken readers of this trade."""


def mutated_text(rng: random.Random, text: str) -> bytes:
    """A text with up to four of its parts replaced, doubled or spoilt, in one encoding or another."""
    for _ in range(rng.randint(1, 4)):
        start = rng.randrange(len(text) + 1)
        end = min(len(text), start + rng.choice((0, 0, 1, 3, 12, 40)))
        text = text[:start] + rng.choice(NASTY) * rng.choice((1, 1, 1, 2)) + text[end:]
    encoding = rng.choices(("utf-8", "latin-1", "utf-16", "utf-8-sig"), (20, 2, 1, 1))[0]
    return mutated_bytes(rng, text.encode(encoding, "replace"), rng.choice((0, 0, 0, 1)))


def mutated_bytes(rng: random.Random, content: bytes, edits: int) -> bytes:
    """Bytes of which some are overwritten, removed or inserted; sometimes cut off."""
    changed = bytearray(content)
    for _ in range(edits):
        at = rng.randrange(len(changed) + 1)
        changed[at : at + rng.randint(0, 4)] = rng.randbytes(rng.randint(0, 6))
    return bytes(changed[: rng.randrange(len(changed) + 1)] if rng.random() < 0.03 else changed)


def mutated_cells(rng: random.Random, rows: Sequence[Sequence[str]]) -> str:
    """A table of which some cells hold what nobody should write into them."""
    lines = []
    for row in rows:
        cells = [rng.choice(NASTY) if rng.random() < 0.2 else cell for cell in row]
        lines.append(",".join(cells))
    return rng.choice(("\n", "\n", "\r\n", "\r")).join([*lines, ""])
