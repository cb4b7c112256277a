"""A house for every test file; `house` is checked after each test that passed."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest

from tests.faults.house import Home, House


@pytest.fixture
def within(request: pytest.FixtureRequest) -> float:
    """The seconds that the mark of this test allows for recovery."""
    marker = request.node.get_closest_marker("fault")
    assert marker is not None, "which entry of the catalogue is this?"
    return float(marker.kwargs["within"])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A charge controller and a hub with two batteries. A file with other wishes has a fixture of this name."""
    with Home(lambda number: House(tmp_path_factory.mktemp("house"))) as home:
        yield home


@pytest.fixture
def house(home: Home) -> House:
    return home.house()


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    home, house = pyfuncitem.funcargs.get("home"), pyfuncitem.funcargs.get("house")
    if not isinstance(home, Home) or not isinstance(house, House):
        return (yield)
    home.suspect = True
    outcome = yield
    house.check()
    home.suspect = False
    return outcome
