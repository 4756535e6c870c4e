"""Draws the blueprint of a deployment from its settings and a few facts. Pure: the same inputs give the same blueprint."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

from hubdeploy.blueprint import folders, images
from hubdeploy.blueprint.component import Component, Facts
from hubdeploy.blueprint.components import COMPONENTS, guard
from hubdeploy.blueprint.specs import Blueprint, ContainerSpec, NetworkSpec, Store, VolumeSpec
from hubdeploy.contract import backups
from hubdeploy.settings.declarations import Settings

_Named = TypeVar("_Named", NetworkSpec, VolumeSpec)


def draw(settings: Settings, facts: Facts) -> Blueprint:
    """Everything that should exist."""
    facts = replace(facts, kept=kept(settings))
    containers = tuple(_container(component, settings, facts) for component in _in_order(settings))
    return Blueprint(
        deployment=settings.name,
        foreign_images=images.foreign(settings),
        images=images.specs(settings, images.needed(settings), facts.contexts, facts.base_id),
        networks=networks(settings),
        volumes=volumes(settings),
        containers=containers,
        contract=next(one.contract for one in containers if one.contract),
        store=store(settings),
    )


def store(settings: Settings) -> Store:
    """Where the states of the hub are kept."""
    return Store(
        deployment=settings.name,
        hub=settings.hub_name,
        image=settings.image_reference("hub"),
        data=settings.data_volume,
        documents=settings.hub_volume,
        states=settings.states_volume,
    )


def _in_order(settings: Settings) -> tuple[Component, ...]:
    """The components in the order in which they start. A proxy with a door waits for the guard."""
    first = guard.ROLE if settings.asks_who_passes else ""
    return tuple(sorted(COMPONENTS, key=lambda one: one.role != first))


def _container(component: Component, settings: Settings, facts: Facts) -> ContainerSpec:
    """The component's container. Raises ValueError for a file that the plan could not read back: such a container would be
    made anew at each `up`."""
    spec = component.container(settings, facts)
    unread = [path for path in spec.all_files if not path.startswith(f"{component.directory}/")]
    if unread:
        raise ValueError(f"component {component.role}: {unread} are not in its directory {component.directory}")
    return spec


def networks(settings: Settings) -> tuple[NetworkSpec, ...]:
    """The networks of all components, each once."""
    return _once(one for component in COMPONENTS for one in component.networks(settings))


def volumes(settings: Settings) -> tuple[VolumeSpec, ...]:
    """The volumes of all components, each once, and those that users share."""
    return _once(
        (*(one for component in COMPONENTS for one in component.volumes(settings)), *folders.volumes(settings))
    )


def kept(settings: Settings) -> dict[str, str]:
    """The volumes beside users' that hold what cannot be made again, by what backups call them."""
    brought = {backups.BROUGHT: settings.secrets_volume} if settings.secrets_volume else {}
    return {one.kept: one.name for one in volumes(settings) if one.kept} | brought


def container_name(settings: Settings, role: str) -> str:
    return f"{settings.name}-{role}"


def names(settings: Settings) -> frozenset[str]:
    """Every name of a container, network or volume that the deployment wants for itself."""
    made = [*(one.name for one in networks(settings)), *(one.name for one in volumes(settings))]
    return frozenset([*made, *(container_name(settings, one.role) for one in COMPONENTS)])


def directories() -> dict[str, str]:
    """Role -> the directory of the component's container whose files are compared."""
    return {one.role: one.directory for one in COMPONENTS if one.directory}


def _once(specs: Iterable[_Named]) -> tuple[_Named, ...]:
    return tuple({spec.name: spec for spec in specs}.values())
