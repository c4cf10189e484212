"""Sites with tokens, and projects of two of them each, straight into a Routing Server's database: for crowds that nobody would enrol.

A process of its own, with the Routing Server's settings: `python -m benchmarks.seed SITES PROJECTS`. Its stdout is JSON: the sites'
ids, uids and tokens, and the projects as [id, coordinator, participant], the latter two as places in the list of sites.
"""

import json
import os
import secrets
import sys
from datetime import timedelta


def main() -> None:
    import django

    os.environ["DJANGO_SETTINGS_MODULE"] = "starfish.router.settings"
    django.setup()
    sites, projects = map(int, sys.argv[1:])
    json.dump(_seeded(sites, projects), sys.stdout)


def _seeded(count: int, projects: int) -> dict[str, object]:
    from django.contrib.auth.models import User
    from django.db import transaction
    from django.utils import timezone

    from starfish.router.credentials import token_digest
    from starfish.router.models import Project, ProjectParticipant, Site, SiteToken

    tasks = [{"seq": 1, "model": "SummaryStatistics", "config": {"current_round": 1, "total_round": 1}}]
    chosen = secrets.SystemRandom()
    with transaction.atomic():
        owners = User.objects.bulk_create([User(username=f"site-{number}", password="!") for number in range(count)])
        sites = Site.objects.bulk_create([Site(name=owner.username, owner=owner) for owner in owners])
        tokens = [secrets.token_urlsafe(32) for _ in sites]
        SiteToken.objects.bulk_create(
            SiteToken(site=site, sha256=token_digest(token), expires_at=timezone.now() + timedelta(days=1))
            for site, token in zip(sites, tokens, strict=True)
        )
        pairs = [chosen.sample(range(count), 2) for _ in range(projects)]
        made = Project.objects.bulk_create(
            [Project(name=f"project-{number}", site=sites[first], tasks=tasks) for number, (first, _) in enumerate(pairs)]
        )
        for project, pair in zip(made, pairs, strict=True):
            for place, role in zip(pair, ProjectParticipant.Role, strict=True):
                ProjectParticipant.objects.create(site=sites[place], project=project, role=role)
    return {
        "sites": [{"id": site.pk, "uid": str(site.uid), "token": token} for site, token in zip(sites, tokens, strict=True)],
        "projects": [[project.pk, *pair] for project, pair in zip(made, pairs, strict=True)],
    }


if __name__ == "__main__":
    main()
