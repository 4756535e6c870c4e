"""What goes on while the certificate has expired: every step but those that would serve it anew. So access can be taken away
at any time. Pure.
"""

from __future__ import annotations

from dataclasses import replace

from hubdeploy.blueprint.specs import Blueprint, ContainerSpec
from hubdeploy.contract.documents import Secret
from hubdeploy.errors import Caution, Problem
from hubdeploy.plan import operations as op
from hubdeploy.plan.snapshot import Snapshot
from hubdeploy.plan.steps import Plan

_FIX = "bring its successor, then run ./invoke up"


def without_serving(
    plan: Plan, blueprint: Blueprint, snapshot: Snapshot, certificate: bytes, expired: str
) -> tuple[Plan, Problem | Caution]:
    """The plan without the steps for containers that hold `certificate`, and what an operator must know; `expired` names the
    file and the day. A problem, and the whole plan, if the other steps would be in vain: nothing of the deployment is there
    yet, or what serves would lose its network."""
    serving = [one for one in blueprint.containers if Secret(certificate) in one.all_files.values()]
    names = {one.name for one in serving}
    kept = tuple(step for step in plan.steps if _container(step.operation) not in names)
    if len(kept) == len(plan.steps):
        return plan, Caution(f"{expired}: browsers refuse it or warn", _FIX)
    others = {one.name for one in blueprint.containers} - names
    if not others & snapshot.containers.keys() or any(_is_cut_off(one, plan, snapshot) for one in serving):
        return plan, Problem.of_no_file(found=expired, wanted="a certificate that is valid today", fix=_FIX)
    roles = " and ".join(f"the {one.role}" for one in serving)
    return replace(plan, steps=kept), Caution(f"{expired}: it is not served anew, so {roles} stays as it is", _FIX)


def _container(operation: op.Operation) -> str | None:
    match operation:
        case op.ContainerStopped() | op.ContainerGone() | op.ContainerStarted() | op.ContainerHealthy():
            return operation.name
        case op.ContainerCreated():
            return operation.spec.name
        case op.FilesPut() | op.FilesPublished():
            return operation.container
    return None


def _is_cut_off(spec: ContainerSpec, plan: Plan, snapshot: Snapshot) -> bool:
    """Whether a running container would stay on another network than the rest."""
    state = snapshot.containers.get(spec.name)
    if state is None or not state.running:
        return False
    gone = {step.operation.name for step in plan.steps if isinstance(step.operation, op.NetworkGone)}
    wanted = {one.network for one in spec.attachments}
    return bool(wanted & gone) or not wanted <= state.networks.keys()
