"""`rllib example`: the files of the `tuned_configs` package, found also after a plain pip install."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Iterator
from importlib.resources import as_file, files
from importlib.resources.abc import Traversable

from rllib_metagrad.cli.errors import BadInputError
from rllib_metagrad.cli.options import TrainOptions
from rllib_metagrad.settings import nearest

__all__ = ["examples", "find_example", "get_example", "list_examples", "run_example"]


def examples_root() -> Traversable:
    """The folder of the shipped experiments."""
    return files("tuned_configs")


def _walk(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, Traversable]]:
    for item in folder.iterdir():
        if item.is_dir():
            yield from _walk(item, f"{prefix}{item.name}/")
        elif item.name.endswith((".yaml", ".py")) and item.name != "__init__.py":
            yield prefix + item.name.rsplit(".", 1)[0], item


def examples() -> dict[str, Traversable]:
    """Name (`escape_room/metagrad_5_2`) -> file, sorted by name."""
    return dict(sorted(_walk(examples_root())))


def find_example(name: str) -> Traversable:
    """The file of an example; its suffix may be given.

    Raises:
        BadInputError: an unknown name, with the nearest one.
    """
    known = examples()
    name = name.removesuffix(".yaml").removesuffix(".py")
    if name in known:
        return known[name]
    ends = [full for full in known if full.endswith("/" + name)]
    hint = f"; did you mean {ends[0]!r}?" if ends else nearest(name, known)
    raise BadInputError(f"example: unknown name {name!r}{hint or '; see: rllib example list'}")


def _title(item: Traversable) -> str:
    """The first comment line of an example says what it is."""
    for line in item.read_text(encoding="utf-8").splitlines():
        if line.startswith("#") and line.strip("# "):
            return line.strip("# ")
        if line and not line.startswith("#"):
            break
    return ""


def list_examples(contains: str = "") -> None:
    """Print names and what they are."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=False)
    found = {name: item for name, item in examples().items() if contains in name}
    # Names are for typing: they are never cut, however narrow the terminal.
    table.add_column(no_wrap=True, min_width=max(map(len, found), default=0))
    table.add_column(overflow="ellipsis", no_wrap=True)
    if contains and not found:
        raise BadInputError(f"example list: no name contains {contains!r}{nearest(contains, examples())}")
    for name, item in found.items():
        table.add_row(name, _title(item))
    Console().print(table)


def get_example(name: str, out: str | None = None) -> None:
    """Print an example, or copy it to `out` (which must not exist)."""
    text = find_example(name).read_text(encoding="utf-8")
    if out is None:
        print(text, end="")
        return
    target = pathlib.Path(out)
    if target.is_dir():
        target = target / find_example(name).name
    if target.exists():
        raise BadInputError(f"--out {target}: exists already; give another name")
    try:
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInputError(f"--out {target}: {error.strerror}") from error
    print(target)


def run_example(name: str, options: TrainOptions) -> None:
    """Train an example."""
    from rllib_metagrad.cli.train import train

    with contextlib.ExitStack() as stack:
        train(options, str(stack.enter_context(as_file(find_example(name)))))
