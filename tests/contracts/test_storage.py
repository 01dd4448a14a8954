"""Optuna's own contract tests of storages, on a storage as a study opens it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from optuna.storages import RDBStorage
from optuna.testing.pytest_storages import StorageTestCase

from hpo.storage.writer import open_storage, sqlite_url


class TestOurSqlite(StorageTestCase):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> Iterator[RDBStorage]:
        storage = open_storage(sqlite_url(tmp_path / "storage.sqlite"))
        yield storage
        storage.remove_session()
        storage.engine.dispose()
