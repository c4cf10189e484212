"""Accounts and groups, which administrators keep."""

from typing import Any

from django.contrib.auth.models import Group, User
from django.db import IntegrityError, transaction

from starfish.protocol.problems import InvalidFields
from starfish.router.access import Caller
from starfish.router.actions import audit


def save_account(caller: Caller, user: User, values: dict[str, Any]) -> User:
    """New or changed; a password is kept hashed. Raises InvalidFields."""
    groups, password = values.pop("groups", None), values.pop("password", None)
    for name, value in values.items():
        setattr(user, name, value)
    if password is not None:
        user.set_password(password)
    elif user._state.adding:
        user.set_unusable_password()
    with transaction.atomic():
        _save(user, {"username": ["A user with that username already exists."]})
        if groups is not None:
            user.groups.set(groups)
        audit.changed(caller, "account.save", f"account {user.pk}")
    return user


def save_group(caller: Caller, group: Group, values: dict[str, Any]) -> Group:
    """Raises InvalidFields."""
    group.name = values.get("name", group.name)
    with transaction.atomic():
        _save(group, {"name": ["group with this name already exists."]})
        audit.changed(caller, "group.save", f"group {group.pk}")
    return group


def delete(caller: Caller, thing: User | Group) -> None:
    """An account's sites stay, without an owner; their tokens end with it."""
    with transaction.atomic():
        audit.changed(caller, f"{thing._meta.model_name}.delete", f"{thing._meta.model_name} {thing.pk}")
        thing.delete()


def _save(thing: User | Group, taken: dict[str, list[str]]) -> None:
    try:
        with transaction.atomic():
            thing.save()
    except IntegrityError:
        raise InvalidFields(taken) from None
