"""Options from a TOML file: `--config`, `--print-config`, and the configuration in a model's file.

A key is an option's name without its dashes, such as `batch-size`; `batch_size` is read as well.
The key of an argument is its name in lower case. The command line overrides the file, and the file
overrides defaults.
"""

from __future__ import annotations

import difflib
import json
import re
import sys
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from . import _help, _synonyms

KEPT = "config"  # among a model's extras
_GIVEN, _FILE = "fastmlp.given", "fastmlp.config"  # options of the command line; the file
_PRINT = "print_config"
_ON_COMMAND_LINE = frozenset({"config", _PRINT, "resume"})  # are not keys of a file
# Lists as text, "0.1,0" or "64,32"; a file may have numbers and arrays of them instead.
_LISTS = frozenset(
    {"units", "l1", "l2", "group_l1", "activation", "dropout", "lambdas", "layer_factors"}
    | {"optimizer_values", "learning_rate_values", "batch_size_values"}
)


class Configured(_help.Command):
    """A command that also takes its options from a TOML file."""

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.params += [
            click.Option(
                ["--config"],
                metavar="FILE",
                expose_value=False,
                help="Read options from this TOML file; options on the command line override it.",
            ),
            click.Option(
                [f"--{_PRINT.replace('_', '-')}"],
                is_flag=True,
                expose_value=False,
                help="Print all options, defaults included, as a TOML file; do nothing else.",
            ),
        ]

    def keys(self) -> dict[str, click.Parameter]:
        """Return the parameters by their keys in a file."""
        arguments = {param.name for param in self.params if isinstance(param, click.Argument)}
        table: dict[str, click.Parameter] = {}
        for param in self.params:
            name = str(param.name)
            if name in _ON_COMMAND_LINE:
                continue
            flag = max(param.opts, key=len).lstrip("-")
            if isinstance(param, click.Argument) or flag in arguments:
                flag = name.replace("_", "-")
            table[flag] = param
        return table

    def help_wanted(self, ctx: click.Context, given: dict[str, Any]) -> bool:
        """Return whether the command line asks for help."""
        option = self.get_help_option(ctx)
        return given.get("help_all") is True or (
            option is not None and given.get(str(option.name)) is True
        )

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the file that the command line names, before defaults are looked up."""
        if not ctx.resilient_parsing:
            given, _, _ = self.make_parser(ctx).parse_args(args=list(args))
            ctx.meta[_GIVEN] = given
            path = given.get("config")
            if isinstance(path, str) and not self.help_wanted(ctx, given):
                ctx.meta[_FILE] = path
                ctx.default_map = self._read(ctx, path)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error about a value of the file names file and key."""
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            if _FILE not in ctx.meta:
                raise
            raise self._located(ctx, error) from error

    def _read(self, ctx: click.Context, path: str) -> dict[str, Any]:
        table, values = self.keys(), {}
        for written, value in _document(ctx, path).items():
            key = written.replace("_", "-")
            if key not in table:
                flags = _synonyms.options(key, [f"--{name}" for name in table])
                near = [flag.removeprefix("--") for flag in flags]
                near = near or difflib.get_close_matches(key, table, n=1)
                hint = f" Did you mean '{near[0]}'?" if near else ""
                if key.replace("-", "_") in _ON_COMMAND_LINE:
                    hint = " It can only be given on the command line."
                raise click.UsageError(f"{path}: there is no option '{written}'.{hint}", ctx)
            param = table[key]
            if param.name in values:
                raise click.UsageError(f"{path}: the key '{key}' occurs twice", ctx)
            try:
                values[str(param.name)] = as_given(param, value)
                param.type_cast_value(ctx, values[str(param.name)])
            except click.BadParameter as error:
                error.ctx, error.param_hint = ctx, _hint(written, path)
                raise
        if path == "-" and "-" in (*values.values(), *_plain(ctx.meta[_GIVEN], "config")):
            raise click.UsageError("standard input cannot be both --config and data", ctx)
        return values

    def _located(self, ctx: click.Context, error: click.UsageError) -> click.UsageError:
        """Return the error with file and key, if it is about an option in the file."""
        path, hint = ctx.meta[_FILE], getattr(error, "param_hint", None)
        mentioned = []
        for key, param in self.keys().items():
            if ctx.get_parameter_source(str(param.name)) != ParameterSource.DEFAULT_MAP:
                continue
            names = [*param.opts, *param.secondary_opts, param.human_readable_name]
            if str(hint).strip("'") in names:
                return click.BadParameter(error.message, ctx, param_hint=_hint(key, path))
            if any(re.search(rf"(?<![\w-]){re.escape(n)}(?![\w-])", error.message) for n in names):
                mentioned.append(f"'{key}'")
        if not mentioned or hint is not None:
            return error
        return click.UsageError(f"{error.message} ({path} has {' and '.join(mentioned)})", ctx)


def _hint(key: str, path: str) -> str:
    return f"'{key}' in {path}"


def _plain(given: dict[str, Any], *without: str) -> list[Any]:
    return [value for name, value in given.items() if name not in without]


def _document(ctx: click.Context, path: str) -> dict[str, Any]:
    import tomllib

    hint = "'--config'"
    try:
        data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
        return tomllib.loads(data.decode())
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise click.BadParameter(f"{path}: {reason}", ctx, param_hint=hint) from error
    except UnicodeDecodeError as error:
        raise click.BadParameter(f"{path}: not UTF-8 text", ctx, param_hint=hint) from error
    except (tomllib.TOMLDecodeError, ValueError, RecursionError) as error:
        message = f"{path}: not a TOML file: {error}"
        raise click.BadParameter(message, ctx, param_hint=hint) from error


# ---- values ------------------------------------------------------------------------------------


def as_given(param: click.Parameter, value: Any) -> Any:
    """Return a value of the file as the command line would give it, if it has the right type."""
    if getattr(param, "is_flag", False):
        return _checked(value, (bool,), "true or false")
    if param.name in _LISTS and not param.multiple:
        parts = value if isinstance(value, list) else [value]
        what = "text, a number, or an array of these"
        return ",".join(str(_checked(part, (str, int, float), what, value)) for part in parts)
    if param.name == "target" and getattr(param, "multiple", False) and not isinstance(value, list):
        return [_scalar(param, value, value)]  # one stands for itself
    if getattr(param, "multiple", False) or param.nargs != 1:
        items = _checked(value, (list,), "an array")
        return [_scalar(param, item, value) for item in items]
    return _scalar(param, value, value)


def _scalar(param: click.Parameter, value: Any, whole: Any) -> Any:
    if isinstance(param.type, click.types.IntParamType):
        return _checked(value, (int,), "a whole number", whole)
    if isinstance(param.type, click.types.FloatParamType):
        return _checked(value, (int, float), "a number", whole)
    if isinstance(param.type, click.types.BoolParamType):
        return _checked(value, (bool,), "true or false", whole)
    return _checked(value, (str,), "text in quotes", whole)


def _checked(value: Any, kinds: tuple[type, ...], what: str, whole: Any = None) -> Any:
    # In Python True is an int, but in a configuration it is not a number.
    if isinstance(value, bool) != (bool in kinds) or not isinstance(value, kinds):
        received = value if whole is None else whole
        shown = "a table" if isinstance(received, dict) else _toml(received)
        raise click.BadParameter(f"expected {what}. Received: {shown}")
    return value


# ---- the resolved configuration ----------------------------------------------------------------


def resolved(**decided: Any) -> dict[str, Any]:
    """Return the running command's options by their keys, for `to_toml` and for a model's file.

    Parameters
    ----------
    **decided : object
        Values of options that are not given, by the option's name in the code; None for those
        without one.

    Returns
    -------
    dict
        Plain JSON values. Options without a value are left out.
    """
    ctx = click.get_current_context()
    assert isinstance(ctx.command, Configured)
    run: dict[str, Any] = {}
    for key, param in ctx.command.keys().items():
        name = str(param.name)
        if name == "force":  # it is for a single run
            continue
        value = ctx.params.get(name) if param.expose_value else _unexposed(ctx, param)
        if value is None or value == ():
            value = decided.get(name)
        if value is not None and value != ():
            run[key] = list(value) if isinstance(value, tuple) else value
    return run


def _unexposed(ctx: click.Context, param: click.Parameter) -> Any:
    """Return the value of an option that only its callback uses, such as --threads."""
    source = ctx.get_parameter_source(str(param.name))
    if source == ParameterSource.COMMANDLINE:
        return param.type_cast_value(ctx, ctx.meta[_GIVEN][param.name])
    if source == ParameterSource.DEFAULT_MAP:
        return ctx.lookup_default(str(param.name))
    return None


def print_wanted() -> bool:
    """Return whether the running command is to print its configuration."""
    given = click.get_current_context().meta[_GIVEN]
    return bool(given.get(_PRINT) is True)


def is_plain(value: Any) -> bool:
    """Return whether a value is text, a number, true or false, or a list of these."""
    items = value if isinstance(value, list) else [value]
    return all(isinstance(item, (str, bool, int, float)) for item in items)


def checked(run: Any, source: str) -> dict[str, Any]:
    """Return the configuration in a model's file, after checking it.

    Parameters
    ----------
    run : object
    source : str
        The file, for the message.

    Returns
    -------
    dict

    Raises
    ------
    ModelFileError
        If it is not a configuration.
    """
    from fastmlp.errors import ModelFileError

    if not isinstance(run, dict) or not all(
        re.fullmatch(r"[A-Za-z0-9_-]+", str(key)) and is_plain(value) for key, value in run.items()
    ):
        raise ModelFileError(f"{source}: damaged configuration")
    return run


def to_toml(run: dict[str, Any]) -> str:
    """Write a configuration as a TOML file.

    Parameters
    ----------
    run : dict of str to str, bool, int, float or list of these

    Returns
    -------
    str
    """
    return "".join(f"{key} = {_toml(value)}\n" for key, value in run.items())


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # TOML has the escapes of JSON, but JSON does not escape this control character.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return str(value)  # a number, inf and nan included; a date or time in a message
