"""A database with data in it moves on with them."""

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

pytestmark = pytest.mark.django_db(transaction=True)


def test_projects_that_are_there_get_a_uid_each_and_stay_by_name() -> None:
    newest = MigrationExecutor(connection).loader.graph.leaf_nodes()
    try:
        before = MigrationExecutor(connection)
        before.migrate([("router", "0005_tokens")])
        old = before.loader.project_state([("router", "0005_tokens")]).apps
        site = old.get_model("router", "Site").objects.create(name="s")
        for name in "abc":
            old.get_model("router", "Project").objects.create(name=name, site=site)
    finally:
        after = MigrationExecutor(connection)
        after.migrate(newest)
    projects = after.loader.project_state(newest).apps.get_model("router", "Project").objects.order_by("name")
    assert [(project.name, project.joining) for project in projects] == [(name, "by-name") for name in "abc"]
    assert sorted(len(bytes.fromhex(uid)) for uid in {project.uid for project in projects}) == [16] * 3
