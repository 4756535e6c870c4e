"""The long groups: tests that take minutes and run when something they depend on has changed. One row is one group.

Every test marked slow or nested belongs to exactly one row, and a unit test compares the two. Nothing is run here.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Group:
    """`tests` are pytest's arguments. `inputs` are git's pathspecs, from the checkout's root: a file, a folder with all
    below it, a pattern whose `*` crosses folders, or `:!` and what is left out. `minutes` is an upper bound, at most 8,
    on a machine of normal speed: two processors, and images that the always-part has built."""

    name: str
    tests: tuple[str, ...]
    inputs: tuple[str, ...]
    minutes: int

    @property
    def suites(self) -> frozenset[str]:
        """The folders below tests/ that its tests lie in, such as `hub`."""
        return frozenset(test.split("/")[1] for test in self.tests)


# `setup` has no part in what it made ready.
_LIBRARY = ("hubdeploy", ":!hubdeploy/machine")
# A whole deployment, made by its own command line and used as a person uses it.
_DEPLOYMENT = (
    *_LIBRARY, "tasks.py", "requirements.lock", "jupyterhub", "guard", "filter", "clock", "backup", "crowd", "proxy",
    "anaconda3", "base-notebook", "requirements-dev.lock",
    "tests/reports.py", "tests/nested.py", "tests/ports.py", "tests/hub/conftest.py",
    "tests/hub/clone.py", "tests/hub/person.py", "tests/hub/waiting.py",
)  # fmt: skip
_MATRIX_ROW = "tests/hub/test_matrix.py::test_a_deployment_with_these_settings_works[{}]"
_MATRIX = (
    *_DEPLOYMENT, "tests/hub/test_matrix.py", "tests/hub/matrix.py", "tests/hub/stage.py", "tests/hub/volumes.py",
    "tests/hub/authority.py", "tests/hub/github_standin.py", "tests/web_server.py", "tests/hub/foreign_image.py",
    "tests/hub/docker_stacks",
)  # fmt: skip
_PROVIDER = ("tests/hub/provider.py", "tests/hub/authority.py", "tests/nanoidp.py")
_IMAGES = "tests/hub/test_images.py"
_HOMES = "tests/hub/test_homes.py"
_ROLLBACK = "tests/hub/test_rollback.py"
_ROLLED_BACK = (
    *_DEPLOYMENT, _ROLLBACK, "tests/hub/test_replacement.py", "tests/hub/killing.py", "tests/hub/volumes.py", "tests/archive.py",
)  # fmt: skip
_REHEARSAL = "tests/hub/test_rehearsal.py"
_UP = "tests/engine/test_up.py"
_KILLED = "tests/hub/test_killed.py"
_KILLED_THERE = (*_DEPLOYMENT, _KILLED, "tests/hub/killing.py", "tests/hub/volumes.py", "tests/archive.py")
_CANARIES = "tests/hub/test_canaries.py"
_SEARCH = "tests/unit/settings/test_settings_search.py"
_SEARCH_HALF = f"{_SEARCH}::test_ten_thousand_inputs_are_refused_with_their_keys_or_agree_everywhere[{{}}]"
# The hub's own modules run on what was written, on no image.
_SEARCHED = (
    *_LIBRARY, "jupyterhub/*.py", "guard", "filter", "clock", "backup", "requirements-dev.lock", "tests/agreement",
    "tests/search", "tests/reports.py", "tests/conftest.py", _SEARCH,
)  # fmt: skip
# The unit suite passes there if it passes here and finds its programs; what installs them is develop/testing.py.
_BARE = (
    "invoke", "hubdeploy", "tasks.py", "requirements.lock", "jupyterhub", "guard", "filter", "clock", "backup", "crowd", "proxy",
    "anaconda3", "base-notebook", "tests/bare", "tests/nested.py", "tests/ports.py", "tests/hub/person.py",
    "tests/hub/remote_story.py", "tests/hub/waiting.py",
)  # fmt: skip
_BARE_TEST = "tests/bare/test_bare_machine.py::test_{}"

GROUPS = (
    Group("matrix-1", tuple(_MATRIX_ROW.format(row) for row in ("01", "06", "07", "08")), _MATRIX, 8),
    Group("matrix-2", tuple(_MATRIX_ROW.format(row) for row in ("09", "10", "11", "12")), _MATRIX, 8),
    Group("bases", ("tests/hub/test_bases.py",), (*_DEPLOYMENT, "tests/hub/test_bases.py", "tests/hub/wheels.py"), 6),
    Group(
        "homes",
        (f"{_HOMES}::test_nothing_in_a_home_keeps_its_user_out",
         f"{_HOMES}::test_an_extension_of_the_users_own_does_not_keep_them_out"),
        (*_DEPLOYMENT, _HOMES, "tests/hub/wheels.py", "tests/hub/window.py", "tests/hub/browser.py"),
        8,
    ),
    Group(
        "foreign-homes",
        ("tests/hub/test_foreign_homes.py",),
        (*_DEPLOYMENT, "tests/hub/test_foreign_homes.py", "tests/hub/foreign_image.py", "tests/hub/docker_stacks", _HOMES,
         "tests/hub/wheels.py", "tests/hub/window.py", "tests/hub/browser.py"),
        6,
    ),
    Group(
        "minimal-notebook",
        (f"{_IMAGES}::test_notebook_becomes_a_pdf", f"{_IMAGES}::test_minimal_notebook_has_its_tools"),
        (
            "hubdeploy/blueprint", "hubdeploy/family.py", "hubdeploy/engine", "anaconda3", "base-notebook",
            "minimal-notebook", "requirements-dev.lock", "tests/archive.py", "tests/hub/conftest.py", "tests/hub/clone.py",
            _IMAGES,
        ),
        8,
    ),
    Group(
        "remote-engine",
        ("tests/hub/test_remote_engine.py",),
        (*_DEPLOYMENT, "tests/hub/test_remote_engine.py", "tests/hub/remote.py", "tests/hub/remote_story.py",
         "tests/hub/walls.py"),
        8,
    ),
    Group(
        "authority",
        ("tests/hub/test_authority.py",),
        (*_DEPLOYMENT, "tests/hub/test_authority.py", "tests/hub/authority.py", "tests/hub/pebble.py"),
        6,
    ),
    Group(
        "oidc",
        ("tests/hub/test_oidc.py",),
        (*_DEPLOYMENT, "tests/hub/test_oidc.py", *_PROVIDER),
        6,
    ),
    Group(
        "public",
        ("tests/hub/test_public.py",),
        (*_DEPLOYMENT, *_PROVIDER, "tests/hub/test_public.py", "tests/hub/pebble.py", "tests/hub/browser.py",
         "tests/hub/window.py"),
        8,
    ),
    Group(
        "outside",
        ("tests/hub/test_outside.py",),
        (*_DEPLOYMENT, "tests/hub/test_outside.py", "tests/hub/outside.py", "tests/hub/walls.py", "tests/hub/authority.py",
         "tests/hub/github_standin.py", "tests/web_server.py", "tests/documents.py", "docs/going-public.md"),
        6,
    ),
    Group(
        "accounts",
        ("tests/hub/test_own_accounts.py",),
        (*_DEPLOYMENT, "tests/hub/test_own_accounts.py", "tests/hub/window.py", "tests/hub/browser.py"),
        6,
    ),
    Group(
        "upgrade",
        ("tests/hub/test_upgrade.py",),
        (*_DEPLOYMENT, "tests/hub/test_upgrade.py", "tests/hub/test_replacement.py", _HOMES, "tests/hub/wheels.py",
         "tests/hub/window.py"),
        6,
    ),
    Group(
        "broken-hubs",
        (f"{_ROLLBACK}::test_a_broken_hub_is_found_before_it_replaces_anything",
         f"{_ROLLBACK}::test_a_hub_without_room_for_its_data_is_found_before_it_replaces_anything"),
        _ROLLED_BACK,
        8,
    ),
    Group(
        "hubs-that-go-back",
        (f"{_ROLLBACK}::test_a_hub_that_breaks_in_its_place_goes_back_and_nobody_notices",
         f"{_ROLLBACK}::test_a_hub_that_breaks_after_up_has_ended_goes_back_by_itself"),
        _ROLLED_BACK,
        8,
    ),
    Group(
        "rollback",
        (f"{_ROLLBACK}::test_by_hand_the_hub_goes_back_with_its_database_and_forward_again",
         f"{_ROLLBACK}::test_an_upgrade_and_a_rollback_that_are_killed_between_two_steps_are_completed_by_the_next"),
        _ROLLED_BACK,
        8,
    ),
    Group(
        "forget",
        ("tests/hub/test_forget.py::test_killed_at_each_step_it_comes_to_the_same_end_and_no_file_is_lost",),
        (*_DEPLOYMENT, "tests/hub/test_forget.py", "tests/hub/killing.py", "tests/hub/volumes.py", "tests/archive.py",
         "tests/terminal.py"),
        6,
    ),
    Group(
        "killed-up",
        (f"{_UP}::test_killed_after_any_step_and_run_again_ends_the_same",
         f"{_UP}::test_killed_while_the_hub_is_replaced_and_run_again_ends_the_same"),
        (*_LIBRARY, "requirements-dev.lock", _UP, "tests/engine/conftest.py", "tests/engine/project.py", "tests/ports.py"),
        8,
    ),
    Group(
        "killed-backup",
        (f"{_KILLED}::test_a_backup_that_is_killed_anywhere_is_whole_when_it_is_run_again",),
        _KILLED_THERE,
        8,
    ),
    Group(
        "killed-drill",
        (f"{_KILLED}::test_a_drill_that_is_killed_leaves_nothing_after_the_next_or_after_clean",),
        _KILLED_THERE,
        8,
    ),
    Group(
        "killed-restore",
        (f"{_KILLED}::test_a_restoration_that_is_killed_anywhere_has_the_same_end_when_it_is_run_again",),
        _KILLED_THERE,
        8,
    ),
    Group(
        "operating",
        ("tests/hub/test_operating.py",),
        (*_DEPLOYMENT, "tests/hub/test_operating.py", "tests/hub/following.py", "tests/documents.py", "tests/terminal.py",
         "docs/operating.md"),
        8,
    ),
    Group(
        "pages",
        ("tests/hub/test_guides.py",),
        (*_DEPLOYMENT, "tests/hub/test_guides.py", "tests/hub/following.py", "tests/documents.py", "tests/terminal.py",
         "docs/lab.md", "docs/teaching.md"),
        8,
    ),
    Group(
        "builders",
        ("tests/engine/test_builders.py", "tests/hub/test_builders.py"),
        (
            "hubdeploy/engine", "hubdeploy/blueprint", "hubdeploy/contract", "hubdeploy/family.py", "hubdeploy/errors.py",
            "jupyterhub", "guard", "filter", "clock", "backup", "crowd", "proxy", "requirements-dev.lock",
            "tests/buildx.py", "tests/nested.py", "tests/ports.py", "tests/engine/test_builders.py", "tests/engine/project.py",
            "tests/engine/conftest.py", "tests/hub/test_builders.py", "tests/hub/image_contents.py",
            "tests/hub/conftest.py", "tests/hub/clone.py",
        ),
        8,
    ),
    Group(
        "restore",
        ("tests/hub/test_restore.py",),
        (*_DEPLOYMENT, "tests/hub/test_restore.py", "tests/hub/killing.py", "tests/hub/volumes.py", "tests/archive.py",
         "tests/hub/sftp.py", "tests/hub/remote.py", "tests/hub/remote_story.py"),
        8,
    ),
    Group(
        "full-disk",
        ("tests/hub/test_full_disk.py",),
        (*_DEPLOYMENT, "tests/hub/test_full_disk.py", "tests/hub/remote.py", "tests/hub/remote_story.py"),
        8,
    ),
    Group(
        "idle",
        ("tests/hub/test_idle.py",),
        (*_DEPLOYMENT, "tests/hub/test_idle.py", "tests/hub/browser.py", "tests/hub/window.py",
         "tests/hub/foreign_image.py", "tests/hub/docker_stacks"),
        8,
    ),
    Group(
        "folders",
        ("tests/hub/test_folders.py",),
        (*_DEPLOYMENT, "tests/hub/test_folders.py", "tests/hub/volumes.py", "tests/hub/browser.py", "tests/hub/window.py"),
        5,
    ),
    Group(
        "networks",
        ("tests/hub/test_networks.py",),
        (*_DEPLOYMENT, "tests/hub/test_networks.py", "tests/hub/walls.py"),
        6,
    ),
    Group(
        "kinds",
        ("tests/hub/test_kinds.py",),
        (
            *_DEPLOYMENT, "tests/hub/test_kinds.py", "tests/hub/browser.py", "tests/hub/window.py",
            "tests/hub/foreign_image.py", "tests/hub/docker_stacks",
        ),
        8,
    ),
    Group(
        "gpus",
        ("tests/hub/test_gpus.py",),
        (*_DEPLOYMENT, "tests/hub/test_gpus.py", "tests/hub/browser.py", "tests/hub/window.py"),
        5,
    ),
    Group(
        "server-secrets",
        (
            *(f"{_CANARIES}::test_{test}[kinds]" for test in (
                "no_secret_is_printed", "a_changed_secret_is_planned_without_being_shown",
                "no_secret_is_in_what_the_engine_shows", "no_secret_is_in_a_build_context",
                "every_secret_is_in_the_files_meant_for_it_and_in_no_other",
                "files_that_hold_secrets_are_closed_to_others",
                "a_secret_of_servers_is_with_its_kind_and_in_one_volume",
            )),
        ),
        (*_DEPLOYMENT, _CANARIES),
        5,
    ),
    Group(
        "admins",
        ("tests/hub/test_admins.py",),
        (*_DEPLOYMENT, "tests/hub/test_admins.py", "tests/hub/browser.py", "tests/hub/window.py"),
        5,
    ),
    Group(
        "courses",
        ("tests/hub/test_courses.py",),
        (*_DEPLOYMENT, "tests/hub/test_courses.py", "tests/git_server.py", "tests/web_server.py", "tests/hub/authority.py",
         "tests/hub/browser.py",
         "tests/hub/window.py"),
        8,
    ),
    Group("night", ("tests/hub/test_night.py",), (*_DEPLOYMENT, "tests/hub/test_night.py"), 8),
    Group(
        "seats",
        ("tests/hub/test_seats.py",),
        (*_DEPLOYMENT, "tests/hub/test_seats.py", "tests/hub/browser.py", "tests/hub/window.py"),
        5,
    ),
    Group(
        "classes",
        ("tests/hub/test_classes.py",),
        (*_DEPLOYMENT, "tests/hub/test_classes.py", "tests/hub/window.py", "tests/hub/browser.py"),
        6,
    ),
    Group(
        "rehearsal",
        tuple(
            f"{_REHEARSAL}::test_{test}"
            for test in (
                "people_work_through_the_published_port_and_leave_nothing",
                "a_rehearsal_whose_operator_is_killed_ends_by_itself",
                "a_rehearsal_whose_helper_is_killed_leaves_nothing", "ctrl_c_ends_it_in_peace",
                "while_it_lasts_nobody_else_can_be_one_of_them",
            )
        ),
        (*_DEPLOYMENT, _REHEARSAL, "tests/hub_modules.py", "tests/hub/window.py"),
        8,
    ),
    Group(
        "rehearsal-elsewhere",
        (f"{_REHEARSAL}::test_under_another_login_and_path_they_work_as_well",
         f"{_REHEARSAL}::test_the_simulated_ask_for_what_a_browser_asks_for"),
        (*_DEPLOYMENT, _REHEARSAL, "tests/hub_modules.py", "tests/hub/github_standin.py", "tests/web_server.py",
         "tests/hub/browser.py",
         "tests/hub/window.py"),
        8,
    ),
    Group(
        "returning",
        ("tests/unit/backup/test_returning.py",),
        ("backup", "hubdeploy/contract", "requirements-dev.lock", "tests/hub_modules.py", "tests/unit/backup/test_returning.py"),
        6,
    ),
    Group("search-1", (_SEARCH_HALF.format("one half"),), _SEARCHED, 8),
    Group("search-2", (_SEARCH_HALF.format("other half"),), _SEARCHED, 8),
    Group(
        "compose-syntax",
        ("tests/engine/test_compose_syntax.py",),
        (
            "hubdeploy/settings", "requirements-dev.lock", "tests/engine/test_compose_syntax.py", "tests/engine/conftest.py",
            "tests/search", "tests/nested.py", "tests/ports.py", "tests/reports.py",
        ),
        5,
    ),
    Group(
        "bare-up",
        tuple(
            _BARE_TEST.format(test)
            for test in (
                "the_first_command_ends_with_a_login_page_over_tls", "no_password_is_in_the_output_without_a_terminal",
                "the_same_command_again_changes_nothing", "a_listed_admin_lives_through_the_whole_story",
            )
        ),
        _BARE,
        8,
    ),
    Group(
        "bare-test",
        (_BARE_TEST.format("the_second_command_installs_what_is_missing_and_runs_the_unit_suite_and_a_story"),),
        (*_BARE, "requirements-dev.lock", "develop/testing.py", "tests/hub/test_story.py", "tests/hub/conftest.py",
         "tests/hub/browser.py", "tests/hub/window.py", "tests/hub/clone.py"),
        8,
    ),
)  # fmt: skip


def named(name: str) -> Group | None:
    """The group of that name; None if there is none."""
    return next((group for group in GROUPS if group.name == name), None)
