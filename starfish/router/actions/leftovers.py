"""Bytes that nobody will ask for: uploads that were given up, and files without a row, as a crash between the two leaves them."""

import logging
import time
from collections.abc import Collection
from datetime import timedelta
from functools import partial
from itertools import islice

from django.db import transaction
from django.utils import timezone

from starfish.protocol.run_state import RunStatus
from starfish.router import storage
from starfish.router.models import Artifact, Batch, Upload
from starfish.router.storage import Busy, Growing

GIVEN_UP = timedelta(days=7)
ORPHANED_S = 3600.0
AT_ONCE = 500
log = logging.getLogger("starfish.router")


def clear() -> int:
    """Returns how many files went. May run at any time, in any number of processes."""
    cleared = sum(_end(upload) for upload in Upload.objects.select_related("run__batch") if _is_over(upload))
    if Batch.objects.exists():  # else this is a new database over an old one's files: those are not ours to judge
        cleared += _clear_orphans()
    if cleared:
        log.info("leftovers_cleared files=%d", cleared)
    return cleared


def _is_over(upload: Upload) -> bool:
    here = (upload.task_seq, upload.round_seq) == upload.run.position
    return not here or upload.run.state is RunStatus.SUCCESS or upload.created_at < timezone.now() - GIVEN_UP


def _end(upload: Upload) -> bool:
    """False where it is arriving at this moment: then its end is near."""
    try:
        file = Growing(upload.key)
    except Busy:
        return False
    try:
        with transaction.atomic():
            gone, _ = Upload.objects.filter(pk=upload.pk).delete()
            if gone:
                transaction.on_commit(partial(storage.delete, [upload.key]))
            return bool(gone)
    finally:
        file.close()


def _clear_orphans() -> int:
    cleared, keys = 0, storage.keys_before(time.time() - ORPHANED_S)
    while some := set(islice(keys, AT_ONCE)):
        orphans = some - _known(some)
        storage.delete(orphans)
        cleared += len(orphans)
    return cleared


def _known(keys: Collection[str]) -> set[str]:
    """Those of uploads first: one that ends meanwhile is an artifact by the time that those are looked at."""
    return {key for model in (Upload, Artifact) for key in model.objects.filter(key__in=keys).values_list("key", flat=True)}
