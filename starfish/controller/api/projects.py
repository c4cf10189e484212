"""Projects as this site's people see them: create, join, look, leave."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starfish.controller import project_file
from starfish.controller.api.sealed import SealedProjects
from starfish.controller.errors import DataProblem, NotAllowed, NotNow, UnknownName

if TYPE_CHECKING:
    from starfish.controller.api.datasets import Fit
    from starfish.controller.api.site import Site
    from starfish.controller.guard.policy import Policy
    from starfish.controller.project_file import ProjectFile
    from starfish.controller.trust.coordination import Candidate
    from starfish.controller.trust.store import SealedProject
    from starfish.protocol.messages import Membership, Project


LONGEST_NAME = 200
"""Of any project at a Routing Server; a project file's is shorter."""
INVITATION = "starfish-invitation-"
INVITATION_VALID = timedelta(days=14)


@dataclass(frozen=True, kw_only=True)
class ProjectPage:
    """A project. `members` are known to its coordinator only; tasks and definition to its members; `dataset` is this site's.

    `trust`: "sealed", its terms signed by its coordinator, or "unverified". `manifest`, `terms_code`: the version of the terms and
    the code by which members compare them; `problem`: why the terms are not known, or not believed, here.
    """

    id: int
    name: str
    description: str
    coordinator: str | None
    role: str | None
    batch: int
    dataset: str | None
    with_data: bool | None
    tasks: list[Mapping[str, Any]]
    definition: Mapping[str, Any]
    members: list[str] | None
    trust: str
    manifest: int | None = None
    terms_code: str | None = None
    coordinator_fingerprint: str | None = None
    problem: str | None = None


@dataclass(frozen=True, kw_only=True)
class Invited:
    """An invitation just made. `line` is for the invited site's people, by another way than the Routing Server."""

    project: str
    site: str
    line: str


@dataclass(frozen=True, kw_only=True)
class Joined:
    """A project just created or joined, and how this site's dataset fits it; None without data, or where the terms are still to come."""

    project: ProjectPage
    fit: "Fit | None"


class ProjectActions:
    def __init__(self, site: "Site") -> None:
        self.site = site
        self.sealed = SealedProjects(site)

    def create(self, file: Path | str, *, dataset: str | None, sealed: bool | None = None) -> Joined:
        """Check the file and the dataset, then create the project with this site as its coordinator, and bind the dataset.

        `dataset=None`: coordinate without data. `sealed`: others come by invitation, and the Routing Server reads nothing; else they come
        by name, and it reads all; None: by invitation where this site's policy refuses the other.
        Raises FileError, DataProblem, NotAllowed, NotNow for a taken name.
        """
        from starfish.sdk import Invalid

        project = project_file.read(file)
        fit = self._fit(dataset, project.name, project.definition) if dataset is not None else None
        if fit and fit.problems:
            more = f"{len(fit.problems)} problems" if len(fit.problems) > 1 else "it"
            raise DataProblem(
                f"The dataset '{dataset}' does not fit, and nothing was created: {fit.problems[0].text} "
                f"'starfish dataset check {dataset} {file}' shows {more}; 'starfish dataset map {dataset} {file}' mends what a mapping can."
            )
        self._refuse_taken(project.name, file)
        make = self.sealed.create if self._sealed_by_policy(sealed) else self._create_by_name
        try:
            made = make(project)
        except Invalid as error:
            raise NotNow(f"The Routing Server refused the project '{project.name}': {error}") from error
        self.site.home.bind(made.id, made.name, dataset)
        return Joined(project=self._page(made, "coordinator"), fit=fit)

    def invite(self, ref: str, *, site: str, valid: timedelta = INVITATION_VALID) -> Invited:
        """Make an invitation for one site. Raises NotAllowed, NotNow."""
        coordination = self.sealed.coordination(ref)
        line = coordination.invite(site, router=self.site.config.router, valid=valid)
        return Invited(project=coordination.project.name, site=site, line=line)

    def candidates(self, ref: str) -> "list[Candidate]":
        """Who was invited, and who has asked to be let in. Raises NotAllowed."""
        return self.sealed.coordination(ref).candidates()

    def approve(self, ref: str, *, site: str | None = None) -> list[str]:
        """Let in who was invited and has asked; the names of whoever was. Raises NotAllowed, NotNow."""
        return [card.name for card in self.sealed.coordination(ref).approve(site)]

    def refuse(self, ref: str, *, site: str) -> None:
        """Take an invitation back. Raises NotAllowed, NotNow."""
        self.sealed.coordination(ref).refuse(site)

    def remove(self, ref: str, *, site: str) -> None:
        """Make a manifest without a member. Raises NotAllowed, NotNow."""
        self.sealed.coordination(ref).remove(site)

    def join(self, ref: str, *, dataset: str) -> Joined:
        """Become a participant by an invitation's line or a project's name, bind the dataset, and see whether it fits.

        Again: binds another dataset. Raises UnknownName, NotNow, Untrusted; DataProblem where the dataset or the terms can't be read.
        """
        if ref.strip().startswith(INVITATION):
            return self._joined(self.sealed.join(ref, dataset), dataset)
        if (sealed := self.sealed.known(ref)) is not None:
            self.site.datasets.get(dataset)
            self.site.home.bind(sealed.router_id, sealed.name, dataset)
            return self._joined(sealed, dataset)
        self._refuse_by_name(ref)
        from starfish.controller.data import DataError
        from starfish.tasks.errors import TaskError

        self.site.datasets.get(dataset)
        project = self.find(ref)
        membership = self._membership(project.id)
        if membership is None:
            self.site.client.join(project.id, self.site.site_id)
        self.site.home.bind(project.id, project.name, dataset)
        project = self.site.client.project(project.id)
        try:
            fit = self._fit(dataset, project.name, project.definition) if project.definition else None
        except (DataError, TaskError) as error:
            raise DataProblem(
                f"This site is a member of '{project.name}', with the dataset '{dataset}', but it can't take part yet: "
                f"{error.private} 'starfish project leave {project.name}' takes it back."
            ) from error
        return Joined(project=self._page(project, membership.role if membership else "participant"), fit=fit)

    def all(self) -> list[ProjectPage]:
        """The projects of this site, by id."""
        memberships = sorted(self.site.client.memberships(self.site.site_id), key=lambda membership: membership.project.id)
        return [self._page(membership.project, membership.role) for membership in memberships]

    def show(self, ref: str) -> ProjectPage:
        """Raises UnknownName."""
        if (sealed := self.sealed.known(ref)) is not None:
            return self._sealed_page(sealed)
        project = self.find(ref)
        membership = self._membership(project.id)
        return self._page(project, membership.role if membership else None)

    def leave(self, ref: str) -> ProjectPage:
        """Raises UnknownName, NotNow where this site is no member or a batch is active."""
        from starfish.sdk import Conflict

        project = self.find(ref)
        membership = self._membership(project.id)
        if membership is None:
            raise NotNow(f"This site is no member of '{project.name}'.")
        page = self._page(project, membership.role)
        try:
            self.site.client.leave(membership.id)
        except Conflict as error:
            raise NotNow(f"The Routing Server refused: {error}") from error
        self.site.home.datasets.unbind(project.id)
        if project.sealed:
            self.site.trusted.store.forget_project(project.uid)
        return page

    def find(self, ref: str) -> "Project":
        """A project by name or id; of a sealed one the terms are its coordinator's. Raises UnknownName, Untrusted."""
        return self.sealed.with_terms(self._found(ref))

    def _found(self, ref: str) -> "Project":
        """As the Routing Server has it."""
        from starfish.sdk import NotFound

        if not 0 < len(ref) <= LONGEST_NAME:
            raise UnknownName(f"A project's name has 1 to {LONGEST_NAME} characters. 'starfish project list' shows this site's projects.")
        try:
            return self.site.client.project(int(ref)) if ref.isdecimal() else self.site.client.project_by_name(ref)
        except NotFound as error:
            raise UnknownName(
                f"No project '{ref}' is known at {self.site.config.router}. 'starfish project list' shows this site's projects."
            ) from error

    def member(self, project_id: int) -> bool:
        """Whether this site is in a project."""
        return self._membership(project_id) is not None

    def _refuse_taken(self, name: str, file: Path | str) -> None:
        """A name that exists is refused by the Routing Server, too; here with what to do. Raises NotNow."""
        from starfish.sdk import NotFound

        try:
            taken = self.site.client.project_by_name(name)
        except NotFound:
            return
        if taken.site == self.site.site_id:
            raise NotNow(f"This site coordinates '{name}' already (id {taken.id}). For another study choose another name in {file}.")
        raise NotNow(f"Another site has a project '{name}' already. Choose another name in {file}, or join that one.")

    def _fit(self, dataset: str, name: str, definition: Mapping[str, Any]) -> "Fit":
        from starfish.tasks.study import Study

        return self.site.datasets.fit(self.site.datasets.get(dataset), name, Study.from_definition(definition))

    def _membership(self, project_id: int) -> "Membership | None":
        found = [m for m in self.site.client.memberships(self.site.site_id) if m.project.id == project_id]
        return found[0] if found else None

    def _create_by_name(self, project: "ProjectFile") -> "Project":
        return self.site.client.create_project(
            project.name, project.description, self.site.site_id, project.tasks, dict(project.definition)
        )

    def _sealed_by_policy(self, sealed: bool | None) -> bool:
        """Raises NotAllowed where a project is wanted that this site's own policy would refuse."""
        allowed = self._policy().by_name
        if sealed is False and not allowed:
            raise NotAllowed("This site's policy refuses projects that are joined by name. Leave --by-name out, or change policy.yaml.")
        return not allowed if sealed is None else sealed

    def _refuse_by_name(self, ref: str) -> None:
        """Raises NotAllowed."""
        if not self._policy().by_name:
            raise NotAllowed(
                "This site's policy refuses projects that are joined by name. "
                f"Ask the coordinator of '{ref[:LONGEST_NAME]}' for an invitation."
            )

    def _policy(self) -> "Policy":
        from starfish.controller.guard.policy import read_policy

        return read_policy(self.site.home.policy_file)

    def _joined(self, sealed: "SealedProject", dataset: str) -> Joined:
        page = self._sealed_page(sealed)
        return Joined(project=page, fit=self._fit(dataset, page.name, page.definition) if page.definition else None)

    def _sealed_page(self, sealed: "SealedProject") -> ProjectPage:
        """Also of one that this site is not in yet, or whose terms are not believed."""
        from starfish.sealing.keys import fingerprint, short_code

        pinned = fingerprint(sealed.coordinator)
        project, manifest, problem = self.sealed.look(sealed)
        page = self._page(project, None if problem else "coordinator" if sealed.coordinates else "participant")
        if manifest is None:
            role = "participant" if sealed.joined else "invited"
            return replace(page, coordinator=sealed.coordinator.name, role=role, coordinator_fingerprint=pinned, problem=problem)
        return replace(page, manifest=manifest.version, terms_code=short_code(manifest.hash), coordinator_fingerprint=pinned)

    def _page(self, project: "Project", role: str | None) -> ProjectPage:
        binding = self.site.home.binding(project.id)
        seen = self.site.client.participants(project.id) if role else []
        return ProjectPage(
            id=project.id,
            name=project.name,
            description=project.description,
            coordinator=next((member.site.name for member in seen if member.role == "coordinator"), None),
            role=role,
            batch=project.batch,
            dataset=binding.dataset if binding else None,
            with_data=binding.dataset is not None if binding else None,
            tasks=list(project.tasks),
            definition=project.definition,
            members=[member.site.name for member in seen] if role == "coordinator" else None,
            trust="sealed" if project.sealed else "unverified",
        )
