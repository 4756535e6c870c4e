"""The documents are true: commands, messages, links and the two commands are compared with the code. Settings are
in test_reference.py.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from invoke.collection import Collection
from invoke.exceptions import ParseError
from invoke.parser import Parser
from invoke.parser.context import ParserContext

import hubdeploy
import tasks
from develop import tasks as developers_tasks
from hubdeploy.commands.commandline import TwoSpellings
from tests.documents import CHECKOUT, DOCS, Block, blocks, section

README = CHECKOUT / "README.md"
DOCUMENTS = sorted([*CHECKOUT.glob("*.md"), *DOCS.glob("*.md")])
# All that can be called; --list shows the operator's tasks alone.
EVERY_TASK = Collection(*tasks.namespace.tasks.values(), *developers_tasks.namespace.tasks.values())
# Where a shell's command ends within a line.
_SHELL_ENDS = frozenset(("&&", "||", "|", ";", ">", ">>", "<"))


def named(path: Path) -> str:
    return str(path.relative_to(CHECKOUT))


def rows(text: str) -> list[list[str]]:
    """The cells of every table row of a document, heads and rules left out."""
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    return [re.split(r"\s*\|\s*", line.strip("| ")) for line in lines]


def plain(cell: str) -> str:
    return cell.replace("`", "").strip()


def options(task: str) -> set[str]:
    """The options of a task as a person types them: an option that is on by default has its --no- form."""
    context = ParserContext(args=EVERY_TASK[task].get_arguments())
    flags = {flag for flag in context.flags if flag.startswith("--")}
    return (flags - set(context.inverse_flags.values())) | set(context.inverse_flags)


def command_rows() -> list[list[str]]:
    """The operator's commands, then the developers'."""
    for_developers = section(CHECKOUT / "CONTRIBUTING.md", "Commands for developers")
    return [*rows((DOCS / "commands.md").read_text()), *rows(for_developers)]


def test_each_task_has_a_row_and_each_row_a_task() -> None:
    names = [plain(row[0]) for row in command_rows()]
    assert sorted(names) == sorted(EVERY_TASK.task_names)


def test_each_row_of_the_commands_names_the_options_of_its_task() -> None:
    found = {plain(row[0]): set(re.findall(r"--[a-z-]+", row[1])) for row in command_rows()}
    assert found == {task: options(task) for task in EVERY_TASK.task_names}


def test_the_readme_is_short() -> None:
    assert len(README.read_text().splitlines()) <= 150


def test_the_changelog_begins_with_this_version_or_what_comes_after_it() -> None:
    headings = re.findall(r"^## (.*)$", (CHECKOUT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert next(heading for heading in headings if heading != "Unreleased") == hubdeploy.__version__
    assert "Unreleased" not in headings[1:]


def texts_of_the_code() -> str:
    """Every text in the code that an operator may read, one a line; `…` stands where a value goes in."""
    texts = [(CHECKOUT / name).read_text() for name in ("invoke", "anaconda3/install-distribution.sh")]
    of_the_hub = [
        CHECKOUT / "jupyterhub" / name
        for name in ("disk.py", "ends.py", "idle.py", "seats.py", "spawner.py", "states.py")
    ]
    of_the_hub.append(CHECKOUT / "filter" / "table.py")
    of_helpers = [*(CHECKOUT / "backup").glob("*.py"), *(CHECKOUT / "base-notebook/course_material").glob("*.py")]
    for path in sorted([*(CHECKOUT / "hubdeploy").rglob("*.py"), *of_the_hub, *of_helpers]):
        tree = ast.parse(path.read_text())
        inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                texts.append(
                    "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
                texts.append(node.value)
    return "\n".join(texts)


def test_each_message_in_the_documents_is_in_the_code() -> None:
    texts = texts_of_the_code()
    explained = (DOCS / "errors.md").read_text()
    explained += section(DOCS / "operating.md", "Looking") + section(DOCS / "migrating.md", "What messages mean")
    explained += section(DOCS / "courses.md", "What pages say")
    messages = [words for row in rows(explained) for words in re.findall(r"`([^`]+)`", row[0])]
    assert len(messages) > 70
    pieces = {
        message: [piece.strip() for piece in message.split("…") if len(piece.strip()) > 2] for message in messages
    }
    assert [message for message, parts in pieces.items() if not parts or any(part not in texts for part in parts)] == []


def commands(text: str) -> Iterator[str]:
    """The words behind `./invoke` in a document's code, in blocks and within sentences."""
    in_lines = re.findall(r"^(?:    |\t)?[^`|#\n]*?\./invoke(?: (.*))?$", text, re.MULTILINE)
    in_words = re.findall(r"`[^`\n]*?\./invoke(?: ([^`\n]*))?`", text)
    yield from (*in_lines, *in_words)


def parse(command: str) -> None:
    """Reads a command as ./invoke would; raises ParseError for an unknown task or option."""
    words = shlex.split(command, comments=True)
    end = next((at for at, word in enumerate(words) if word in _SHELL_ENDS), len(words))
    program = TwoSpellings(binary_names=["invoke"])
    program.create_config()
    program.collection = EVERY_TASK
    core = Parser(initial=program.initial_context, ignore_unknown=True).parse_argv(words[:end])
    program._make_parser().parse_argv(core.unparsed)


@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_each_command_in_the_documents_exists(path: Path) -> None:
    for command in commands(path.read_text()):
        try:
            parse(command)
        except ParseError as error:
            pytest.fail(f"{named(path)}: ./invoke {command}: {error}")


def test_a_command_that_does_not_exist_is_found() -> None:
    found = list(commands("Run `./invoke nothing`, then\n\n    ./invoke up --now\n"))
    assert found == ["up --now", "nothing"]
    for command in found:
        with pytest.raises(ParseError):
            parse(command)


def test_a_block_of_code_has_the_paragraph_above_it_and_its_own_empty_lines() -> None:
    text = "# A page\n\nIn `userlist`:\n\n    ada\n\n    bob\n\nThen\n\n    ./invoke up\n      done\n"
    found = list(blocks(text))
    assert found == [Block("In `userlist`:", "    ada\n\n    bob"), Block("Then", "    ./invoke up\n      done\n")]
    assert [one.lines for one in found] == [["ada", "", "bob"], ["./invoke up", "  done"]]


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_each_local_link_leads_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), f"{named(path)} links to {link}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
            assert anchor in map(slug, headings), f"{named(path)} links to {link}"


def test_the_readme_gives_both_commands() -> None:
    lines = README.read_text().splitlines()
    assert "    ./invoke setup up       # then https://localhost, login and password on the screen" in lines
    assert "    ./invoke setup test" in lines
