"""Which lines of a stack are the service's own, and what they are called."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stress.config.target_parts import Start
from stress.processes.source_lines.sources import Sources
from stress.processes.source_lines.stacks import Place

if TYPE_CHECKING:
    from pathlib import Path

OWN = ("app.py", "shop/orders.py", "vendor/page.py", "src/com/acme/Orders.java", "a/com/twice/X.kt", "b/com/twice/X.kt")
OTHERS = (
    "env/lib/python3.12/site-packages/redis/client.py",
    ".venv/bin/uvicorn",
    "conda/lib/python3.12/threading.py",
    "go/pkg/mod/github.com/redis/go-redis/redis.go",
    "sdk/go1.22/src/net/net.go",
    "vendor/github.com/redis/redis.go",
    "node_modules/ioredis/index.js",
)


@pytest.fixture
def service(tmp_path: Path) -> Path:
    """Make a service with libraries in its folder, and one file elsewhere."""
    for name in (*OWN, *OTHERS, "../elsewhere/lib.py"):
        file = tmp_path / "service" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")
    return tmp_path / "service"


def test_files_of_libraries_are_not_its_own(service: Path) -> None:
    """Of all that may stand in a folder only the sources of the service are named, relative to it."""
    sources = Sources(Start(command=["python3", "app.py"]), service)
    stack = tuple(Place(str(service / name), at) for at, name in enumerate((*OTHERS, *OWN[:3]), start=1))
    more = (
        Place(str(service / "../elsewhere/lib.py"), 1),
        Place(str(service / "<string>"), 2),
        Place("<frozen os>", 3),
    )
    assert sources.lines((*stack, *more)) == ("app.py:8", "shop/orders.py:9", "vendor/page.py:10")


def test_a_class_is_found_by_its_package(service: Path) -> None:
    """A file of the JVM is its own where exactly one has the folders of the package."""
    sources = Sources(Start(command=["java", "Orders"]), service)
    names = ("com/acme/Orders.java", "java/net/Socket.java", "com/twice/X.kt", "Orders.java")
    stack = tuple(Place(f"*/{name}", at) for at, name in enumerate(names, start=1))
    assert sources.lines(stack) == ("src/com/acme/Orders.java:1", "src/com/acme/Orders.java:4")


def test_languages_are_known_by_the_files_of_the_service(service: Path) -> None:
    """What stands in libraries alone is no language of the service."""
    sources = Sources(Start(command=["python3", "app.py"]), service)
    assert [sources.holds((ending,)) for ending in (".py", ".kt", ".go", ".js")] == [True, True, False, False]


def test_what_the_target_names_is_its_own_too(service: Path) -> None:
    """Files beside one that the command or `start.sources` names belong to it, wherever they are."""
    folder = service / "shop"
    place = (Place(str(service / "../elsewhere/lib.py"), 3),)
    assert Sources(Start(command=["python3", "orders.py"]), folder).lines(place) == ()
    assert Sources(Start(command=["python3", "../../elsewhere/lib.py"]), folder).lines(place) == ("lib.py:3",)
    named = Start(command=["python3", "-m", "lib"], sources=["../../elsewhere/*.py"])
    assert Sources(named, folder).lines(place) == ("lib.py:3",)
