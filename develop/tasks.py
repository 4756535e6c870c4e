"""Developers' tasks: callable as the operator's are, but not in `./invoke --list`. Every command line of the checkout loads
this module, so it imports nothing but Invoke before a task runs.
"""

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import task


@task(
    help={
        "all": "the part that always runs, and every long group",
        "rest": "only long groups: those without a green record, then two by turns",
        "minutes": "with --rest: begin no group that would not fit into these",
        "group": "only the long group NAME",
        "only": "some of unit, engine, hub, story and bare, such as unit,story",
    }
)
def test(c: Context, all: bool = False, rest: bool = False, minutes: str = "", group: str = "", only: str = "") -> None:
    """Run the tests on a real engine (--all, --rest, --group, --only)."""
    from develop import testing
    from hubdeploy.commands import deployment

    testing.run(deployment.ROOT, everything=all, rest=rest, minutes=minutes, group=group, only=only)


@task(help={"only": "letters of some rows, such as a,b"})
def bench(c: Context, only: str = "") -> None:
    """Measure this project beside stock (--only a,b)."""
    from develop import testing
    from hubdeploy.commands import deployment

    testing.bench(deployment.ROOT, only=only)


namespace = Collection(test, bench)
