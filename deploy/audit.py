"""Look the locked packages up among the known vulnerabilities (`make audit`). Ends with 1 where there is one; unreachable data are said.

The tool is pip-audit, in a venv of its own (the argument), so that what it needs does not mix with what is audited. It asks the
package index, whose mirrors often have no such data: one package is asked for first, and nothing more where that has no answer.
"""

import json
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TOOL = "pip-audit>=2.10,<3"
SERVICES = ("pypi", "osv")
UNREACHABLE = "The dependency audit did not run: no vulnerability data can be reached from here ({reason})."


def locked() -> list[str]:
    """The packages of poetry.lock, as NAME==VERSION."""
    packages = tomllib.loads((ROOT / "poetry.lock").read_text())["package"]
    return [f"{package['name']}=={package['version']}" for package in packages]


def verdict(report: Mapping[str, Any]) -> tuple[int, str]:
    """The exit status and what to say, of pip-audit's report."""
    found = [(package, flaw) for package in report["dependencies"] for flaw in package.get("vulns", ())]
    skipped = [package["name"] for package in report["dependencies"] if "skip_reason" in package]
    counted = len(report["dependencies"]) - len(skipped)
    unknown = f" Of {len(skipped)} nothing is known there: {', '.join(sorted(skipped))}." if skipped else ""
    if not found:
        return 0, f"No known vulnerability in {counted} locked packages.{unknown}"
    lines = [f"{package['name']} {package['version']}: {flaw['id']}, {_mended(flaw)}" for package, flaw in found]
    return 1, "\n".join([f"{len(found)} known vulnerabilities in {counted} locked packages:{unknown}", *lines])


def _mended(flaw: Mapping[str, Any]) -> str:
    versions = flaw.get("fix_versions")
    return f"mended in {', '.join(versions)}" if versions else "not mended yet"


def answers(report: Mapping[str, Any] | None) -> bool:
    """Whether the data were there for at least one package."""
    return report is not None and any("skip_reason" not in package for package in report["dependencies"])


def _audit(tool: Path, service: str, packages: Sequence[str]) -> dict[str, Any] | None:
    """pip-audit's report; None where the service has no answer."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(packages) + "\n")
        file.flush()
        options = ["--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off", "--timeout", "15"]
        done = subprocess.run([tool, "-s", service, "-r", file.name, *options], capture_output=True, text=True, check=False)
    try:
        report: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        return None
    return report


def _installed(folder: Path) -> Path | None:
    """pip-audit, once it is in its venv; None where the index has none."""
    tool = folder / "bin" / "pip-audit"
    if not tool.exists():
        venv.create(folder)
        pip = [
            sys.executable,
            "-m",
            "pip",
            "--python",
            folder / "bin" / "python",
            "--disable-pip-version-check",
            "install",
            "--quiet",
            TOOL,
        ]
        subprocess.run(pip, capture_output=True, check=False)
    return tool if tool.exists() else None


def main(folder: Path) -> int:
    tool = _installed(folder)
    if tool is None:
        print(UNREACHABLE.format(reason="pip-audit can't be installed"))
        return 0
    packages = locked()
    for service in SERVICES:
        if answers(_audit(tool, service, packages[:1])):
            report = _audit(tool, service, packages)
            if report is not None:
                status, said = verdict(report)
                print(said)
                return status
    print(UNREACHABLE.format(reason="neither the package index nor OSV answers"))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
