"""The first step of every batch: who has ordered it, on what terms, and how what is sent and comes is sealed."""

from starfish.controller.daemon.batch import Batch, RunFailed
from starfish.controller.daemon.decide import View
from starfish.controller.daemon.exchange import names
from starfish.controller.trust.admission import admit, refuse_strangers
from starfish.controller.trust.errors import Untrusted
from starfish.controller.trust.store import SealedProject
from starfish.controller.trust.wrapping import Plain
from starfish.protocol.run_state import RunStatus


def verify(batch: Batch, view: View) -> None:
    """Raises RunFailed where the batch is not what its coordinator has signed, or is of a project that this site's policy refuses."""
    project = batch.trusted.store.project(view.own.project)
    if project is None:
        _by_name(batch, view)
    else:
        _sealed(batch, view, project)


def _sealed(batch: Batch, view: View, project: SealedProject) -> None:
    own = view.own
    if own.coordinates is not project.coordinates:
        does, is_not = ("coordinates", "does not") if own.coordinates else ("takes part in", "coordinates it")
        raise RunFailed(
            f"The Routing Server says that this site {does} batch {own.batch} of '{project.name}', and it {is_not}.", code="role-changed"
        )
    try:
        sealed = admit(batch.trusted, project, own, batch.identity, batch.folder)
        if own.coordinates and own.status is not RunStatus.SUCCESS:  # then it is about what is here already, and the others are not shown
            refuse_strangers(sealed, view.batch, names(batch))
    except Untrusted as error:
        raise RunFailed(str(error), code=error.code) from error
    manifest = sealed.manifest
    batch.write_terms(manifest.name, manifest.definition, [_without_counter(task) for task in manifest.tasks], manifest.hash)
    if batch.folder.read_json(batch.folder.terms).get("manifest") != manifest.hash:
        raise RunFailed("This batch was begun here under another manifest.", code="manifest-changed")
    batch.wrapping = sealed
    batch.told, batch.members = own, frozenset(sealed.roster)


def _by_name(batch: Batch, view: View) -> None:
    project = batch.client.project(view.own.project)
    if project.sealed:
        raise RunFailed(
            "This site has not been invited to this project, as far as it knows, and computes nothing for it.", code="not-invited"
        )
    if not batch.policy.by_name:
        raise RunFailed(
            "This site's policy refuses projects that are joined by name: their terms are signed by nobody.",
            code="by-name",
            private=f"The policy refuses '{project.name}': it was joined by name, and its terms are signed by nobody. Ask its "
            "coordinator for a project by invitation, or, for public data, set 'preset: open' in policy.yaml.",
            wrapping=Plain(),
        )
    batch.write_terms(project.name, project.definition, [_without_counter(task) for task in view.own.tasks], None)
    batch.wrapping = Plain()


def _without_counter(task: object) -> dict[str, object]:
    assert isinstance(task, dict)
    config = {key: value for key, value in task["config"].items() if key != "current_round"}
    return {"seq": task["seq"], "model": task["model"], "config": config}
