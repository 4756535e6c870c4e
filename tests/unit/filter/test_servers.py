"""What a user's server is to the engine."""

from __future__ import annotations

import re
from typing import Any

import pytest
from dockerspawner import DockerSpawner
from hypothesis import given
from hypothesis import strategies as st
from jupyterhub.auth import Authenticator

from hubdeploy.contract import labels, mac_addresses, servers
from hubdeploy.settings import userlist
from tests.unit.hub.hub_image import contract

DROPPED_TO = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETUID", "SETGID", "KILL", "AUDIT_WRITE"]


def created(user: str, *, home_is_new: bool = False, **changes: Any) -> dict[str, Any]:
    """What the engine is asked for; `changes` are fields of the kind with other values."""
    wish = servers.Wish(user, {"JUPYTERHUB_API_TOKEN": "own"}, home_is_new=home_is_new)
    return servers.creation(contract(**changes).servers, wish, mac_in_endpoint=False)


def environment(options: dict[str, Any]) -> dict[str, str]:
    return dict(line.split("=", 1) for line in options["Env"])


def test_a_server_of_ours_has_no_capability_and_can_get_none() -> None:
    options = created("ann")
    host = options["HostConfig"]
    assert options["User"] == "1000"
    assert (host["CapDrop"], host["CapAdd"], host["SecurityOpt"]) == (["ALL"], [], ["no-new-privileges"])
    assert environment(options) == {
        "JUPYTERHUB_API_TOKEN": "own",
        "JUPYTER_RUNTIME_DIR": "/run/notebook/runtime",
        "TZ": "Etc/UTC",
    }


@pytest.mark.parametrize(("user", "kind"), [("bob", {}), ("ann", {"grant_sudo": True})])
def test_a_server_with_sudo_starts_as_root_with_the_capabilities_to_drop_to_the_user(
    user: str, kind: dict[str, Any]
) -> None:
    options = created(user, **kind)
    host = options["HostConfig"]
    assert options["User"] == "0"
    assert environment(options)["GRANT_SUDO"] == "yes"
    assert (host["CapDrop"], host["CapAdd"], host["SecurityOpt"]) == (["ALL"], DROPPED_TO, [])


def test_a_foreign_image_gets_the_user_to_drop_to() -> None:
    options = created("ann", ours=False, nb_uid=1234)
    found, host = environment(options), options["HostConfig"]
    assert options["User"] == "0"
    assert (found["NB_USER"], found["NB_UID"]) == ("cryptic", "1234")
    assert (found["CHOWN_HOME"], found["CHOWN_EXTRA"]) == ("yes", "/home/cryptic/work")
    assert "GRANT_SUDO" not in found
    assert (host["CapAdd"], host["SecurityOpt"]) == (DROPPED_TO, ["no-new-privileges"])


def test_a_foreign_image_gives_the_user_every_folder_below_the_home() -> None:
    """Found by the matrix: the engine makes /home/cryptic/lab, where the user could not write then."""
    options = created("ann", ours=False, notebook_dir="/home/cryptic/lab/notebooks")
    assert environment(options)["CHOWN_EXTRA"] == "/home/cryptic/lab,/home/cryptic/lab/notebooks"


@pytest.mark.parametrize(("new", "options"), [(True, "--recursive --no-dereference"), (False, "--no-dereference")])
def test_a_foreign_image_gives_the_user_all_that_it_put_into_a_new_home(new: bool, options: str) -> None:
    assert environment(created("ann", home_is_new=new, ours=False))["CHOWN_HOME_OPTS"] == options


@pytest.mark.parametrize("ours", [True, False])
def test_a_server_begins_in_the_notebook_directory(ours: bool) -> None:
    """Found by the matrix: in a foreign image a kernel without a path started in the image's own folder."""
    options = created("ann", ours=ours, notebook_dir="/home/cryptic/notebooks")
    assert options["WorkingDir"] == "/home/cryptic/notebooks"


@pytest.mark.parametrize("name", ["octo-", "_build", "bob@example.org", "müller", "日本", "ü" * 32])
def test_a_name_of_the_list_is_the_hubs_and_gives_names_that_the_engine_takes(name: str) -> None:
    assert [user.name for user in userlist.parse(name, source="userlist")[0]] == [name]
    login = Authenticator()
    assert login.validate_username(name)
    assert login.normalize_username(name.upper()) == name
    options = created(name)
    names = [servers.filled("lab-user-{username}", name), options["HostConfig"]["Mounts"][0]["Source"]]
    # As the engine checks them; a volume is a folder too.
    assert all(re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", one) and len(one) < 256 for one in names)
    assert all(map(servers.is_name, names))
    assert options["Labels"][labels.USER] == name


def test_limits_reach_the_engine() -> None:
    host = created("ann")["HostConfig"]
    assert (host["Memory"], host["MemorySwap"], host["PidsLimit"]) == (2**30, 2**30, 4096)
    assert host["CpuQuota"] / host["CpuPeriod"] == 1.5


def test_a_log_has_bounds_whatever_the_engines_default_is() -> None:
    log = created("ann")["HostConfig"]["LogConfig"]
    assert log == {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}}


def test_shared_memory_is_as_large_as_the_memory_limit() -> None:
    assert created("ann", memory_limit=3 * 2**30)["HostConfig"]["ShmSize"] == 3 * 2**30


def test_no_cpu_limit_is_no_cpu_limit() -> None:
    assert "CpuQuota" not in created("ann", cpu_limit=None)["HostConfig"]


def test_container_and_volume_have_the_deployments_name_and_labels() -> None:
    options = created("ann.lee")
    home, work, _ = options["HostConfig"]["Mounts"]
    assert work["Source"] == "lab-user-ann-2elee"
    assert home["Source"] == "lab-home-ann-2elee"
    assert (home["Target"], work["Target"]) == ("/home/cryptic", "/home/cryptic/work")
    own = {"hubdeploy.deployment": "lab", "hubdeploy.role": "volume", "hubdeploy.uid": "1000"}
    assert home["VolumeOptions"]["Labels"] == work["VolumeOptions"]["Labels"] == own
    assert options["Labels"] == {
        "hubdeploy.deployment": "lab",
        "hubdeploy.role": "server",
        "hubdeploy.fingerprint": contract().kinds[0].fingerprint,
        "hubdeploy.path": "/",
        "hubdeploy.user": "ann.lee",
        "hubdeploy.sudo": "no",
        "hubdeploy.kind": "default",
    }


def test_when_a_server_is_stopped_is_no_part_of_what_it_is_made_from() -> None:
    fingerprint = contract().kinds[0].fingerprint
    assert contract(idle_timeout=60, max_age=60).kinds[0].fingerprint == fingerprint
    assert contract(kernel_idle_timeout=60).kinds[0].fingerprint != fingerprint
    assert "NOTEBOOK_KERNEL_IDLE_TIMEOUT=60" in created("ann", kernel_idle_timeout=60)["Env"]


def test_a_server_learns_where_course_material_may_come_from() -> None:
    repositories = ("https://github.com/physics/*", "https://git.example.org/maths/algebra")
    environment = created("ann", course_repositories=repositories)["Env"]
    assert f"NOTEBOOK_COURSE_REPOSITORIES={' '.join(repositories)}" in environment
    assert not [one for one in created("ann")["Env"] if "COURSE" in one]


@pytest.mark.parametrize("lasts", [True, False])
def test_a_server_without_root_can_write_to_its_home_and_tmp_alone(lasts: bool) -> None:
    home, work = contract().kinds[0].volumes
    host = created("ann", volumes=(home, work) if lasts else (work,))["HostConfig"]
    assert host["ReadonlyRootfs"]
    passing = {mount["Target"] for mount in host["Mounts"] if "Source" not in mount}
    assert passing == ({"/tmp"} if lasts else {"/tmp", home.target})
    assert {mount["Target"] for mount in host["Mounts"]} == {"/tmp", home.target, work.target}
    assert not created("bob")["HostConfig"]["ReadonlyRootfs"]


def test_no_path_of_the_host_is_mounted() -> None:
    host = created("ann")["HostConfig"]
    assert "Binds" not in host
    assert {mount["Type"] for mount in host["Mounts"]} == {"volume"}


@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_a_name_is_escaped_as_dockerspawner_does(name: str) -> None:
    printable = "".join(one for one in name if one.isprintable())
    assert servers.escaped(printable) == DockerSpawner._escape(printable)


@given(st.text(max_size=5), st.text(max_size=5))
def test_no_two_names_are_escaped_to_one(one: str, other: str) -> None:
    assert one == other or servers.escaped(one) != servers.escaped(other)


def test_the_kernel_ends_a_server_before_a_component() -> None:
    assert created("ann")["HostConfig"]["OomScoreAdj"] > 0


def test_a_user_name_is_not_a_template() -> None:
    assert created("{raw_username}")["Labels"]["hubdeploy.user"] == "{raw_username}"


def test_a_server_in_a_network_of_others_has_an_address_by_which_the_guard_knows_it() -> None:
    marked = created("ann", marks_servers=True)["MacAddress"]
    assert re.fullmatch("06:68(:[0-9a-f]{2}){4}", marked)
    assert marked != created("bob", marks_servers=True)["MacAddress"]
    assert "MacAddress" not in created("ann")


def test_a_newer_engine_gets_the_address_with_the_network() -> None:
    made_from = contract(marks_servers=True).servers
    body = servers.creation(made_from, servers.Wish("ann", {}), mac_in_endpoint=True)
    address = servers.mac_address("lab-user-ann")
    assert body["NetworkingConfig"] == {"EndpointsConfig": {"lab-network": {"MacAddress": address}}}
    assert "MacAddress" not in body


DATABASES, LABS = ("10.1.2.0/24", "db.example.org:5432"), ("10.1.3.0/24",)


def shared_part(address: str) -> str:
    """What servers with the same networks have in common."""
    mask, number = (int(one.replace(":", ""), 16) for one in (mac_addresses.MASK, address))
    return (mask & number).to_bytes(6).hex(":")


def test_the_address_of_a_server_follows_from_the_networks_of_its_kind_and_from_nothing_else_of_it() -> None:
    ann, bob = (created(name, networks=DATABASES) for name in ("ann", "bob"))
    assert ann["MacAddress"] != bob["MacAddress"]
    assert shared_part(ann["MacAddress"]) == shared_part(bob["MacAddress"]) == mac_addresses.of_networks(DATABASES)
    assert ann["Labels"][labels.NETWORKS] == mac_addresses.of_networks(DATABASES)
    other = created("ann", networks=DATABASES[::-1], name="another", marks_servers=True)
    assert other["MacAddress"] == ann["MacAddress"]
    for fewer in (DATABASES[:1], LABS):
        assert shared_part(created("ann", networks=fewer)["MacAddress"]) == mac_addresses.of_networks(fewer)
    assert len({mac_addresses.of_networks(one) for one in (DATABASES, DATABASES[:1], LABS)}) == 3
    assert labels.NETWORKS not in created("ann")["Labels"]


def test_no_server_of_a_kind_without_networks_has_an_address_of_one_with_them() -> None:
    """Those of earlier versions neither: in a network of others they may have any number behind the same beginning."""
    begin = mac_addresses.of_networks(DATABASES)[:5]
    assert (begin, created("ann", marks_servers=True)["MacAddress"][:5]) == (mac_addresses.NETWORKS_MAC, "06:68")


def test_files_of_a_simulated_person_go_with_the_server() -> None:
    """As volumes without a name, which no list of users' volumes has: nothing is left for a backup, or for the next rehearsal."""
    real, simulated = (created(name)["HostConfig"]["Mounts"] for name in ("ann", "rehearsal001."))
    assert [one["Target"] for one in simulated] == [one["Target"] for one in real]
    assert [one.get("Source") for one in simulated] == [None] * 3
    own = {"hubdeploy.deployment": "lab", "hubdeploy.role": "scratch"}
    assert all(one["VolumeOptions"]["Labels"] == own for one in simulated)


def test_a_simulated_person_has_room_as_everybody() -> None:
    made_from, wish = contract(disk_limit=10**9).servers, servers.Wish("rehearsal001.", {})
    mounts = servers.creation(made_from, wish, mac_in_endpoint=False, quota=True)["HostConfig"]["Mounts"]
    assert [one["VolumeOptions"].get("DriverConfig", {}).get("Options") for one in mounts] == [
        {"size": "1000000000"}
    ] * 2 + [None]
