"""The user's own code: families, data sources, metrics, whole LightningModules and data modules."""

import hashlib
import importlib
import importlib.metadata
import importlib.util
import inspect
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from lightning_modules.data.config import SOURCES, Source, SourceConfig
from lightning_modules.errors import HpoError, PluginError
from lightning_modules.families import FAMILIES, Family
from lightning_modules.registry import NameTakenError, Registry
from lightning_modules.signature import arguments_of, config_of
from lightning_modules.task import KINDS, METRICS, Direction, Metric

T = TypeVar("T", bound=Callable[..., Any])
GROUP = "hpo.plugins"


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """A plugin that was loaded: as it was named, and the hash of its file."""

    name: str
    sha256: str | None
    installed: bool
    """Whether it came with an installed package, and is there without being named."""


_loaded: dict[str, Plugin] = {}


def family(name: str, *, takes: Sequence[str] = ("features", "image")) -> Callable[[T], T]:
    """Register a network: ``build(input_shape, n_outputs, *, your, arguments) -> nn.Module``.

    Args:
        name: what ``model.family`` says.
        takes: which of ``features`` (rows, features), ``image`` (rows, channels, height, width),
            ``sequence`` (rows, steps, channels) and ``text`` (rows, steps) of token numbers. With
            one of the last two, arguments ``n_tokens`` and ``padded`` of ``build`` are facts of the
            data, as in `DataFacts`, and no settings.
    """
    told = () if {"sequence", "text"}.isdisjoint(takes) else ("n_tokens", "padded")

    def add(build: T) -> T:
        known = [fact for fact in told if fact in inspect.signature(build).parameters]
        own = _without_shapes(build, known)
        config = config_of(own, tag="family", name=name)

        def builder(
            settings: Any, input_shape: tuple[int, ...], n_outputs: int, **facts: Any
        ) -> Any:
            given = {fact: facts[fact] for fact in known}
            values = arguments_of(own, settings, tag="family")
            return build(input_shape, n_outputs, **given, **values)

        _file(FAMILIES, name, Family(config=config, builder=builder, takes=tuple(takes)))
        return build

    return add


def lightning_module(name: str) -> Callable[[T], T]:
    """Register a whole LightningModule; its ``__init__`` arguments become its settings."""

    def add(module: T) -> T:
        config = config_of(module, tag="family", name=name)

        def builder(settings: Any) -> Any:
            return module(**arguments_of(module, settings, tag="family"))

        _file(FAMILIES, name, Family(config=config, builder=builder, whole=True), module)
        return module

    return add


def data_module(name: str) -> Callable[[T], T]:
    """Register a LightningDataModule; its ``__init__`` arguments become its settings."""

    def add(module: T) -> T:
        config = config_of(module, tag="source", name=name)

        def make(settings: Any) -> Any:
            return module(**arguments_of(module, settings, tag="source"))

        _file(SOURCES, name, Source(config=config, datamodule=make), module)
        return module

    return add


def source(name: str) -> Callable[[T], T]:
    """Register a data source: ``load(*, your, arguments)`` returns ``(x, y)``, or a `RawData`.

    Of a pair, x and y are what `give_arrays` takes: arrays, tensors, frames or lists. Splits and
    preparation (``validation``, ``test``, ``prepare``) are ours.
    """

    def add(load: T) -> T:
        config = config_of(load, tag="source", name=name, base=SourceConfig)

        def loader(settings: Any) -> Any:
            from lightning_modules.data.arrays import rows_of  # brings pandas

            where = f"data source {name!r}"
            with blamed(where):
                found = load(**arguments_of(load, settings, tag="source"))
            return rows_of(found, where)

        _file(SOURCES, name, Source(config=config, loader=loader))
        return load

    return add


def metric(name: str, *, direction: Direction, kinds: Sequence[str] = KINDS) -> Callable[[T], T]:
    """Register a metric: ``compute(outputs, targets) -> float``, shapes as in `Metric`."""

    def add(compute: T) -> T:
        entry = Metric(
            direction=direction, kinds=tuple(kinds), compute=compute, each_validation=True
        )
        _file(METRICS, name, entry)
        return compute

    return add


def load_plugin(name: str, *, installed: bool = False) -> Plugin:
    """Import a plugin, a file or an importable module, and register what it defines.

    LightningModules and LightningDataModules that are defined in it and not registered by it
    are registered under their class names.

    Args:
        name: the file, or the module.
        installed: whether an installed package brought it.

    Raises:
        PluginError: if there is no such file or module, its import fails, or a name is taken.
    """
    path = Path(name)
    is_file = path.suffix == ".py" or path.is_file()
    key = str(path.resolve()) if is_file else name
    if key in _loaded:
        return _loaded[key]
    try:
        module = _import_file(path) if is_file else importlib.import_module(name)
        _register_classes(module)
    except PluginError:
        raise
    except ModuleNotFoundError as error:
        if error.name == name.partition(".")[0] and not is_file:
            raise PluginError(name, "no such file or module", "a path ends in .py") from None
        raise PluginError(_place(error, name), f"no module {error.name!r}", "install it") from None
    except NameTakenError as error:
        raise PluginError(name, error.what, error.hint) from None
    except Exception as error:  # noqa: BLE001  (a plugin's import may raise anything)
        what = f"{type(error).__name__}: {error}".splitlines()[0]
        raise PluginError(_place(error, name), what, "the plugin must import on its own") from None
    file = getattr(module, "__file__", None)
    digest = hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else None
    _loaded[key] = Plugin(name=name, sha256=digest, installed=installed)
    return _loaded[key]


@contextmanager
def blamed(where: str) -> Iterator[None]:
    """Say of whatever the user's own code raises that it is theirs, and in which line.

    Raises:
        PluginError: in place of anything that is none of our errors, and no lack of memory.
    """
    try:
        yield
    except (HpoError, MemoryError):
        raise
    except Exception as error:
        libraries = {sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")}
        foreign = (*libraries, str(Path(__file__).parent))
        frames = traceback.extract_tb(error.__traceback__)
        last = [one for one in frames if not one.filename.startswith(foreign)] or frames
        place = f"{where} ({Path(last[-1].filename).name}:{last[-1].lineno})"
        what = f"{type(error).__name__}: {error}".splitlines()[0]
        raise PluginError(place, what, "correct it, or its settings") from error


def load_entry_points() -> list[Plugin]:
    """Load the plugins of installed packages (entry-point group ``hpo.plugins``)."""
    entries = importlib.metadata.entry_points(group=GROUP)
    return [load_plugin(entry.value, installed=True) for entry in entries]


def loaded_plugins() -> list[Plugin]:
    """Return the plugins that were loaded, in order."""
    return list(_loaded.values())


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise PluginError(str(path), "no such plugin file", "check the path")
    place = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]
    name = f"hpo_plugin_{path.stem}_{place}"  # two files may bear the same name
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginError(str(path), "is no Python file", "name a .py file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _register_classes(module: ModuleType) -> None:
    import pytorch_lightning as pl

    registered = {id(thing) for thing in _registered_classes}
    for name, thing in vars(module).items():
        if not inspect.isclass(thing) or thing.__module__ != module.__name__:
            continue
        if id(thing) in registered or inspect.isabstract(thing) or name.startswith("_"):
            continue
        if issubclass(thing, pl.LightningDataModule):
            data_module(name)(thing)
        elif issubclass(thing, pl.LightningModule):
            lightning_module(name)(thing)


_registered_classes: list[Any] = []


def _file(registry: Registry[Any], name: str, entry: Any, thing: Any = None) -> None:
    """Register ``entry``; a class that was defined again (a notebook's cell) replaces itself."""
    earlier = [
        known
        for known in _registered_classes
        if thing is not None
        and (known.__module__, known.__qualname__) == (thing.__module__, thing.__qualname__)
    ]
    if earlier and name in registry:
        registry.renew(name, entry)
    else:
        registry.register(name)(entry)
    if thing is not None:
        _registered_classes.append(thing)


def _without_shapes(build: Callable[..., Any], facts: Sequence[str]) -> Callable[..., Any]:
    """Return a function with the signature of ``build`` less its first two arguments and facts."""
    target = build.__init__ if isinstance(build, type) else build  # type: ignore[misc]
    parameters = list(inspect.signature(target).parameters.values())
    first = 3 if isinstance(build, type) else 2
    taken = [parameter for parameter in parameters[first:] if parameter.name not in facts]

    def described() -> None: ...

    described.__signature__ = inspect.Signature(taken)  # type: ignore[attr-defined]
    described.__annotations__ = {
        name: kind
        for name, kind in getattr(target, "__annotations__", {}).items()
        if name in {parameter.name for parameter in taken}
    }
    described.__wrapped__ = target  # type: ignore[attr-defined]  # its module resolves the types
    described.__qualname__ = getattr(build, "__qualname__", "build")
    described.__doc__ = build.__doc__
    return described


def _place(error: BaseException, name: str) -> str:
    """Return ``file:line`` of the plugin's own line that failed."""
    if isinstance(error, SyntaxError) and error.lineno is not None:
        return f"{name}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).name == Path(name).name]
    return f"{name}:{own[-1].lineno}" if own else name
