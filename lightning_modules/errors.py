"""What can go wrong with a run, by whose fault; hpo.errors continues the tree for studies."""


class HpoError(Exception):
    """The base of every error we raise on purpose: where, what is wrong, what would be right."""

    exit_code = 1

    def __init__(self, where: str, what: str, hint: str = "") -> None:
        self.where = where
        self.what = what
        self.hint = hint
        super().__init__(where, what, hint)

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}; {self.hint}" if self.hint else text


class UsageError(HpoError):
    """The user's mistake: a file, a key, a value, a name. Nothing was created."""

    exit_code = 2


class DataError(UsageError):
    """Data that cannot be what the config says it is."""


class PluginError(UsageError):
    """A plugin that does not import, or whose names or signatures cannot be used."""


class TrialFailed(HpoError):  # noqa: N818  (the name that the records and the docs use)
    """A run that ended without a usable result; it is recorded and the study goes on.

    ``reason`` is one of ``nan``, ``oom``, ``infeasible``, ``timeout``, ``killed``, ``disk``,
    ``error``.
    """

    exit_code = 3

    def __init__(self, reason: str, what: str, hint: str = "") -> None:
        super().__init__("", what, hint)
        self.reason = reason
