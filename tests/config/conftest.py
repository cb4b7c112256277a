from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.given import Folder


@pytest.fixture
def folder(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Folder:
    return Folder(tmp_path, caplog)
