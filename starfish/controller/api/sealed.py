"""Sealed projects as this site knows them: what its own store says, and what its coordinator has signed, never the Routing Server alone."""

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from starfish.controller.errors import NotAllowed, UnknownName

if TYPE_CHECKING:
    from starfish.controller.api.site import Site
    from starfish.controller.project_file import ProjectFile
    from starfish.controller.trust.coordination import Coordination
    from starfish.controller.trust.store import SealedProject
    from starfish.controller.trust.wrapping import Wrapping
    from starfish.protocol.messages import Project
    from starfish.sealing.manifest import Manifest

COUNTERS = ("total_round", "current_round")


class SealedProjects:
    def __init__(self, site: "Site") -> None:
        self.site = site

    def known(self, ref: str) -> "SealedProject | None":
        """By name or id, one that this site has been invited to, or has made."""
        if not self.site.home.trust_file.exists():
            return None
        known = self.site.trusted.store.projects()
        return next((it for it in known if ref in (it.name, str(it.router_id)) and (it.joined or it.invitation)), None)

    def coordination(self, ref: str) -> "Coordination":
        """Raises NotAllowed, UnknownName."""
        from starfish.controller.trust.coordination import Coordination

        sealed = self.known(ref)
        if sealed is None:
            raise UnknownName(
                f"This site knows no project '{ref}' that is joined by invitation. 'starfish project list' shows its projects."
            )
        if not sealed.coordinates:
            raise NotAllowed(f"Only the coordinator of '{sealed.name}' decides who is in it.")
        return Coordination(trusted=self.site.trusted, project=sealed)

    def create(self, project: "ProjectFile") -> "Project":
        """The Routing Server gets the name, and each task's name and number of rounds; the rest stands in the manifest."""
        from starfish.controller.trust.coordination import Coordination
        from starfish.sealing.manifest import Terms

        seen, signed = [], []
        for task in project.tasks:
            config = task["config"]
            seen.append({**task, "config": {key: config[key] for key in COUNTERS}})
            signed.append({**task, "config": {key: value for key, value in config.items() if key != "current_round"}})
        trusted = self.site.trusted
        uid = secrets.token_hex(16)
        made = self.site.client.create_project(project.name, "", self.site.site_id, seen, {}, uid=uid, joining="invitation")
        terms = Terms(name=project.name, description=project.description, tasks=signed, definition=dict(project.definition))
        Coordination.begin(trusted, uid, made.id, terms)
        return self.with_terms(made)

    def join(self, line: str, dataset: str) -> "SealedProject":
        """Ask to be let in, by the line of an invitation. Raises UnknownName for the dataset, NotNow, Untrusted."""
        from starfish.controller.trust.joining import ask

        self.site.datasets.get(dataset)
        trusted = self.site.trusted
        sealed = ask(self.site.client, trusted.store, trusted.keys, self.site.config, line)
        self.site.home.bind(sealed.router_id, sealed.name, dataset)
        return sealed

    def wrapping(self, project_id: int, batch: int) -> "Wrapping | None":
        """How a batch's lines and notices are opened; None where this site never accepted an order for it."""
        from starfish.controller.trust.admission import wrapping
        from starfish.controller.worker.folder import BatchFolder

        trusted = self.site.trusted
        project = trusted.store.project(project_id)
        order = trusted.store.order(project.uid, batch) if project else None
        if project is None or order is None:
            return None
        return wrapping(trusted, project, order, BatchFolder(self.site.home.work(project_id, batch)))

    def with_terms(self, project: "Project") -> "Project":
        """What its coordinator has signed in the place of what the Routing Server says, of how it is joined, too. Raises Untrusted."""
        from starfish.controller.trust.admission import newest_manifest

        sealed = self.site.trusted.store.project(project.id) if self.site.home.trust_file.exists() else None
        return project if sealed is None else _signed(project, newest_manifest(self.site.trusted, sealed))

    def look(self, sealed: "SealedProject") -> "tuple[Project, Manifest | None, str | None]":
        """The project with its terms and their manifest; or what little is known, and why no more."""
        from starfish.controller.trust.admission import newest_manifest
        from starfish.controller.trust.errors import Untrusted
        from starfish.protocol.messages import Project
        from starfish.sdk import NotFound

        try:
            manifest = newest_manifest(self.site.trusted, sealed)
            return _signed(self.site.client.project(sealed.router_id), manifest), manifest, None
        except Untrusted as error:
            problem = str(error)
        except NotFound:
            problem = "The Routing Server does not show it to this site any more."
        bare = Project(id=sealed.router_id, name=sealed.name, site=0, definition={}, uid=sealed.uid, joining="invitation")
        return bare, None, problem


def _signed(project: "Project", manifest: "Manifest") -> "Project":
    return replace(
        project,
        name=manifest.name,
        description=manifest.description,
        tasks=list(manifest.tasks),
        definition=manifest.definition,
        joining="invitation",
    )
