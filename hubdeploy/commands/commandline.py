"""Runs Invoke with three things more: a task can also be named in the Makefile's spelling (`base_notebook_image`), a word
that a task takes without an option may be left out, and developers' tasks can be called without being listed. Knows no task
by name and starts nothing itself.

Only words that stand where a task's name stands are read so; values of options never are. Invoke cannot do this alone:
it spells all names one way, and an alias that differs from its task only in `-` and `_` sends it into endless recursion,
so the second spelling is known to the parser only.
"""

import gc
import importlib
import os
import signal
import sys
from types import ModuleType

import hubdeploy

# Invoke brings unittest.mock, and that asyncio, for a class that tests of tasks use: a tenth of the time of --list.
# Whoever imports it later gets the real one.
_MOCK = "unittest.mock"
sys.modules[_MOCK] = ModuleType(_MOCK)
vars(sys.modules[_MOCK]).update(Mock=None)
from invoke import __version__  # noqa: E402
from invoke.collection import Collection  # noqa: E402
from invoke.parser import Parser  # noqa: E402
from invoke.parser.parser import ParseMachine  # noqa: E402
from invoke.program import Program  # noqa: E402

del sys.modules[_MOCK]

# The library works without developers' tools, and imports nothing else of them.
_DEVELOPERS_TASKS = "develop.tasks"


class TwoSpellings(Program):
    """Invoke's program, whose parser knows each task's name with underscores as well, and developers' tasks."""

    def load_collection(self) -> None:
        """Load the operator's tasks and, in a checkout that has them, developers' tasks."""
        super().load_collection()
        self._developers = _developers_tasks()
        for name, task in self._developers.tasks.items():
            self.collection.add_task(task, name=name)

    def list_tasks(self) -> None:
        """List the operator's tasks; developers' are named in one last line. The program ends after a list."""
        names = list(self._developers.tasks)
        for name in names:
            del self.collection.tasks[name]  # type: ignore[no-untyped-call]
        super().list_tasks()
        # The third form is for programs to read.
        if names and self.list_format != "json":
            print(f"Developers' tasks are {' and '.join(names)}: see CONTRIBUTING.md")

    def _make_parser(self) -> Parser:
        # Invoke has no public place for this. Its version is pinned, and a test of the wrapper names a task both ways.
        parser = super()._make_parser()
        ParseMachine.complete_context = _let_words_be_missing  # type: ignore[method-assign, assignment]
        for name in list(parser.contexts):
            if "-" in name:
                parser.contexts.alias(name.replace("-", "_"), to=name)  # type: ignore[no-untyped-call]
        return parser

    def print_task_help(self, name: str) -> None:
        """The help of the task that `name` means in either spelling."""
        super().print_task_help(self.parser.contexts[name].name)


def _developers_tasks() -> Collection:
    """Their collection; an empty one where the checkout has none."""
    try:
        found: Collection = importlib.import_module(_DEVELOPERS_TASKS).namespace
    except ModuleNotFoundError as error:
        if error.name is None or not f"{_DEVELOPERS_TASKS}.".startswith(f"{error.name}."):
            raise
        return Collection()
    return found


_complete_context = ParseMachine.complete_context


def _let_words_be_missing(machine: ParseMachine) -> None:
    """A word that a task takes without an option may be left out, and is empty then: `access ada`, and `access` for all.
    Invoke knows only words that must be there, and its machine cannot be derived from: states are looked up in one class."""
    for word in machine.context.missing_positional_args if machine.context else ():
        word.value = ""
    _complete_context(machine)


def main() -> None:
    """Run the command line, and end the process with Invoke's exit code."""
    # A command lives for seconds, and most of what it makes are modules: they are never garbage.
    gc.set_threshold(100_000)
    # docker-py imports all of SSH, for engines that are reached by it; it does without where that is not installed.
    if not os.environ.get("DOCKER_HOST", "").startswith("ssh://"):
        sys.modules["paramiko"] = None  # type: ignore[assignment]
    version = f"{hubdeploy.__version__} (Invoke {__version__})"
    program = TwoSpellings(name="hubdeploy", binary="invoke", binary_names=["invoke"], version=version)
    try:
        try:
            program.run()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read the output has gone, as head does once it has its lines. Nobody is left to be told, not even by
        # Python, which writes out what is still in hand when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)


if __name__ == "__main__":
    main()
