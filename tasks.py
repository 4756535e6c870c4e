"""The commands of this deployment: ./invoke --list shows them. Each prints what the operator gets; hubdeploy does the rest."""

import os

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import task


@task
def self_signed_cert(c: Context) -> None:
    """Make a new self-signed certificate."""
    from hubdeploy.commands import deployment, parts

    parts.self_signed_certificate(deployment.load())


@task
def network(c: Context) -> None:
    """Create the networks that are missing."""
    from hubdeploy.commands import deployment, parts

    parts.networks(deployment.load())


@task
def volumes(c: Context) -> None:
    """Create the volumes that are missing."""
    from hubdeploy.commands import deployment, parts

    parts.volumes(deployment.load())


@task(help={"fix": "write the fixed .env beside it, move its secrets to .env.local"})
def check_files(c: Context, fix: bool = False) -> None:
    """Check .env, userlist and certificate (--fix)."""
    from hubdeploy.commands import check_files, deployment

    if not (fix and check_files.fix_env(deployment.ROOT, os.environ)):
        check_files.check(deployment.load())


@task
def pull(c: Context) -> None:
    """Pull the images that are not built here."""
    from hubdeploy.commands import deployment, images

    images.pull(deployment.load())


@task
def notebook_image(c: Context) -> None:
    """Build or pull the images of users' servers."""
    from hubdeploy.commands import deployment, images

    images.notebook_image(deployment.load())


@task
def anaconda3_image(c: Context) -> None:
    """Build the image with the Python distribution."""
    from hubdeploy.commands import deployment, images

    images.build(deployment.load(), "anaconda3")


@task
def base_notebook_image(c: Context) -> None:
    """Build the image with JupyterLab."""
    from hubdeploy.commands import deployment, images

    images.build(deployment.load(), "base-notebook")


@task
def minimal_notebook_image(c: Context) -> None:
    """Build the image with editors, compiler, TeX."""
    from hubdeploy.commands import deployment, images

    images.build(deployment.load(), "minimal-notebook")


@task
def hub_image(c: Context) -> None:
    """Build the hub's image."""
    from hubdeploy.commands import deployment, images

    images.build(deployment.load(), "hub")


@task
def proxy_image(c: Context) -> None:
    """Build the proxy's image."""
    from hubdeploy.commands import deployment, images

    images.build(deployment.load(), "proxy")


@task(default=True)
def build(c: Context) -> None:
    """Build all images that this deployment runs."""
    from hubdeploy.commands import deployment, images

    images.build(deployment.load())


@task(
    help={
        "yes": "do not ask before running servers stop",
        "watch": "seconds to look at a new hub; 0: not at all",
        "canary": "whether a canary tries new images before a new hub comes",
    }
)
def up(c: Context, yes: bool = False, watch: int = 90, canary: bool = True) -> None:
    """Bring everything up as .env and userlist say."""
    from hubdeploy.commands import deployment, up

    up.up(deployment.load(), yes=yes, watch=watch, canary=canary)


@task(help={"yes": "do not ask before anything is removed"})
def prune(c: Context, yes: bool = False) -> None:
    """Remove images that nothing runs or goes back to."""
    from hubdeploy.commands import deployment, prune

    prune.prune(deployment.load(), yes=yes)


@task(
    help={
        "list": "print what the hub can go back to instead",
        "to": "the state of this id",
        "yes": "do not ask before logins are lost and servers stop",
    }
)
def rollback(c: Context, list: bool = False, to: str = "", yes: bool = False) -> None:
    """Bring the hub back as before an upgrade."""
    from hubdeploy.commands import deployment, rollback

    if list:
        rollback.show(deployment.load())
    else:
        rollback.rollback(deployment.load(), to=to, yes=yes)


@task
def plan(c: Context) -> None:
    """Show what up would do, why, and to whom."""
    from hubdeploy.commands import deployment, up

    up.show_plan(deployment.load())


@task(help={"servers": "stop users' servers as well", "yes": "do not ask before running servers stop"})
def down(c: Context, servers: bool = False, yes: bool = False) -> None:
    """Stop proxy and hub (--servers: servers too)."""
    from hubdeploy.commands import named

    named.load().down(servers=servers, yes=yes)


@task(
    help={
        "volumes": "remove users' data as well, after the name is typed back",
        "yes": "do not ask before servers stop",
    }
)
def clean(c: Context, volumes: bool = False, yes: bool = False) -> None:
    """Remove all but volumes (--volumes: all)."""
    from hubdeploy.commands import named

    named.load().clean(volumes=volumes, yes=yes)


@task(
    help={
        "explain": "say what the setting KEY means instead",
        "reference": "print docs/settings.md instead",
        "template": "print the .env of a fresh clone instead",
    }
)
def config(c: Context, explain: str = "", reference: bool = False, template: bool = False) -> None:
    """Print every setting and where it comes from."""
    from hubdeploy.commands import config, deployment

    if explain or reference or template:
        config.explain(explain, template=template)
    else:
        config.show(deployment.load().settings)


@task(help={"disk": "show what volumes take of the engine's disk as well"})
def status(c: Context, disk: bool = False) -> None:
    """Show containers, servers, images, certificate."""
    from hubdeploy.commands import named, status

    status.show(named.load(), disk=disk)


@task
def usage(c: Context) -> None:
    """Show what users, images and logs take of the disk."""
    from hubdeploy.commands import deployment, usage

    usage.show(deployment.load())


@task(
    help={
        "user": "the server of this user",
        "of": "the component: hub, proxy …",
        "proxy": "the same as --of proxy",
        "follow": "go on with what comes; --no-follow ends here",
        "tail": "how many lines to begin with",
    }
)
def logs(
    c: Context, user: str = "", of: str = "hub", proxy: bool = False, follow: bool = True, tail: str = "100"
) -> None:
    """Follow the hub's log (--of proxy, --user NAME)."""
    from hubdeploy.commands import logs, named

    logs.show(named.load(), user=user, component="proxy" if proxy else of, follow=follow, tail=tail)


@task(positional=["name"], help={"name": "this person alone; the word suffices: access ada"})
def access(c: Context, name: str) -> None:
    """Show who may log in, and why (access ada)."""
    from hubdeploy.commands import access, deployment

    access.show(deployment.load(), name)


@task
def users(c: Context) -> None:
    """Show everybody: last active, disk, let in by."""
    from hubdeploy.commands import deployment, users

    users.show(deployment.load())


@task(
    positional=["name"],
    help={"name": "the user; the word suffices: forget ada", "undo": "bring the files of a forgotten user back"},
)
def forget(c: Context, name: str, undo: bool = False) -> None:
    """Archive and remove all of a user (forget ada)."""
    from hubdeploy.commands import deployment, forget

    forget.forget(deployment.load(), name, undo=undo)


@task(help={"user": "this user alone", "days": "how many days back"})
def audit(c: Context, user: str = "", days: str = "7") -> None:
    """Print logins, failures and changes of users."""
    from hubdeploy.commands import access, deployment

    access.audit(deployment.load(), user=user, days=days)


@task(
    positional=["name"],
    help={
        "name": "the user; the word suffices: invite ada",
        "all": "write a link for each user without a password into this new file",
        "withdraw": "let the link be good no longer",
    },
)
def invite(c: Context, name: str, all: str = "", withdraw: bool = False) -> None:
    """Make a link to choose a password (--all FILE)."""
    from hubdeploy.commands import deployment, invite

    invite.invite(deployment.load(), name, all_to=all, withdraw=withdraw)


@task(help={"new": "begin another repository, as the one of earlier backups is lost"})
def backup(c: Context, new: bool = False) -> None:
    """Back up users' files and the hub's data."""
    from hubdeploy.commands import backup, deployment

    backup.take(deployment.load(), new=new)


@task
def backups(c: Context) -> None:
    """List the backups that are kept."""
    from hubdeploy.commands import backup, deployment

    backup.show(deployment.load())


@task(
    help={
        "user": "this user's files alone, beside the present ones",
        "path": "of these files this one, or this folder",
        "at": "the newest backup of a day or time, or an id from ./invoke backups",
        "of": "another deployment's backups, where several are in one repository",
        "replace": "put a user's files in place of the present ones, after the name is typed back",
    }
)
def restore(c: Context, user: str = "", path: str = "", at: str = "", of: str = "", replace: bool = False) -> None:
    """Bring all back, or one user's files (--user)."""
    from hubdeploy.commands import deployment, restore

    restore.restore(deployment.load(), user=user, path=path, at=at, of=of, replace=replace)


@task
def drill(c: Context) -> None:
    """Prove that the newest backup makes a hub."""
    from hubdeploy.commands import deployment, drill

    drill.drill(deployment.load())


@task(
    name="class",
    positional=["what", "who", "folder"],
    help={
        "what": "rehearse, prepare or close; the word suffices: class rehearse",
        "who": "a group with its @, or a user; the word suffices: class prepare @physics",
        "folder": "what close collects of each; the word suffices: class close @physics homework",
        "users": "rehearse: how many simulated people",
        "over": "rehearse: seconds within which all have arrived; 0: at the same time",
        "minutes": "rehearse: how long each works",
        "think": "rehearse: seconds between two cells, on average",
        "at": "prepare: when servers start, such as 08:50; without it now",
        "withdraw": "prepare: take the start back",
        "most": "close: MB that the folder of one person may have",
        "yes": "do not ask although users are at work",
    },
)
def class_(
    c: Context,
    what: str,
    who: str,
    folder: str,
    users: str = "40",
    over: str = "60",
    minutes: str = "5",
    think: str = "10",
    at: str = "",
    withdraw: bool = False,
    most: str = "100",
    yes: bool = False,
) -> None:
    """Rehearse, prepare or close a class."""
    from hubdeploy.commands import classes, deployment, rehearsal

    asked = rehearsal.Asked.read(users, over, minutes, think)
    words = classes.Words(what, who, folder)
    classes.of_class(deployment.load, words, asked, at=at, withdraw=withdraw, most=most, yes=yes)


@task
def setup(c: Context) -> None:
    """Make this machine ready: engine, base image."""
    from hubdeploy.commands import deployment
    from hubdeploy.machine import setup

    setup.prepare(deployment.ROOT, os.environ)


namespace = Collection(
    self_signed_cert, network, volumes, check_files, pull, notebook_image, anaconda3_image, base_notebook_image,
    minimal_notebook_image, hub_image, proxy_image, build, up, plan, down, clean, config, status, usage, logs, access,
    users, forget, audit, invite, backup, backups, restore, drill, rollback, prune, class_, setup,
)  # fmt: skip
