"""What every object on the wire has."""

from django.db import models
from django.utils import timezone


class Dated(models.Model):
    """When it was made and last changed; a bulk `update()` sets `updated_at` itself."""

    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True
