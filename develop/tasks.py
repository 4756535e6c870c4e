"""Developers' tasks: callable as the operator's are, but not in `./invoke --list`. Every command line of the checkout loads
this module, so it imports nothing but Invoke before a task runs.
"""

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import task


@task(
    help={
        "all": "what takes longest too: every kind of deployment, long searches, other engines, a bare machine",
        "rest": "only what a run without --all leaves out",
        "only": "unit, engine, hub or bare",
    }
)
def test(c: Context, all: bool = False, rest: bool = False, only: str = "") -> None:
    """Run the tests on a real engine (--all, --rest, --only)."""
    from develop import testing
    from hubdeploy.commands import deployment

    testing.run(deployment.ROOT, everything=all, rest=rest, only=only)


@task(help={"only": "letters of some rows, such as a,b"})
def bench(c: Context, only: str = "") -> None:
    """Measure this project beside stock (--only a,b)."""
    from develop import testing
    from hubdeploy.commands import deployment

    testing.bench(deployment.ROOT, only=only)


namespace = Collection(test, bench)
