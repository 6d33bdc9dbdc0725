"""Finding and reading ``focus.yaml``: every problem at once, each with its line.

What belongs here: which file is read, and refusals that need the file's text (secrets, ``${...}``). What does
not: the wording of validation problems (``problems``) and the rules themselves (``models``, ``file``).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from focus_assets.settings.file import FocusFile
from focus_assets.settings.models import (
    CONFIG_FILE,
    CONFIG_VARIABLE,
    ConfigurationError,
    NoConfiguration,
    Settings,
)
from focus_assets.settings.problems import Problem, locate, parse_place, translate
from focus_assets.settings.yaml_reader import Document, KeyPath, YamlProblem, read_yaml

_SECRET_KEY: Final = re.compile(
    r"^(?:.*_)?(?:access_key|access_key_id|secret|secret_.*|token|password|passwd|api_key|apikey|private_key|"
    r"credential|credentials|connection_string|account_key)$"
)
_NAMED_BY_THE_USER: Final = {"group_by", "groupBy", "filters", "labels", "dimensions", "tags"} | {
    "sku_price_details",
    "skuPriceDetails",
}
_CREDENTIALS_IN_URL: Final = re.compile(r"://[^/\s]*@")


def find_file(path: Path | None = None) -> Path:
    """The configuration file: ``path``, else $FOCUS_ASSETS_CONFIG, else ./focus.yaml.

    Raises :class:`NoConfiguration` where none is named and none lies here; a file that was named has to
    exist.
    """
    if path is not None:
        return _existing(path, "named")
    if named := os.environ.get(CONFIG_VARIABLE):
        return _existing(Path(named), f"named by {CONFIG_VARIABLE}")
    if Path(CONFIG_FILE).is_file():
        return Path(CONFIG_FILE)
    raise NoConfiguration(
        f"no configuration: {CONFIG_VARIABLE} is not set and no {CONFIG_FILE} lies in {Path.cwd()}. "
        "Write one with `focus-assets init`, or name one with --config."
    )


def load_file(path: Path) -> Settings:
    """Read ``path``; relative places in it count from its folder.

    Raises :class:`ConfigurationError` with all problems, each as file, line, key path, what was found and
    what is allowed.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"{path}: is not UTF-8 text (byte {error.start}); save it as UTF-8"
        ) from None
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    return load_text(text, path)


def load_text(text: str, path: Path) -> Settings:
    """As :func:`load_file`, for the text of a file that would lie at ``path``."""
    try:
        document = read_yaml(text)
    except YamlProblem as problem:
        raise ConfigurationError(f"{path}, line {problem.line}: {problem.what}") from None
    if not isinstance(document.data, dict):
        found = "nothing" if document.data is None else "no mapping"
        raise ConfigurationError(f"{path}, line 1: holds {found}; start with `focus-assets init`")
    folder = path.resolve().parent
    problems = list(_refusals(document.data, ()))
    refused = {problem.path for problem in problems}
    try:
        file = FocusFile.model_validate(document.data)
    except ValidationError as error:
        problems += [p for p in translate(error, FocusFile, document.data) if p.path not in refused]
    else:
        problems += [
            Problem(locate(parse_place(place), document.data), what) for place, what in file.problems(folder)
        ]
    if problems:
        raise ConfigurationError(_report(problems, document, path))
    return file.to_settings(folder, path.resolve())


def _existing(path: Path, how: str) -> Path:
    if path.is_file():
        return path
    raise ConfigurationError(
        f"{path}: {how} as the configuration, but there is no such file. Write one with `focus-assets init`."
    )


def _refusals(data: Any, path: KeyPath) -> Iterator[Problem]:
    """Secrets and environment references, which no model would notice."""
    if isinstance(data, dict):
        for key, value in data.items():
            here = (*path, key)
            snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).replace("-", "_").lower()
            named_by_the_user = path and path[-1] in _NAMED_BY_THE_USER
            if not named_by_the_user and _SECRET_KEY.match(snake):
                yield Problem(
                    here, "looks like a secret; take it out of the file and set it in the environment"
                )
            else:
                yield from _refusals(value, here)
    elif isinstance(data, list):
        for i, item in enumerate(data):
            yield from _refusals(item, (*path, i))
    elif isinstance(data, str):
        if "${" in data:
            yield Problem(
                path, "holds ${...}; variables are not filled in here: write the value, or leave the key out"
            )
        elif _CREDENTIALS_IN_URL.search(data):
            yield Problem(path, "holds credentials in a URL; set them in the environment")


def _report(problems: list[Problem], document: Document, path: Path) -> str:
    lines = sorted({(document.line(p.path), f"{p.label(document.data)}: {p.what}") for p in problems})
    said = [f"{path}, line {line}, {sentence}" for line, sentence in lines]
    if len(said) > 1:
        said.append(f"{len(said)} problems in {path}.")
    return "\n".join([*said, "Nothing was written."])
