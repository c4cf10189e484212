"""Sites come, go and work in any order: who is in is who was approved and has not left, and no participant is told of another."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as searched
from hypothesis import strategies as st

from starfish.router.models import Artifact, Batch, Project, ProjectParticipant, Run
from tests.router.trust import AGE, ENVELOPE, LINE, answer, ask, card, invite, put_letter, sealed_project, start
from tests.router.world import Member, World

JOINERS = ("alpha", "beta", "gamma")
OPERATIONS = ("invite", "ask", "approve", "refuse", "withdraw", "leave", "letter", "start", "end", "tell")


@dataclass(kw_only=True)
class Story:
    """What has happened, as the coordinator would tell it. `said`: what each site has sent, which is a secret of its own."""

    world: World
    project: int
    sites: dict[str, Member]
    invitations: dict[str, str] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    members: set[str] = field(default_factory=set)
    version: int = 0
    number: int = 0
    active: bool = False

    def invite(self, name: str) -> None:
        made = invite(self.world.owner, self.project, name)
        assert made.status_code == (409 if name in self.members else 201)
        if name not in self.members:
            self.invitations[name] = made.json()["id"]
            self.asked.discard(name)

    def ask(self, name: str) -> None:
        if name in self.invitations:
            assert ask(self.sites[name], self.invitations[name], f"request of {name}").status_code == 200
            self.asked.add(name)

    def approve(self, name: str) -> None:
        self._answer(name, approved=True)

    def refuse(self, name: str) -> None:
        self._answer(name, approved=False)

    def _answer(self, name: str, *, approved: bool) -> None:
        if name not in self.invitations:
            return
        given = answer(self.world.owner, self.invitations[name], approved, f"answer to {name}")
        assert given.status_code == (200 if name in self.asked else 409)
        if name in self.asked:
            self.asked.discard(name)
            del self.invitations[name]
            self.members |= {name} if approved else set()

    def withdraw(self, name: str) -> None:
        if uid := self.invitations.pop(name, None):
            assert self.world.owner.http.send("DELETE", f"invitations/{uid}/").status_code == 204
            self.asked.discard(name)

    def leave(self, name: str) -> None:
        membership = ProjectParticipant.objects.filter(project=self.project, site=self.sites[name].site).first()
        assert (membership is not None) == (name in self.members)
        if membership:
            left = self.sites[name].http.send("DELETE", f"project-participants/{membership.pk}/")
            assert left.status_code == (409 if self.active else 204)
            self.members -= set() if self.active else {name}

    def letter(self, name: str) -> None:
        self.version += 1
        put = put_letter(self.world.owner, self.project, self.version, self.sites[name], AGE + f"letter of {name}".encode())
        assert put.status_code == (404 if name not in self.members else 409 if self.active else 201)

    def start(self, _: str) -> None:
        begun = start(self.world.owner, self.project, self.number + 1, AGE + b"%d" % self.number)
        assert begun.status_code == (400 if self.active else 201)
        if not self.active:
            self.number, self.active = self.number + 1, True
            runs = Run.objects.filter(batch__project=self.project, batch__number=self.number)
            assert {run.site.name for run in runs} == {"owner"} | self.members

    def end(self, _: str) -> None:
        Run.objects.filter(batch__project=self.project).update(status=0)
        self.active = False

    def tell(self, name: str) -> None:
        run = Run.objects.filter(batch__project=self.project, site=self.sites[name].site).order_by("-id").first()
        if run:
            http = self.sites[name].http
            assert http.send("POST", f"runs/{run.pk}/lines/", {"lines": LINE}).status_code == 201
            assert http.upload(run.pk, "logs", ENVELOPE + name.encode(), name=f"of {name}").status_code in (200, 409)

    def addresses(self) -> list[str]:
        """All that a participant might ask for, its own or not."""
        sites = [*self.sites.values(), self.world.owner]
        by_uid = [
            f"projects/{self.project}/manifests/?site_uid={{}}",
            "sites/lookup/?uid={}",
            "sites/cards/?uid={}",
            "runs/active/?site_uid={}",
        ]
        paths = [path.format(it.site.uid) for path in by_uid for it in sites]
        paths += [
            f"projects/{self.project}/manifests/{version}/{it.site.uid}/"
            for version in range(max(1, self.version - 1), self.version + 1)
            for it in sites
        ]
        paths += [f"sites/{it.site.pk}/{rest}" for rest in ("", "cards/") for it in sites]
        paths += [f"projects/lookup/?site_id={it.site.pk}" for it in sites]
        paths += [f"project-participants/{pk}/" for pk in ProjectParticipant.objects.values_list("pk", flat=True)]
        rests = ("", "lines/", "progress/", "artifacts/", "order/")
        paths += [f"runs/{pk}/{rest}" for pk in Run.objects.order_by("-pk").values_list("pk", flat=True)[:8] for rest in rests]
        paths += [f"invitations/{uid}/" for uid in self.invitations.values()]
        paths += ["sites/", "projects/", "runs/", "runs/active/", "project-participants/", f"runs/lookup/?project={self.project}"]
        return [*paths, f"invitations/lookup/?project={self.project}", f"project-participants/lookup/?project={self.project}"]


@searched(max_examples=5, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(steps=st.lists(st.tuples(st.sampled_from(OPERATIONS), st.sampled_from(JOINERS)), min_size=8, max_size=16))
def tell_a_story(world: World, steps: list[tuple[str, str]]) -> None:
    with transaction.atomic():
        story = begun(world)
        for name in JOINERS[:2]:  # else few stories get anywhere
            for operation in ("invite", "ask", "approve"):
                getattr(story, operation)(name)
        for operation, name in steps:
            happen: Callable[[str], None] = getattr(story, operation)
            happen(name)
        in_it = ProjectParticipant.objects.filter(project=story.project).values_list("site__name", flat=True)
        assert {*in_it} == {"owner"} | story.members
        assert [*Batch.objects.values_list("number", flat=True)] == [*range(1, story.number + 1)]
        nobody_is_told_of_another(story)
        transaction.set_rollback(True)


def begun(world: World) -> Story:
    sites = {name: Member.new(name) for name in JOINERS}
    for name, it in sites.items():
        assert it.http.send("POST", f"sites/{it.site.pk}/cards/", {"card": card(1, of=f"card of {name}")}).status_code == 201
    return Story(world=world, project=sealed_project(world.owner).json()["id"], sites=sites)


def nobody_is_told_of_another(story: Story) -> None:
    addresses = story.addresses()
    for name, it in story.sites.items():
        told = b"\n".join(answered(it.http.get(path)) for path in addresses)
        for other in {*JOINERS} - {name}:
            assert other.encode() not in told
            assert str(story.sites[other].site.uid).encode() not in told
        assert (b"sealed" in told) == (name in story.members | {*story.invitations} or worked(it)), name


def answered(answer: Any) -> bytes:
    return answer.content if answer.status_code == 200 else json.dumps(answer.status_code).encode()


def worked(it: Member) -> bool:
    """It keeps its own past, and the name of the project in it."""
    return Run.objects.filter(site=it.site).exists()


def test_sites_come_go_and_work_in_any_order(world: World, settings: Any) -> None:
    settings.SITE_TIMEOUT_S = 3600  # they have no daemon that shows signs of life
    tell_a_story(world)
    assert not Project.objects.filter(name="sealed").exists()
    assert not Artifact.objects.exists()
