"""Makes attendees.csv: the 10,000 joins of an invented three-day event, the same ones every time.

    python examples/make_attendees.py > examples/attendees.csv

One row is one person in one room. The people are invented, their addresses end in example.com.
"""

from __future__ import annotations

import csv
import random
import sys
from collections.abc import Iterator, Sequence
from typing import TextIO, TypeVar

ROWS = 10_000
COLUMNS = ("channel_name", "uid", "role", "name", "email")
SEED = 2026

GIVEN = (
    "Aisha Amélie Ana Andrei Aoife Björn Carlos Chiara Daniel Dilnoza Emeka Emma Fatima Femi Greta "
    "Hana Hiroshi Irina Ivan Jing João Jonas Kwame Laila Lars Leila Linh Lucía Magnus Maja Mariam "
    "Mateo Mei Mina Nadia Nikhil Noor Olga Omar Paulo Priya Rafael Rania Sana Sofia Tariq Thabo "
    "Tomás Valeria Wei Yara Yuki Zofia"
)
FAMILY = (
    "Abebe Andersson Bakker Bauer Bianchi Castro Chen Costa Dubois Eriksen Fernández Fischer "
    "García Haddad Hansen Horváth Ibrahim Ito Jensen Kaya Khan Kim Kowalski Kumar Laine Lopes "
    "Marino Mensah Moreau Mwangi Nakamura Nguyen Novak Okafor Oliveira Patel Petrov Popescu Rahman "
    "Rossi Sato Schmidt Silva Singh Sørensen Tanaka Torres Umarova Varga Wagner Yilmaz Zhang"
)
ASCII = str.maketrans("áãäåéíöøúüñ", "aaaaeioouun")
TRACKS = ("audio", "backend", "design", "games", "health", "learning", "mobile", "security")
DAYS = (1, 2, 3)

T = TypeVar("T")
Row = tuple[str, str, str, str, str]


class Draws:
    """Random choices through random(), whose sequence Python keeps from version to version."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed).random  # noqa: S311

    def between(self, low: int, high: int) -> int:
        return low + int(self._random() * (high - low + 1))

    def one(self, choices: Sequence[T]) -> T:
        return choices[self.between(0, len(choices) - 1)]


def rooms(draw: Draws) -> Iterator[tuple[str, int, int, bool]]:
    """Each room: its channel name, its hosts, its audience, and whether it knows its people by
    account instead of by number. A channel has either uids or accounts, never both."""
    for day in DAYS:
        yield f"day{day}-keynote", 4, draw.between(440, 520), False
    for day in DAYS:
        for track in TRACKS:
            for hour in (10, 11, 14, 15):
                yield f"day{day}-{track}-talk-{hour}h", 2, draw.between(52, 74), False
            yield f"day{day}-{track}-workshop", 3, draw.between(14, 24), True
    for day in DAYS:
        for table in range(1, 41):
            yield f"day{day}-breakout-{table:02d}", draw.between(4, 7), 0, False
    for sponsor in range(1, 25):
        yield f"expo booth {sponsor}", 2, draw.between(10, 25), True
    yield "backstage", 12, 0, False
    # Whoever is left listens to the closing session.
    yield "closing-session", 6, ROWS, False


def attendees() -> Iterator[Row]:
    """The rows of the file."""
    draw = Draws(SEED)
    given_names, family_names = GIVEN.split(), FAMILY.split()
    left = ROWS
    for channel_name, hosts, audience, by_account in rooms(draw):
        taken: set[str] = set()
        for seat in range(min(hosts + audience, left)):
            uid = ""
            while not uid or uid in taken:
                given, family = draw.one(given_names), draw.one(family_names)
                number = draw.between(1, 4_294_967_295)
                account = f"{given}.{family}{number % 1000}".translate(ASCII).lower()
                uid = account if by_account else str(number)
            taken.add(uid)
            role = "publisher" if seat < hosts else "subscriber"
            yield channel_name, uid, role, f"{given} {family}", f"{account}@example.com"
            left -= 1


def write(file: TextIO) -> None:
    """The whole CSV file."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(attendees())


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8", newline="")  # type: ignore[union-attr]
    write(sys.stdout)
