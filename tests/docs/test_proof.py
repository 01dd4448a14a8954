"""What docs/proof.md says of `hpo verify` and `best_config.json` is so."""

import json
import re
import shlex
import shutil
from pathlib import Path

from hpo.layout import StudyFolder
from hpo.verify.machine import COMPUTING
from hpo.verify.verify import LEVELS

GUIDE = Path(__file__).parents[2].joinpath("docs", "proof.md").read_text(encoding="utf-8")
SECTION = GUIDE[GUIDE.index("## Is the file true?") :]


def test_every_level_has_a_row() -> None:
    assert re.findall(r"^\| (\d) \|", SECTION, re.M) == [str(n) for n in range(len(LEVELS))]


def test_the_machine_class_is_told_in_full() -> None:
    names = {"pytorch-lightning": "Lightning", "numpy": "NumPy"}
    assert [one for one in COMPUTING if names.get(one, one) not in SECTION] == []


def test_the_commands_succeed_and_the_reader_reads(
    cli, copied: StudyFolder, tmp_path: Path, monkeypatch, capsys
) -> None:
    results = tmp_path / "here" / "results"
    for name in ("quickstart", "mlp", "cnn"):
        shutil.copytree(copied.path, results / name)
    monkeypatch.chdir(results.parent)
    blocks = re.findall(r"^```console\n(.*?)^```", SECTION, re.M | re.S)
    lines = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
    assert len(lines) == 5
    for line in lines:
        said = cli(*shlex.split(line.replace("--full", "--level 1"))[1:])
        assert said.code == 0, f"{line}\n{said.err}"
    (program,) = re.findall(r"^```python\n(.*?)^```", SECTION, re.M | re.S)
    exec(program, {})
    best = json.loads((results / "quickstart" / "best_config.json").read_text())
    value, lr = best["metric"]["value"], best["config"]["optimizer"]["lr"]
    assert capsys.readouterr().out == f"{value} {lr}\n"
